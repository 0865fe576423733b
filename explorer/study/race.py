"""The last part of a study: candidates whose rank is undecided are measured again, against each other.

    records, races ──► ranking: who is undecided? ──► lineup ──► a free board: rounds ──► races.jsonl ──► ranking …
                                   └ nobody, or no time left: done

A first reading may have been lucky. Measured in turns, within the same seconds, what is common to all (a warm board, a
busy neighbour) drops out, and the order shows. Who runs next follows from what is on the disk, so that a run that was
killed goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer import plan
from explorer.config import Experiment
from explorer.derivation import race
from explorer.fleet.duties import Heat
from explorer.pipeline import Done
from explorer.ranking import Standing, next_race, standing
from explorer.result import Record
from explorer.space import Candidate
from explorer.statistics import Measurement
from explorer.store import StudyData, read

# Without a limit of time, races may take so much of the time that measuring took: about what it took on synthetic
# boards until nothing was undecided (benchmarks/racing.py), as did more and shorter races instead of few long ones.
SHARE = 0.5
ROUNDS_MIN, ROUNDS_MAX = 6, 10
MOST = 6
# What a race takes beside its rounds, a guess: each engine is loaded and warmed up.
LOAD_S = 0.3


@dataclass(frozen=True)
class Lineup:
    """Who runs next, and how.

    Attributes:
        trials: their numbers.
        undecided: how many trials are.
        rounds: how often each has its turn.
        block_s: how long a turn lasts.
    """

    trials: tuple[int, ...]
    undecided: int
    rounds: int
    block_s: float


def can_race(experiment: Experiment) -> bool:
    """Whether anything is wanted that measuring again can tell more of, and racing is wanted."""
    timed = ("latency_", "throughput_ips", "energy_", "power_w")
    return experiment.search.race_s != 0 and any(o.metric.startswith(timed) for o in experiment.objectives)


def share_s(experiment: Experiment, records: Iterable[Record]) -> float:
    """Seconds that races may take where no limit of time says so; as long as the file says, or a share of the time
    that measuring took.
    """
    if not can_race(experiment):
        return 0.0
    if experiment.search.race_s is not None:
        return experiment.search.race_s
    return SHARE * sum(measuring_s(record) for record in records)


def measuring_s(record: Record) -> float:
    """Seconds a board measured for a trial."""
    stage = record.evaluation.stages.get("measure")
    return stage.seconds if stage else 0.0


@dataclass
class Racing:
    """Who runs next, by what a study's folder holds.

    Attributes:
        most: how many entrants a board can hold beside each other, as far as is known.
        without: trials that cannot be measured again.
        over: why there will be no further race in this run; empty while there may be.
    """

    experiment: Experiment
    folder: Path
    most: int = MOST
    without: set[int] = field(default_factory=set)
    over: str = ""

    def next(self, left_s: float | None) -> Lineup | None:
        """The next lineup; None when nothing is undecided any more, or no time is left for a race.

        Args:
            left_s: what is left of the study's limit of time; None without one.
        """
        if self.over or not can_race(self.experiment):
            return None
        data = read(self.folder)
        now = ranked(data)
        groups = {record.number: str(record.params.get("power_mode", "")) for record in data.records}
        trials = next_race(now, most=self.most, groups=groups, without=self.without)
        if len(trials) < 2:
            self.over = "nothing is undecided" if not now.undecided else "what is undecided cannot be raced"
            return None
        found = self._fitting(trials, data, now, self._left_s(data, left_s))
        if found is None:
            self.over = f"{len(now.undecided)} still undecided"
        return found

    def heat(self, lineup: Lineup, prepare: Callable[[Candidate], Future[Done]]) -> Heat:
        """A lineup as a board is handed it."""
        data = read(self.folder)
        params = {record.number: record.params for record in data.records}
        candidates = [Candidate(params[number], self.experiment.space.fixed) for number in lineup.trials]
        entrants = tuple((candidate, prepare(candidate)) for candidate in candidates)
        return Heat(len(data.races) + 1, lineup.trials, entrants, lineup.rounds, lineup.block_s)

    def failed(self, heat: Heat) -> bool:
        """A race could not be held: try with half as many; False when there is no point in it."""
        self.most = len(heat.trials) // 2
        if self.most < 2:
            self.over = "races cannot be held here"
        return not self.over

    def _left_s(self, data: StudyData, left_s: float | None) -> float:
        """Seconds that are left for races."""
        spent = sum(float(line["seconds"]) for line in data.races)
        if self.experiment.search.race_s is None and left_s is not None:
            return left_s
        return min(share_s(self.experiment, data.records) - spent, math.inf if left_s is None else left_s)

    def _fitting(self, trials: tuple[int, ...], data: StudyData, now: Standing, left_s: float) -> Lineup | None:
        """As many entrants and rounds as the time allows; None when it allows no race at all."""
        records = {record.number: record for record in data.records}
        block_s = plan.block_s(self.experiment, estimated=_estimated(data.records), lag_s=_lag_s(data))
        for count in range(len(trials), 1, -1):
            chosen = trials[:count]
            before_s = count * (self.experiment.measure.warmup_s + LOAD_S) + 2 * self.experiment.measure.idle_s
            round_s = sum(max(block_s, _batch_s(records[number])) for number in chosen)
            rounds = int(min(ROUNDS_MAX, (left_s - before_s) / round_s))
            if rounds >= ROUNDS_MIN:
                return Lineup(chosen, len(now.undecided), rounds, block_s)
        return None


def result_of(
    heat: Heat, measurement: Measurement, *, device: str, started: str, seconds: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The line of a race, and what is kept of its measurement."""
    deployments = [candidate.deployment for candidate, _ in heat.entrants]
    entrants = [
        race.Entrant(number, int(how.get("batch", 1)), int(how.get("streams", 1)))
        for number, how in zip(heat.trials, deployments, strict=True)
    ]
    line = {"race": heat.number, "device": device, "trials": list(heat.trials), "started": started}
    line |= {"seconds": round(seconds, 4), "flags": list(measurement.flags)}
    return line | {"readings": race.readings(measurement, entrants)}, race.raw_of(measurement, entrants)


def ranked(data: StudyData) -> Standing:
    """Where the trials of a study stand."""
    tallies = {record.number: data.tallies(record.number) for record in data.records if record.state == "complete"}
    return standing(data.records, data.objectives, races=data.races, tallies=tallies)


def _batch_s(record: Record) -> float:
    latency = record.metrics.get("latency_ms")
    return latency.value / 1e3 if latency else 0.0


def _estimated(records: tuple[Record, ...]) -> bool:
    """Whether energies are declared: then processor time tells them, however short a turn."""
    return any(record.evaluation.estimated for record in records)


def _lag_s(data: StudyData) -> float:
    """The lag of the meter that measured this study's trials."""
    first = next((record.number for record in data.records if record.state == "complete"), None)
    raw: dict[str, Any] = (data.raw(first) if first is not None else None) or {}
    return float(raw.get("header", {}).get("meter", {}).get("lag_s") or 0.0)
