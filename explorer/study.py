"""The study: ask → evaluate → store → tell, until the budget is spent or the space is exhausted.

    ask ──► check ──► prepare ┐ (the next candidates, while the device measures)
                              ▼
    tell ◄── store ◄── build, measure, infer, score

The record is on the disk before the sampler hears of it: a run that is killed continues from ``trials.jsonl``, and at
most the candidate under way is done again.
"""

from __future__ import annotations

import getpass
import socket
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from explorer.artifacts import Artifacts
from explorer.compression import Compression
from explorer.config import Experiment, differences
from explorer.datasets import DATASETS
from explorer.datasets.protocols import Dataset
from explorer.datasets.reference import FloatReference
from explorer.device import Device, connect
from explorer.errors import BadInput, DeviceLost, Infeasible, JobFailed, NoDevice, Problem
from explorer.evaluate import Bench, evaluate, violations
from explorer.execution import WORKERS, LocalProcesses
from explorer.pipeline import Done, Pipeline
from explorer.result import Evaluation, Record, State
from explorer.search.search import Search
from explorer.space import Candidate
from explorer.store import Store, open_store, read, read_study, set_aside

# Candidates asked for at a time: one for the device, and as many as the host can compress meanwhile.
AHEAD = 1 + WORKERS
# How often in a row the device may be lost, and how long to wait before the next try.
LOST_IN_A_ROW, BACK_OFF_S = 3, (1.0, 3.0)


class Watcher(Protocol):
    """Whoever wants to see how a study goes."""

    def begins(self, experiment: Experiment, *, planned: int, records: tuple[Record, ...], note: str) -> None:
        """A run starts; `records` are what earlier runs of the same study left."""

    def trial(self, candidate: Candidate) -> None:
        """A candidate's turn on the device has come."""

    def recorded(self, record: Record, *, done: int, planned: int, eta_s: float) -> None:
        """A record is on the disk."""

    def note(self, text: str) -> None:
        """Something worth a line."""


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    reason: str
    folder: Path
    records: tuple[Record, ...]  # of this run alone


@dataclass(frozen=True)
class _Turn:
    """A candidate on its way: its network in the making, or the reason why it needs none."""

    candidate: Candidate
    network: Future[Done] | None = None
    refusal: Infeasible | None = None


def run(experiment: Experiment, *, results: Path, cache: Path, watcher: Watcher, fresh: bool = False) -> Ending:
    """Explore until done; continue where an earlier run of the same experiment stopped.

    Args:
        experiment: what to explore, and for how long.
        results: the folder that holds one folder a study.
        cache: where compressed networks are kept for all studies.
        watcher: who is told how it goes.
        fresh: set an earlier study of this name aside and begin anew.

    Raises:
        BadInput: another experiment lives in the folder, or the input cannot be used after all.
        NoDevice: the device cannot be reached, or was lost too often.
    """
    folder = results / experiment.study
    aside = set_aside(folder) if fresh else None
    _refuse_other(folder, experiment)
    before = read(folder).records if (folder / "study.json").exists() else ()
    if reason := _why_done(experiment, len(before), spent_s=sum(record.seconds for record in before)):
        watcher.begins(experiment, planned=len(before), records=before, note="")  # no device is needed to say so
        return Ending(reason, folder, ())
    artifacts = Artifacts(cache)
    dataset = open_dataset(experiment)
    with _bench(experiment, dataset, artifacts) as bench, open_store(folder, _described(experiment, bench)) as store:
        note = f"the earlier study was set aside as {aside}" if aside else ""
        loop = _Loop(bench, store, Compression(experiment, dataset, artifacts=artifacts), watcher)
        watcher.begins(experiment, planned=loop.planned, records=store.records, note=note)
        try:
            return Ending(loop.run(), folder, tuple(loop.written))
        finally:
            loop.close()


def open_dataset(experiment: Experiment) -> Dataset:
    """The experiment's data; a bare ONNX file is judged by how far it strays from its own fp32 outputs.

    Raises:
        BadInput: the dataset refuses its options.
    """
    if experiment.dataset is None:
        assert experiment.model is not None
        assert experiment.model.onnx is not None  # checked by config: only a bare file needs no data
        return FloatReference(experiment.model.onnx)
    make = DATASETS.load(experiment.dataset.name, search=experiment.folder)
    dataset: Dataset = make(**experiment.dataset.options)
    return dataset


@contextmanager
def _bench(experiment: Experiment, dataset: Dataset, artifacts: Artifacts) -> Iterator[Bench]:
    pipeline = Pipeline(artifacts, LocalProcesses())
    try:
        device = _connect(experiment, artifacts.root)
        bench = Bench(experiment, device, pipeline, dataset, dataset.evaluation())
        try:
            yield bench
        finally:
            device.close()
    finally:
        pipeline.close()


def _connect(experiment: Experiment, cache: Path) -> Device:
    holder = f"{getpass.getuser()}@{socket.gethostname()}, study {experiment.study}"
    options, search = experiment.device_options, experiment.folder
    return connect(experiment.devices[0], cache=cache, options=options, holder=holder, search=search)


def _refuse_other(folder: Path, experiment: Experiment) -> None:
    if not (folder / "study.json").exists():
        return
    known = {key: value for key, value in read_study(folder)["experiment"].items() if key != "devices"}
    changed = differences(known, experiment.identity())
    if changed:
        hint = (
            "give the study another name, another --results, or begin anew with --fresh (the old study is kept aside)"
        )
        seen = "\n          ".join(["it differs in", *changed])
        raise BadInput(Problem("this folder belongs to another experiment", file=folder, seen=seen, hint=hint))


def _why_done(experiment: Experiment, done: int, *, spent_s: float) -> str:
    """Why a study with so many candidates done has nothing left to do; empty when it has."""
    budget = experiment.search
    if done >= experiment.space.size:
        return f"the space is exhausted: all {done} candidates are tried"
    if budget.seconds is not None and spent_s >= budget.seconds:
        return "the time is up"
    return (
        f"the budget of {budget.trials} trials is spent" if budget.trials is not None and done >= budget.trials else ""
    )


def _described(experiment: Experiment, bench: Bench) -> dict[str, Any]:
    return {
        "study": experiment.study,
        "objectives": [{"metric": o.metric, "direction": o.direction} for o in experiment.objectives],
        "experiment": experiment.identity(),
        "explorer": version("explorer"),
        "device": {"name": bench.device.name, **bench.device.capabilities},
    }


class _Loop:
    """The loop's state: what is asked, what is written, and how much of the budget is left."""

    def __init__(self, bench: Bench, store: Store, compression: Compression, watcher: Watcher) -> None:
        self._bench, self._store, self._compression, self._watcher = bench, store, compression, watcher
        experiment, before = bench.experiment, store.records
        plan = experiment.search
        self._search = Search(
            experiment.space, experiment.objectives, sampler=plan.sampler, seed=plan.seed, records=before
        )
        self._budget = plan
        self._done = len(before)
        self._spent_before_s = sum(record.seconds for record in before)
        self._started = time.monotonic()
        self._lost = 0
        self.planned = min(plan.trials or experiment.space.size, self._done + self._search.left)
        self.written: list[Record] = []

    def run(self) -> str:
        """Go on until there is a reason to stop; the reason."""
        ahead: deque[_Turn] = deque()
        while True:
            while len(ahead) < AHEAD and self._may_ask(len(ahead)):
                ahead.append(self._begin())
            if not ahead:
                return self._why_stopped()
            turn = ahead.popleft()
            record = self._finish(turn)
            self._search.tell(turn.candidate, record)
            self._tell_watcher(record)

    def close(self) -> None:
        """Let go of the device, which may be another one than at the start."""
        self._bench.device.close()

    def _may_ask(self, under_way: int) -> bool:
        enough = self._budget.trials is not None and self._done + under_way >= self._budget.trials
        return not enough and not self._out_of_time() and self._search.left > 0

    def _out_of_time(self) -> bool:
        return self._budget.seconds is not None and self._spent_s() >= self._budget.seconds

    def _spent_s(self) -> float:
        return self._spent_before_s + time.monotonic() - self._started

    def _why_stopped(self) -> str:
        return _why_done(self._bench.experiment, self._done, spent_s=self._spent_s())

    def _begin(self) -> _Turn:
        """Ask for a candidate and let its network be made; what the device cannot run costs no work."""
        candidate = self._search.ask()
        assert candidate is not None  # _may_ask saw that one is left
        try:
            self._bench.device.check(candidate.deployment)
        except Infeasible as refusal:
            return _Turn(candidate, refusal=refusal)
        return _Turn(candidate, network=self._prepare(candidate))

    def _prepare(self, candidate: Candidate) -> Future[Done]:
        return self._bench.pipeline.prepare(self._compression.of(candidate))

    def _finish(self, turn: _Turn) -> Record:
        """See the candidate through to one of its three endings, and write that down."""
        self._watcher.trial(turn.candidate)
        started, clock = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
        state, evaluation, reason, constraints = self._ending(turn)
        record = Record(
            number=self._done,
            state=state,
            params=turn.candidate.params,
            device=self._bench.device.name,
            started=started,
            seconds=time.monotonic() - clock,
            evaluation=evaluation,
            constraints=constraints,
            reason=reason,
        )
        self._store.append(record, raw=evaluation.raw)
        self._done += 1
        self.written.append(record)
        return record

    def _ending(self, turn: _Turn) -> tuple[State, Evaluation, str, dict[str, float]]:
        try:
            evaluation = self._evaluate(turn)
        except Infeasible as infeasible:
            return "infeasible", infeasible.measured or Evaluation(), str(infeasible), infeasible.violations
        except JobFailed as failure:
            tail = f"\n{failure.log_tail}" if failure.log_tail else ""
            return "failed", Evaluation(), f"{failure}{tail}", {}
        return "complete", evaluation, "", violations(self._bench.experiment.constraints, evaluation.metrics)

    def _evaluate(self, turn: _Turn) -> Evaluation:
        """Evaluate, and once more when a job failed; wait and reconnect when the device is lost."""
        if turn.refusal is not None:
            raise turn.refusal
        assert turn.network is not None  # a turn has a network or a refusal
        network, tried = turn.network, False
        while True:
            try:
                evaluation = evaluate(turn.candidate, network.result(), self._bench)
            except JobFailed as failure:
                if tried:
                    raise
                self._watcher.note(f"failed, tried once more: {failure}")
                tried, network = True, self._prepare(turn.candidate)
            except DeviceLost as loss:
                self._reconnect(loss)
            else:
                self._lost = 0
                return evaluation

    def _reconnect(self, loss: DeviceLost) -> None:
        self._lost += 1
        if self._lost >= LOST_IN_A_ROW:
            raise NoDevice(
                f"{loss} (lost {self._lost} times in a row; the study is saved and can be continued)"
            ) from loss
        self._watcher.note(f"{loss}; connecting again")
        time.sleep(BACK_OFF_S[self._lost - 1])
        self.close()
        device = _connect(self._bench.experiment, self._bench.pipeline.artifacts.root)
        self._bench = replace(self._bench, device=device)

    def _tell_watcher(self, record: Record) -> None:
        each = (time.monotonic() - self._started) / len(self.written)
        eta_s = each * (self.planned - self._done)
        self._watcher.recorded(record, done=self._done, planned=self.planned, eta_s=eta_s)
