"""One candidate → one evaluation: the story of a trial, readable top to bottom."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from explorer import plan, verification
from explorer.config import Experiment
from explorer.datasets.protocols import Dataset, Tallying
from explorer.derivation import Given, Score, derived, raw_of, reference_level, score_json
from explorer.device import Built, Device
from explorer.device.parcel import sha256_of_arrays
from explorer.errors import BadInput, ExplorerError, Infeasible, JobFailed, on_board
from explorer.oracle import Foresight, graph_of
from explorer.pipeline import Done, Pipeline
from explorer.result import Constraint, Evaluation, Metric, StageTime
from explorer.scale import Limits, Scale
from explorer.space import Candidate
from explorer.statistics import Measurement
from explorer.units import units_of

Metrics = dict[str, Metric]
Reference = tuple[Built, Mapping[str, Any]]
# (board, ONNX file, its sha256, deployment) → the engine, on that board.
Builder = Callable[[Device, Path, str, Mapping[str, Any]], Built]


def on_the_board(board: Device, source: Path, sha256: str, deployment: Mapping[str, Any]) -> Built:
    """The board that is to run an engine builds it."""
    return board.build(source, deployment, sha256=sha256)


@dataclass(frozen=True)
class Bench:
    """What every trial on one device shares."""

    experiment: Experiment
    device: Device
    pipeline: Pipeline
    dataset: Dataset
    inputs: NDArray[Any]  # the dataset's evaluation inputs, read once
    scale: Scale = field(default_factory=Scale)  # how the board's numbers are brought to the first board's
    judging: threading.Lock = field(default_factory=threading.Lock)  # the dataset may be the user's: one at a time
    reference: Reference | None = None  # the engine to measure beside, and how to run it
    level: Metric | None = None  # what that engine yields where the study's scale was set, ms
    limits: Limits | None = None  # and between which its readings have been so far
    always_void: bool = False  # the board throttles whatever it is given: its numbers are flagged, not void
    builder: Builder = on_the_board  # makes the engine
    foresight: Foresight | None = None  # what is known to fail before a board is asked
    note: Callable[[str], None] = lambda _: None  # hears what a person should know

    def quiet(self) -> AbstractContextManager[None]:
        """Nobody else computes on the measured machine while this lasts."""
        return self.pipeline.standing_still() if self.device.shares_host else nullcontext()


@dataclass
class Clock:
    """How long each step took."""

    times: dict[str, StageTime] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.times[name] = StageTime(time.perf_counter() - started, cached=False)


def evaluate(candidate: Candidate, network: Done, bench: Bench, *, once: str = "") -> Evaluation:
    """Build one candidate, run it on the board, and say how good it is.

    Args:
        candidate: the point of the space.
        network: its compressed network.
        bench: the device, the data and what else all trials share.
        once: a name for this trial; what the board has measured under it is not measured again.

    Raises:
        Infeasible: the device cannot run it, or it breaks a constraint; what was measured until then is kept.
        JobFailed: something broke for a reason that says nothing certain about the candidate.
        DeviceLost: the device went away.
    """
    clock, deployment = Clock(dict(network.times)), candidate.deployment
    built = build(network, deployment, bench, clock)
    artifacts = {**network.outputs, "onnx": network.sha256, "engine": built.engine}
    taken = _taken(built, candidate, network, bench, clock, once)
    calibration = network.infos.get("quantise", {}).get("calibration", {})
    taken = replace(taken, units=_units(built, network, taken.measurement, bench), calibration=calibration)
    evaluation = taken.evaluation(stages=clock.times, artifacts=artifacts)
    _keep(bench.experiment.constraints, evaluation)  # cheap before dear
    taken = _verified(taken, built, deployment, bench, clock)
    with _measurement_stands():
        with clock.step("infer"):
            outputs = bench.device.infer(built, deployment, bench.inputs)
        with clock.step("score"), bench.judging:
            score = _score(bench.dataset, outputs)
    artifacts |= {"inputs": bench.device.sha256_of(bench.inputs), "outputs": sha256_of_arrays(outputs)}
    evaluation = taken.evaluation(score, stages=clock.times, artifacts=artifacts)
    _keep(bench.experiment.constraints, evaluation)
    _complete(bench, evaluation)
    return evaluation


def measured(candidate: Candidate, network: Done, bench: Bench) -> Metrics:
    """What a candidate yields of time and energy alone, measured anew and as the board gives it.

    Raises:
        Infeasible, JobFailed, DeviceLost: as for `evaluate`.
    """
    clock, deployment = Clock(), candidate.deployment
    built = build(network, deployment, bench, clock)
    measurement = _measure(built, deployment, replace(bench, reference=None), clock)
    return derived(measurement, Given(batch=_batch(deployment))).metrics


def violations(constraints: tuple[Constraint, ...], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """By how much each constraint whose metric is known is broken, in the metric's unit; ≤ 0 where it is kept."""
    return {str(c): c.violation(metrics[c.metric].value) for c in constraints if c.metric in metrics}


@contextmanager
def _measurement_stands() -> Iterator[None]:
    """What fails in here says nothing against the measurement, which is not taken again for it."""
    try:
        yield
    except JobFailed as failure:
        failure.measurement_stands = True
        raise


def build(network: Done, deployment: Mapping[str, Any], bench: Bench, clock: Clock | None = None) -> Built:
    """The engine of a network on the bench's board, compiled for it or found compiled.

    Raises:
        Infeasible, JobFailed, DeviceLost: as for `evaluate`.
    """
    source = bench.pipeline.artifacts.path(network.sha256)
    with _foreseen(source, network.sha256, deployment, bench):
        built = bench.builder(bench.device, source, network.sha256, deployment)
    if clock is not None:
        clock.times["build"] = StageTime(built.seconds, built.cached)
    return built


@contextmanager
def _foreseen(source: Path, sha256: str, deployment: Mapping[str, Any], bench: Bench) -> Iterator[None]:
    """Around a build: what is known to be impossible is not begun, and what the board refuses is known from now on."""
    if bench.foresight is None:
        yield
        return
    try:
        why = bench.foresight.of(source, sha256, deployment)
    except BadInput as error:  # the candidate's file, not the board, is at fault
        raise JobFailed(str(error)) from error
    if why:
        raise Infeasible(on_board(bench.device.name, why))
    try:
        yield
    except Infeasible as refusal:
        _learn(bench, bench.foresight, sha256, deployment, refusal)
        raise


def _learn(bench: Bench, foresight: Foresight, sha256: str, deployment: Mapping[str, Any], refusal: Infeasible) -> None:
    """Keep a refusal; where it cannot be kept, that is said, and it will be found out again."""
    try:
        foresight.learn(sha256, deployment, str(refusal).removeprefix(on_board(bench.device.name, "")))
    except BadInput as error:
        bench.note(str(error))


@dataclass(frozen=True)
class _Taken:
    """A measurement, and what else its figures follow from."""

    measurement: Measurement
    given: Given
    units: Mapping[str, Any] = field(default_factory=dict)
    verified: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)

    def evaluation(
        self, score: Score | None = None, *, stages: Mapping[str, StageTime], artifacts: Mapping[str, str]
    ) -> Evaluation:
        """What is known by now; without a score, what needs none."""
        known = derived(self.measurement, self.given, score)
        return Evaluation(
            known.metrics,
            known.estimated,
            known.simulated,
            stages=dict(stages),
            artifacts=dict(artifacts),
            flags=known.flags,
            units=self.units,
            calibration=self.calibration,
            scaled=known.scaled,
            verified=self.verified,
            raw=raw_of(self.measurement, self.given),
            score=None if score is None else score_json(score),
            reference=reference_level(self.measurement),
        )


def _units(built: Built, network: Done, measurement: Measurement, bench: Bench) -> Mapping[str, Any]:
    """Which units have run it, where the build told, and what they cost each other."""
    if not built.parts:
        return {}
    graph = graph_of(bench.pipeline.artifacts.path(network.sha256))
    return units_of(built.parts, graph, measurement.header.get("sharing"))


def _taken(built: Built, candidate: Candidate, network: Done, bench: Bench, clock: Clock, once: str) -> _Taken:
    """A measurement that is none (throttled, its clocks moved) is taken once more: cooling down is its first step.

    Raises:
        JobFailed: it is none again, and this board is not known for it.
    """
    for attempt in range(2):
        name = f"{once}/again" if once and attempt else once
        taken = _once(built, candidate, network, bench, clock, name)
        void = derived(taken.measurement, taken.given).void
        if not void or bench.always_void:
            return taken
    words = f"void: {' and '.join(void)}, and so when it was taken once more"
    raise JobFailed(
        words, measured=taken.evaluation(stages=clock.times, artifacts={"engine": built.engine}), final=True
    )


def _once(built: Built, candidate: Candidate, network: Done, bench: Bench, clock: Clock, once: str) -> _Taken:
    """One measurement: beside the reference where there is one and the board can hold both, else alone."""
    deployment, exact = candidate.deployment, _sizes(built, network)
    doubts: tuple[str, ...] = ()
    if bench.reference is not None:
        try:
            measurement = _measure(built, deployment, bench, clock, once)
        except JobFailed as failure:  # of memory mostly: two engines need more than one
            bench.note(f"{candidate}: measured without the reference beside it: {failure}")
            measurement = _measure(
                built, deployment, replace(bench, reference=None), clock, f"{once}/alone" if once else ""
            )
            doubts = ("no-reference",)
    else:
        measurement = _measure(built, deployment, bench, clock, once)
    given = Given(_batch(deployment), exact, bench.scale, bench.level, bench.limits, doubts)
    return _Taken(measurement, given)


def _measure(built: Built, deployment: dict[str, Any], bench: Bench, clock: Clock, once: str = "") -> Measurement:
    beside = () if bench.reference is None else (bench.reference,)
    asked = plan.of_trial(bench.experiment, beside=bool(beside))
    with clock.step("measure"), bench.quiet():
        return bench.device.measure(built, deployment, asked, inputs=bench.inputs, once=once, beside=beside)


def _verified(taken: _Taken, built: Built, deployment: dict[str, Any], bench: Bench, clock: Clock) -> _Taken:
    """The measurement with what another runner makes of the same engine, where that is wanted."""
    if not bench.experiment.measure.verify:
        return taken
    asked = plan.of_trial(bench.experiment, beside=False)
    with clock.step("verify"), bench.quiet():
        found = verification.verify(bench.device, built, deployment, taken.measurement, asked)
    doubts = (*taken.given.doubts, *verification.doubts(found))
    return replace(taken, verified=found, given=replace(taken.given, doubts=doubts))


def _batch(deployment: Mapping[str, Any]) -> int:
    return int(deployment.get("batch", 1))


def _score(dataset: Dataset, outputs: Any) -> Score:
    """What the dataset makes of the outputs; with its counts where it tells them. It may be the user's code: what goes
    wrong there fails the trial, not the study.
    """
    try:
        tallies = dataset.tallies(outputs) if isinstance(dataset, Tallying) else {}
        return {**dataset.score(outputs), **tallies}
    except ExplorerError:
        raise
    except Exception as error:
        tail = "".join(traceback.format_exception(error)[-6:])
        raise JobFailed(f"the dataset's score failed: {type(error).__name__}: {error}", log_tail=tail) from error


def _sizes(built: Built, network: Done) -> dict[str, float]:
    """What is exact: the engine's size, and the network's parameters and multiply-accumulates where they are known."""
    counts = network.infos.get("export", {})
    exact = {name: float(counts[name]) for name in ("params", "macs") if counts.get(name) is not None}
    return {"model_mb": built.bytes / 1e6, **exact}


def _keep(constraints: tuple[Constraint, ...], evaluation: Evaluation) -> None:
    amounts = violations(constraints, evaluation.metrics)
    broken = [
        f"{constraint} is broken: {evaluation.metrics[constraint.metric].value:.4g}"
        for constraint in constraints
        if amounts.get(str(constraint), 0.0) > 0
    ]
    if broken:
        raise Infeasible("; ".join(broken), violations=amounts, measured=evaluation)


def _complete(bench: Bench, evaluation: Evaluation) -> None:
    """A missing or meaningless objective voids the trial: it is never taken for zero, nor a constraint for kept."""
    metrics = evaluation.metrics
    for constraint in bench.experiment.constraints:
        if constraint.metric not in metrics:
            words = f"{constraint} cannot be judged: {constraint.metric} was not measured"
            raise JobFailed(f"{words} ({_why_missing(constraint.metric, bench, evaluation)})", measured=evaluation)
    for objective in bench.experiment.objectives:
        metric = metrics.get(objective.metric)
        if metric is None:
            words = f"the objective {objective.metric} was not measured"
            raise JobFailed(f"{words} ({_why_missing(objective.metric, bench, evaluation)})", measured=evaluation)
        if not math.isfinite(metric.value):
            raise JobFailed(f"the objective {objective.metric} came out as {metric.value}")


def _why_missing(metric: str, bench: Bench, evaluation: Evaluation) -> str:
    """Why a metric is not there, as far as the meter or the measurement tells."""
    if metric not in plan.METERED:
        reasons = [flag for flag in evaluation.flags if flag in ("arrival-too-short", "fewer-queries")]
        return ", ".join(reasons) or "measure for longer?"
    header = (evaluation.raw or {}).get("header", {})
    said = [str(header.get(name) or "") for name in ("sampler_failure", "meter_failure")]
    said += [flag for flag in evaluation.flags if flag in ("meter-failed", "rail-missing", "no-idle-baseline")]
    if "no-meter" in evaluation.flags:
        meters = bench.device.capabilities.get("meters", {})
        said += ["no-meter", *(f"{name}: {facts['why_not']}" for name, facts in meters.items() if facts["why_not"])]
    return "; ".join(filter(None, said)) or "the meter told nothing of it"
