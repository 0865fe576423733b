"""The same space on two devices: what holds on both, and what is the other way round.

study A ──┐  the same model, data, space and objectives? else refused
          ├─► pairs: the candidates complete in both ──► a ranking an objective, fronts, facts ──► `versus_text`
study B ──┘
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer import pareto
from explorer.errors import BadInput, Problem
from explorer.report.contrast import Pair, Ranking, key_of, ranking
from explorer.report.view import View, load
from explorer.result import Objective, Record

# What must be equal in two studies for their candidates to be the same ones, judged by the same measure.
_SAME = ("model", "dataset", "space", "fixed", "objectives", "train", "finetune", "simulate")
# What may differ, and then is told.
_TOLD = ("measure", "device_options", "rules", "constraints")
_FACTS = {
    "machine": "architecture",
    "model": "board",
    "cpu": "processor",
    "cores": "cores",
    "memory_mb": "memory [MB]",
    "system": "system",
    "python": "Python",
}


@dataclass(frozen=True)
class Comparison:
    """Two studies side by side; `a` is the one the report was asked for.

    Attributes:
        pairs: the candidates that are complete in both, in the order of `a`.
        rankings: one for each objective.
        fronts: the fronts among the pairs: on both devices, on A's alone, on B's alone.
        facts: what the devices say of themselves: name, A, B.
        notes: what is left out, or to be borne in mind.
    """

    a: View
    b: View
    pairs: tuple[Pair, ...]
    rankings: tuple[Ranking, ...]
    fronts: tuple[tuple[Pair, ...], tuple[Pair, ...], tuple[Pair, ...]]
    facts: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]


def compare(folder: Path, other: Path) -> Comparison:
    """Read two results folders and compare them.

    Raises:
        BadInput: no study, or not the same space, or fewer than two candidates complete in both.
    """
    return comparison(load(folder), load(other))


def comparison(a: View, b: View) -> Comparison:
    """Compare two studies of the same space.

    Raises:
        BadInput: they are not of the same space, or fewer than two candidates are complete in both.
    """
    _refuse_other(a, b)
    pairs = _pairs(a, b)
    if len(pairs) < 2:
        seen = f"{len(pairs)} in both; {len(a.complete)} in {a.folder}, {len(b.complete)} in {b.folder}"
        hint = "explore more of the space on both devices: with 'sampler: random' and the same seed they meet soonest"
        raise BadInput(Problem("too few candidates are complete in both studies", seen=seen, hint=hint))
    values = _values(a)
    rankings = tuple(ranking(objective, pairs, values) for objective in a.objectives)
    return Comparison(a, b, pairs, rankings, _fronts(a.objectives, pairs), tuple(_facts(a, b)), tuple(_notes(a, b)))


def _refuse_other(a: View, b: View) -> None:
    changed = _differences(a, b, _SAME)
    if changed:
        seen = "\n          ".join([f"{a.folder} and {b.folder} differ in", *changed])
        hint = "explore the same space file on both devices: explorer run --space FILE --device SPEC --results DIR"
        raise BadInput(Problem("these studies cannot be compared", seen=seen, hint=hint))


def _differences(a: View, b: View, parts: Sequence[str]) -> list[str]:
    """Where the experiments differ, one line each: ``space.batch: [1, 2], not [1, 2, 4]``."""
    one, other = ({part: view.study.get("experiment", {}).get(part) for part in parts} for view in (a, b))
    first, second = dict(_leaves(one)), dict(_leaves(other))
    return [
        f"{path}: {first.get(path, 'absent')}, not {second.get(path, 'absent')}"
        for path in {**first, **second}
        if first.get(path) != second.get(path)
    ]


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, ensure_ascii=False)


def _pairs(a: View, b: View) -> tuple[Pair, ...]:
    """Candidates with a finite value of every objective on both devices."""
    others = {key_of(record): record for record in b.complete if _usable(record, b.objectives)}
    ours = (record for record in a.complete if _usable(record, a.objectives))
    return tuple(Pair(record, others[key_of(record)]) for record in ours if key_of(record) in others)


def _usable(record: Record, objectives: Sequence[Objective]) -> bool:
    found = [record.metrics.get(o.metric) for o in objectives]
    return all(metric is not None and math.isfinite(metric.value) for metric in found)


def _values(view: View) -> dict[str, list[Any]]:
    """The axes that vary and their values, in the order of the space file."""
    space: Mapping[str, Any] = view.study.get("experiment", {}).get("space", {})
    seen = {axis: list(dict.fromkeys(r.params.get(axis) for r in view.complete)) for axis in view.varied}
    return {axis: [v for v in space.get(axis, found) if v in found] or found for axis, found in seen.items()}


def _fronts(
    objectives: Sequence[Objective], pairs: Sequence[Pair]
) -> tuple[tuple[Pair, ...], tuple[Pair, ...], tuple[Pair, ...]]:
    masks = []
    for side in (0, 1):
        gains = [[o.gain(pair[side].metrics[o.metric].value) for o in objectives] for pair in pairs]
        masks.append(pareto.front(np.asarray(gains)))
    a, b = masks
    return tuple(tuple(p for p, kept in zip(pairs, mask, strict=True) if kept) for mask in (a & b, a & ~b, b & ~a))  # type: ignore[return-value]


def _facts(a: View, b: View) -> Iterator[tuple[str, str, str]]:
    yield "device", device_of(a), device_of(b)
    ours, theirs = (view.study.get("device", {}) for view in (a, b))
    for name, words in _FACTS.items():
        if name in ours or name in theirs:
            yield words, str(ours.get(name, "–")), str(theirs.get(name, "–"))
    used = [_runtimes(view) for view in (a, b)]
    for runtime in dict.fromkeys([*used[0], *used[1]]):
        yield runtime, _version(ours, runtime), _version(theirs, runtime)
    yield "study", str(a.folder), str(b.folder)


def device_of(view: View) -> str:
    """The devices that a study's complete trials ran on."""
    names = dict.fromkeys(record.device for record in view.complete)
    return ", ".join(names) or str(view.study.get("device", {}).get("name", "?"))


def _runtimes(view: View) -> list[str]:
    fixed = view.study.get("experiment", {}).get("fixed", {}).get("runtime")
    found = (record.params.get("runtime", fixed) for record in view.complete)
    return list(dict.fromkeys(str(name) for name in found if name))


def _version(device: Mapping[str, Any], runtime: str) -> str:
    return str(device.get("runtimes", {}).get(runtime, {}).get("version", "")) or "–"


def _notes(a: View, b: View) -> Iterator[str]:
    pairs = len(_pairs(a, b))
    for name, view in (("A", a), ("B", b)):
        left = len(view.complete) - pairs
        if left:
            yield f"Left out: {left} of {len(view.complete)} trials of {name}, which are not complete on the other."
    for line in _differences(a, b, _TOLD):
        yield f"The studies differ in {line}."
    for name, view in (("A", a), ("B", b)):
        flags = dict.fromkeys(flag for record in view.complete for flag in record.evaluation.flags)
        doubtful = sum(bool(record.evaluation.flags) for record in view.complete)
        if doubtful:
            yield f"{doubtful} of {len(view.complete)} trials of {name} deserve doubt: {', '.join(flags)}."
