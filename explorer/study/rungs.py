"""Which rungs a study has on which a candidate can be stopped (`explorer.evaluate.ladder`)."""

from __future__ import annotations

from dataclasses import dataclass

from explorer import plan
from explorer.config import Experiment
from explorer.config.metrics import METRICS
from explorer.result import Record
from explorer.search import is_front
from explorer.statistics import Measurement
from explorer.store import StudyData
from explorer.transports.boards import on_this_host


@dataclass(frozen=True)
class Rungs:
    """Which there are.

    Attributes:
        preview: networks are scored on this host before a board builds anything.
        short: a short measurement comes before a whole one, once whole ones turn out to be long.
    """

    preview: bool = False
    short: bool = False

    @property
    def any(self) -> bool:
        return self.preview or self.short


def rungs_of(experiment: Experiment, possible: int) -> Rungs:
    """Those of an experiment, with so many candidates that are not known to be impossible.

    None without a sampler that can tell what a candidate may come to. A preview where an objective is a score and a
    board is another machine: on this one the board's own answers are as near.
    """
    if not experiment.search.ladder or not is_front(experiment.search.sampler, possible):
        return Rungs()
    elsewhere = any(not on_this_host(spec, experiment.folder) for spec in experiment.devices)
    scored = any(_is_score(objective.metric) for objective in experiment.objectives)
    return Rungs(preview=elsewhere and scored, short=plan.may_be_long(experiment))


def windows_s(data: StudyData) -> list[float]:
    """How long the windows of whole measurements took in earlier runs, by which a short one is worth its while: whoever
    comes back climbs as if he had never been away.
    """
    whole = (record for record in data.records if _is_whole(record))
    kept = (data.raw(record.number) for record in whole)
    return [Measurement.of_raw(raw).windows_s for raw in kept if raw is not None]


def _is_whole(record: Record) -> bool:
    """Whether what was measured of it, if anything, is no short measurement, and none that is void."""
    return record.state != "failed" and (record.stopped is None or record.stopped.after == "full bench")


def _is_score(metric: str) -> bool:
    """Whether a dataset tells it."""
    return metric not in METRICS or METRICS[metric].needs == "dataset"
