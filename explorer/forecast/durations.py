"""How long a piece of work takes: as it was measured here, in this study or in one like it, or else as is assumed.

| stage | a study is like this one, if it is of |
|---|---|
| on the host | the same network |
| an engine | the same network, on an equal board |
| a measurement | the same, measured for as long |
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.config import Experiment
from explorer.errors import BadInput
from explorer.forecast.stages import BUILD, MEASURE
from explorer.plan import BLOCK_S, PART, may_be_long
from explorer.result import Record
from explorer.store import STUDY, StudyData, read

THIS = "this study"
# What a trial takes on the board beside its engine.
ON_THE_BOARD = ("short", MEASURE, "verify", "infer", "score")
# Seconds of what was never timed here; nothing but a guess of the right order, and said to be one.
ASSUMED_S = {
    "train": 600.0,
    "prune": 10.0,
    "finetune": 300.0,
    "export": 10.0,
    "quantise": 30.0,
    "ranges": 10.0,
    "cast": 10.0,
    "preview": 10.0,
    BUILD: 60.0,  # TensorRT tries kernels on the board
}
USUAL_S = 60.0  # of a stage that is not among them
LOADING, LOAD_S = {"onnxruntime", "openvino"}, 1.0  # they build nothing that takes long
ITERATION_S = 0.2  # of training


@dataclass(frozen=True)
class Duration:
    """Seconds of one piece of work, whether they were measured, and where they are from, in words."""

    seconds: float
    measured: bool
    source: str


LOOKED_UP = Duration(0.1, False, "assumed: the table answers at once, and the sampler takes some time to choose")


@dataclass(frozen=True)
class Past:
    """What earlier studies tell.

    Attributes:
        own: the records of this study.
        others: studies beside it, the newest first.
        board: what the board says of itself, where that is known.
    """

    experiment: Experiment
    own: Sequence[Record]
    others: Sequence[StudyData]
    board: Mapping[str, Any]

    def duration(self, stage: str) -> Duration:
        """Of one piece of a stage's work: the median of what was measured, or what is assumed."""
        for name, records in self._tellers(stage):
            if seconds := list(_seconds(records, stage)):
                return Duration(statistics.median(seconds), True, f"median of {len(seconds)} in {name}")
        return self._assumed(stage)

    def _tellers(self, stage: str) -> Iterator[tuple[str, Sequence[Record]]]:
        yield THIS, self.own
        model = self.experiment.identity()["model"]
        for data in self.others:
            if data.study["experiment"].get("model") == model and self._is_like(data, stage):
                yield f"the study {data.name}", data.records

    def _is_like(self, data: StudyData, stage: str) -> bool:
        if stage not in (BUILD, MEASURE):
            return True
        fingerprint = data.study.get("device", {}).get("fingerprint")
        same_board = fingerprint is not None and fingerprint == self.board.get("fingerprint")
        plan = self.experiment.measure.identity()
        return same_board and (stage == BUILD or data.study["experiment"].get("measure") == plan)

    def _assumed(self, stage: str) -> Duration:
        if stage == MEASURE:
            return Duration(
                self._measuring_s(), False, "assumed: as long as 'measure' allows, without cooling down and scoring"
            )
        if stage == BUILD and not self._builds:
            return Duration(LOAD_S, False, "assumed: networks are loaded as they are")
        iterations = self._iterations(stage)
        if iterations is not None:
            return Duration(iterations * ITERATION_S, False, f"assumed: {ITERATION_S} s an iteration")
        return Duration(ASSUMED_S.get(stage, USUAL_S), False, "assumed: none was timed here")

    @property
    def _builds(self) -> bool:
        """Whether a runtime that takes long to build an engine may be asked to."""
        space = self.experiment.space
        free = next((axis.values for axis in space.axes if axis.name == "runtime"), ())
        runtimes = {str(runtime) for runtime in free or (space.fixed.get("runtime"),)}
        return not self.board.get("simulated") and not runtimes <= LOADING

    def _iterations(self, stage: str) -> int | None:
        """Of training, where a study says how many."""
        wanted = self.experiment
        return {"finetune": wanted.finetune.iterations, "train": wanted.train.get("iterations")}.get(stage)

    def _measuring_s(self) -> float:
        plan = self.experiment.measure
        beside = 2 * plan.rounds * BLOCK_S if plan.reference_every else 0.0
        seconds = plan.warmup_s + plan.budget_s + 2 * plan.idle_s + beside
        if self.experiment.search.ladder and may_be_long(self.experiment):
            seconds += plan.warmup_s + plan.budget_s / PART + 2 * plan.idle_s + beside
        return seconds


def beside(results: Path, own: Path) -> list[StudyData]:
    """The other studies of a results folder, the newest first; one that cannot be read tells nothing."""
    found = []
    for path in results.glob(f"*/{STUDY}"):
        with suppress(BadInput):
            if path.parent != own:
                found.append(read(path.parent))
    return sorted(found, key=lambda data: str(data.study.get("created", "")), reverse=True)


def _seconds(records: Iterable[Record], stage: str) -> Iterator[float]:
    """Of each piece of work that was done once: what a cache has answered took no time."""
    for record in records:
        times = record.evaluation.stages
        if stage == MEASURE and MEASURE in times:
            yield sum(times[name].seconds for name in ON_THE_BOARD if name in times)
        elif stage in times and stage != MEASURE and not times[stage].cached:
            yield times[stage].seconds
