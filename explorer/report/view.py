"""What a study has to show: the one model from which every format is rendered.

results folder ──store.read──► StudyData ──view_of──► View ──► table, csv, json, md, html, png, notebook, recommend

A trial that was measured more than once (in races) is shown with what all its readings say together; the front is that
of these values, and each trial carries the probability of belonging to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from explorer import store
from explorer.impossible import ruled_out, sentence
from explorer.lacks import axes_of, lacks
from explorer.ranking import Paired, Standing, compare, standing
from explorer.report import box, wording
from explorer.report.unmet import unmet
from explorer.result import Direction, Objective, Record
from explorer.store import StudyData
from explorer.tally import Tally

MAY_BELONG = 0.05  # from this probability on, a trial off the front is told of as one that may belong to it
SURE = 0.95
_RULES = 4  # that trials have shown, before the others are counted


@dataclass(frozen=True)
class View:
    """A study as every report shows it.

    Attributes:
        complete: the complete trials, by number.
        front: the trials that no other dominates, best in the first objective first.
        hypervolume: share of the box between the worst and the best value of each objective that the front dominates,
            0–1; objectives in which all trials are equal are left out; None while there are not two different trials.
        scales: that box, objective by objective; empty without a compared trial.
        notes: sentences about what is missing or left out, or was degraded on the board.
        standing: what all readings together say of each trial.
        tallies: what the scores of each complete trial are counted from, where that was kept.
        data: what it was made from; raw measurements are read when asked for.
    """

    name: str
    folder: Path
    study: Mapping[str, Any]  # study.json
    objectives: tuple[Objective, ...]
    records: tuple[Record, ...]
    complete: tuple[Record, ...]
    front: tuple[Record, ...]
    hypervolume: float | None
    scales: Mapping[str, box.Scale]
    notes: tuple[str, ...]
    standing: Standing
    tallies: Mapping[int, Mapping[str, Tally]]
    data: StudyData

    @property
    def trials(self) -> dict[str, int]:
        """How many trials ended in which state."""
        return dict(Counter(record.state for record in self.records))

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """Every axis a record has, in the order of the space."""
        return tuple(dict.fromkeys(name for record in self.records for name in record.params))

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """The axes that take more than one value among all trials."""
        return tuple(name for name in self.axes if len({str(r.params.get(name)) for r in self.records}) > 1)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every metric of the complete trials: the objectives first, then in order of appearance."""
        others = (name for record in self.complete for name in record.metrics)
        return tuple(dict.fromkeys([*(o.metric for o in self.objectives), *others]))

    @cached_property
    def on_front(self) -> frozenset[int]:
        """Numbers of the trials on the front."""
        return frozenset(record.number for record in self.front)

    @cached_property
    def dominated(self) -> tuple[Record, ...]:
        """The trials that were stopped because others are better for sure, by number."""
        return tuple(sorted((r for r in self.records if r.state == "dominated"), key=lambda r: r.number))

    @cached_property
    def baseline(self) -> Record | None:
        """The net as it was: dense, fp32, the smallest batch, the fewest threads, the first such trial."""
        dense = [record for record in self.complete if self._is_dense_fp32(record)]
        return min(dense, key=_plainness, default=None)

    def probability(self, record: Record) -> float | None:
        """How probable it is that the trial belongs to the front; None where it cannot be compared."""
        return self.standing.probability.get(record.number)

    def readings(self, record: Record) -> int:
        """How many times it was measured: once as a trial, and once in each race."""
        return self.standing.readings.get(record.number, 1)

    @cached_property
    def near(self) -> tuple[Record, ...]:
        """Trials off the front that may well belong to it, the likeliest first."""
        off = (record for record in self.complete if record.number not in self.on_front)
        return tuple(sorted((r for r in off if self._chance(r) >= MAY_BELONG), key=self._chance, reverse=True))

    def _chance(self, record: Record) -> float:
        return self.probability(record) or 0.0

    def against_dense(self, record: Record) -> Mapping[str, Paired]:
        """How the trial's scores differ from those of the dense fp32 net, answer by answer.

        Of the scores that are `compared`; empty for that net itself, and where a trial's answers were not kept.
        """
        found = self.tallies.get(record.number, {})
        if self.baseline is None or record.number == self.baseline.number:
            return {}
        return {name: self._paired(name, found[name]) for name in self.compared if name in found}

    def _paired(self, name: str, tally: Tally) -> Paired:
        """Trials of one network answer alike, whatever their batch and threads; each answer is compared once."""
        assert self.baseline is not None
        key = (name, tally.top.tobytes(), tally.bottom.tobytes())
        if key not in self._compared_already:
            self._compared_already[key] = compare(tally, self.tallies[self.baseline.number][name])
        return self._compared_already[key]

    @cached_property
    def _compared_already(self) -> dict[tuple[str, bytes, bytes], Paired]:
        return {}

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """The scores that are wanted (an objective, or a constraint) and were counted, so that `against_dense` can
        compare them.
        """
        dense = self.tallies.get(self.baseline.number, {}) if self.baseline else {}
        return tuple(name for name in self._wanted if name in dense)

    @property
    def _wanted(self) -> list[str]:
        constraints = self.study.get("experiment", {}).get("constraints", [])
        return list(dict.fromkeys([*(o.metric for o in self.objectives), *(str(c).split()[0] for c in constraints)]))

    def direction(self, metric: str) -> Direction | None:
        """What is better of a metric: as an objective says, else as the program knows it, else None."""
        from explorer.config.metrics import METRICS  # late: the quick formats need no directions

        stated = {o.metric: o.direction for o in self.objectives}
        if metric in stated:
            return stated[metric]
        known = METRICS.get("accuracy" if metric.startswith("accuracy_") else metric)
        return known.better if known else None

    def best(self, objective: Objective) -> Record | None:
        """The trial of the front that is best in one objective."""
        return max(self.front, key=lambda r: objective.gain(r.metrics[objective.metric].value), default=None)

    @property
    def balanced(self) -> Record | None:
        """The trial of the front nearest to the best of everything, each objective scaled to its range."""
        return min(self.front, key=self._distance_to_ideal, default=None)

    def _distance_to_ideal(self, record: Record) -> float:
        spans = ((record.metrics[name].value, scale) for name, scale in self.scales.items())
        return sum(((s.best - value) / (s.best - s.worst)) ** 2 for value, s in spans if s.best != s.worst)

    def in_short(self, record: Record) -> str:
        """A candidate in a few letters: ``p0.2 int8 openvino b8 t2``."""
        axes = self.varied or self.axes
        return " ".join(wording.token(record, axis, self._short_names) for axis in axes)

    @property
    def key_to_short_names(self) -> str:
        """What the letters of `in_short` mean."""
        return ", ".join(f"{letters} = {axis}" for axis, letters in self._short_names.items())

    @cached_property
    def _short_names(self) -> dict[str, str]:
        return wording.short_names(self.records, self.varied or self.axes)

    @property
    def headline(self) -> str:
        """One line: how many trials, how large a front."""
        counts = wording.endings(record.state for record in self.records) or "no trials"
        return f"{self.name}: {counts}; {len(self.front)} on the front"

    @property
    def hypervolume_note(self) -> str:
        """The hypervolume and what it is measured against; empty where there is none."""
        if self.hypervolume is None:
            return ""
        spans = ", ".join(
            f"{wording.heading(name)} {wording.number(scale.worst)} to {wording.number(scale.best)}"
            for name, scale in self.scales.items()
        )
        return f"hypervolume {self.hypervolume:.3f} of the box from the worst to the best complete trial: {spans}"

    def _is_dense_fp32(self, record: Record) -> bool:
        experiment = self.study.get("experiment", {})
        unsaid = {} if "recorded" in experiment else {"precision": "fp32", "prune_ratio": 0}  # a table leaves it open
        everything = {**unsaid, **experiment.get("fixed", {}), **record.params}
        return everything.get("precision") == "fp32" and everything.get("prune_ratio", 0) == 0


def load(folder: Path) -> View:
    """Read a results folder.

    Raises:
        BadInput: it holds no study, or one that cannot be read.
    """
    return view_of(store.read(folder))


def view_of(data: StudyData) -> View:
    """Everything a report shows, derived from what a results folder holds."""
    tallies = {r.number: data.tallies(r.number) for r in data.records if r.state == "complete"}
    judged = standing(data.records, data.objectives, races=data.races, tallies=tallies)
    records = tuple(_with_all_readings(record, judged) for record in data.records)
    complete = tuple(sorted((r for r in records if r.state == "complete"), key=lambda r: r.number))
    compared = tuple(r for r in complete if _comparable(r, data.objectives))
    front = [record for record in compared if record.number in judged.front]
    front.sort(key=lambda r: [-o.gain(r.metrics[o.metric].value) for o in data.objectives])
    return View(
        name=data.name,
        folder=data.folder,
        study=data.study,
        objectives=data.objectives,
        records=records,
        complete=complete,
        front=tuple(front),
        hypervolume=box.volume(compared, data.objectives),
        scales=box.scales(compared, data.objectives),
        notes=tuple(_notes(data, complete, compared)),
        standing=judged,
        tallies=tallies,
        data=data,
    )


def _with_all_readings(record: Record, judged: Standing) -> Record:
    """The record with what all its readings together say, where it was measured more than once."""
    if judged.readings.get(record.number, 1) < 2:
        return record
    metrics = {**record.metrics, **judged.metrics[record.number]}
    return replace(record, evaluation=replace(record.evaluation, metrics=metrics))


def _comparable(record: Record, objectives: tuple[Objective, ...]) -> bool:
    values = [record.metrics[o.metric].value for o in objectives if o.metric in record.metrics]
    return len(values) == len(objectives) and all(math.isfinite(value) for value in values)


def _notes(data: StudyData, complete: tuple[Record, ...], compared: tuple[Record, ...]) -> Iterable[str]:
    if not data.records:
        yield "No trial has been recorded yet; 'explorer run' with the same space file starts or continues the study."
    elif not complete:
        states = wording.endings(record.state for record in data.records)
        reason = next((r.reason for r in data.records if r.reason), "no reason was recorded")
        why = f"N{told[1:]}." if (told := unmet(data.records)) else f"The first reason given: {reason}"
        yet = "" if data.ended else " yet"
        yield f"No trial is complete{yet} ({states}), so there is no front. {why}"
    elif len(complete) == 1:
        yield "Only one trial is complete: it is the front because nothing else is there to compare it with."
    if told := sentence(data.impossible, data.space_size or 0):
        yield f"Never tried: {told}."
    for line in data.ruled_out[:_RULES]:
        yield f"Never tried: {ruled_out(line['trial'], line['because'], line['left_out'])}."
    if rest := data.ruled_out[_RULES:]:
        count = sum(line["left_out"] for line in rest)
        yield f"Never tried: {count:,} more, by {len(rest)} other rules that trials have shown (--format json has all)."
    if left_out := [r for r in complete if r not in compared]:
        numbers = wording.some([r.number for r in left_out])
        lacking = ", ".join(dict.fromkeys(name for r in left_out for name in _lacking(r, data.objectives)))
        trials = f"{len(left_out)} complete trial{'s' * (len(left_out) > 1)} (number {numbers})"
        yield f"Left out of the comparison: {trials} without a finite value of {lacking}."
    if data.ended is not None:
        yield f"The last run ended: {data.ended['why']}."
    device, experiment = (data.study.get(name) or {} for name in ("device", "experiment"))
    found = lacks(device, axes_of(experiment), options=experiment.get("device_options"))
    yield from (f"In a lesser form: {lack}." for lack in found)


def _lacking(record: Record, objectives: tuple[Objective, ...]) -> list[str]:
    return [o.metric for o in objectives if not _comparable(record, (o,))]


def _plainness(record: Record) -> tuple[Any, ...]:
    return record.params.get("batch", 1), record.params.get("threads", 1), record.number
