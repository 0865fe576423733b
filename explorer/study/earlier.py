"""What a study learns from: the records of others that its space file names, and the same ones whenever it goes on.

    search: {learn_from: [gaitset-xavier]} ──► results/gaitset-xavier ──► as many records as it had at first ──► Search

A study's records are only ever added to, so the first ones are there again; that they are still the same is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from explorer.config import Experiment
from explorer.errors import BadInput, Problem
from explorer.registry import nearest
from explorer.result import Record
from explorer.search.transfer import ENOUGH, in_common
from explorer.store import STUDY, read

Told = Mapping[str, Any]


@dataclass(frozen=True)
class Earlier:
    """A study to learn from.

    Attributes:
        named: as the space file does.
        records: those to learn from.
        axes: names of those that both studies have.
    """

    named: str
    records: tuple[Record, ...]
    axes: tuple[str, ...]

    def __str__(self) -> str:
        return in_words(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """As ``study.json`` keeps it."""
        return {
            "study": self.named,
            "records": len(self.records),
            "axes": list(self.axes),
            "sha256": _fingerprint(self.records),
        }


def in_words(told: Told) -> str:
    """``gaitset-xavier (87 records, 5 axes in common)``, of what `Earlier.to_json` keeps."""
    axes = len(told["axes"])
    return f"{told['study']} ({told['records']} records, {axes} {'axis' if axes == 1 else 'axes'} in common)"


def earlier(experiment: Experiment, results: Path, *, kept: Sequence[Told] | None = None) -> tuple[Earlier, ...]:
    """The studies that this one learns from.

    Args:
        experiment: whose.
        results: the folder that holds one folder a study.
        kept: what the study has kept of them when it began; None for a new one.

    Raises:
        BadInput: there is no such study, or it has nothing in common with this one, or is not what it was.
    """
    known = {told["study"]: told for told in kept or ()}
    problems: list[Problem] = []
    found: list[Earlier] = []
    for place, named in enumerate(experiment.search.learn_from):
        try:
            found.append(_earlier(experiment, results, named, known.get(named)))
        except _Unfit as why:
            path = f"search.learn_from[{place}]"
            problems.append(Problem(why.what, experiment.path, None, path, why.seen, why.allowed, why.hint))
    if problems:
        raise BadInput(problems)
    return tuple(found)


class _Unfit(Exception):
    def __init__(self, what: str, *, seen: str = "", allowed: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.seen, self.allowed, self.hint = what, seen, allowed, hint


def _earlier(experiment: Experiment, results: Path, named: str, kept: Told | None) -> Earlier:
    folder = _folder(experiment, results, named)
    records = read(folder).records
    if kept is not None:
        records = records[: kept["records"]]
        if _fingerprint(records) != kept["sha256"]:
            what = f"{named} is not what it was when this study began to learn from it"
            seen = f"{len(records)} of the {kept['records']} records that it had, or others"
            raise _Unfit(what, seen=seen, hint=f"put {folder} back as it was, or begin anew with --fresh")
    telling = [record for record in records if set(record.metrics) & _metrics(experiment)]
    if len(telling) < ENOUGH:
        _refuse_silent(experiment, named, records, telling)
    axes = [axis.name for axis in in_common(experiment.space.axes, [record.params for record in telling])]
    if not axes:
        theirs, ours = (", ".join(names) for names in (telling[0].params, (a.name for a in experiment.space.axes)))
        raise _Unfit(f"{named} has no axis in common with this study", seen=f"its axes: {theirs}", allowed=ours)
    return Earlier(named, records, tuple(axes))


def _refuse_silent(experiment: Experiment, named: str, records: Sequence[Record], telling: Sequence[Record]) -> None:
    theirs = sorted({metric for record in records for metric in record.metrics})
    seen = f"{len(telling)} of its {len(records)} records do; they tell of {', '.join(theirs) or 'nothing'}"
    wanted = f"{ENOUGH} records or more that tell of {' or '.join(sorted(_metrics(experiment)))}"
    raise _Unfit(f"{named} tells too little of what this study looks for", seen=seen, allowed=wanted)


def _folder(experiment: Experiment, results: Path, named: str) -> Path:
    places = [experiment.folder / Path(named).expanduser(), results / named]
    found = next((place for place in places if (place / STUDY).is_file()), None)
    if found is None:
        there = sorted({path.parent.name for path in results.glob(f"*/{STUDY}")} - {experiment.study})
        what, allowed = f"no study at {' or '.join(map(str, places))}", ", ".join([*there, "a study's folder"])
        raise _Unfit(what, seen=named, allowed=allowed, hint=nearest(named, there))
    if found.resolve() == (results / experiment.study).resolve():
        raise _Unfit("a study cannot learn from itself: it goes on where it stopped", seen=named, hint="remove it")
    return found


def _metrics(experiment: Experiment) -> set[str]:
    """Those that the search is after, or that limit it."""
    return {one.metric for one in experiment.objectives} | {one.metric for one in experiment.constraints}


def _fingerprint(records: Sequence[Record]) -> str:
    """Of all that is learned from records."""
    return sha256("\n".join(_lines(records)).encode()).hexdigest()


def _lines(records: Sequence[Record]) -> Iterator[str]:
    for record in records:
        metrics = {name: metric.value for name, metric in record.metrics.items()}
        yield json.dumps([record.number, record.state, dict(record.params), metrics], sort_keys=True)
