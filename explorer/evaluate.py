"""One candidate → one evaluation: the story of a trial, readable top to bottom."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from explorer.config import Experiment
from explorer.datasets.protocols import Dataset
from explorer.device import Built, Device
from explorer.errors import ExplorerError, Infeasible, JobFailed
from explorer.pipeline import Done, Pipeline
from explorer.result import Constraint, Evaluation, Metric, StageTime
from explorer.scale import Scale
from explorer.space import Candidate
from explorer.statistics import Measurement, derive

Metrics = dict[str, Metric]


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

    def quiet(self) -> AbstractContextManager[None]:
        """Nobody else computes on the measured machine while this lasts."""
        return self.pipeline.standing_still() if self.device.shares_host else nullcontext()


@dataclass
class _Clock:
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
    clock, deployment = _Clock(dict(network.times)), candidate.deployment
    built = _build(network, deployment, bench, clock)
    measurement = _measure(built, deployment, bench, clock, once)
    metrics, estimated, flags = derive(measurement, batch=int(deployment.get("batch", 1)))
    metrics, scaled = bench.scale.apply(metrics)
    metrics |= _sizes(built, network)
    evaluation = Evaluation(
        metrics,
        estimated,
        stages=clock.times,
        artifacts=_artifacts(network, built),
        flags=(*flags, *bench.scale.doubts),
        scaled=scaled,
        raw=measurement.raw,
    )
    _keep(bench.experiment.constraints, evaluation)  # cheap before dear
    with _measurement_stands():
        with clock.step("infer"):
            outputs = bench.device.infer(built, deployment, bench.inputs)
        with clock.step("score"), bench.judging:
            metrics |= _score(bench.dataset, outputs)
    _keep(bench.experiment.constraints, evaluation)
    _complete(bench.experiment, metrics)
    return evaluation


def measured(candidate: Candidate, network: Done, bench: Bench) -> Metrics:
    """What a candidate yields of time and energy alone, measured anew and as the board gives it.

    Raises:
        Infeasible, JobFailed, DeviceLost: as for `evaluate`.
    """
    clock, deployment = _Clock(), candidate.deployment
    built = _build(network, deployment, bench, clock)
    return derive(_measure(built, deployment, bench, clock), batch=int(deployment.get("batch", 1)))[0]


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


def _build(network: Done, deployment: dict[str, Any], bench: Bench, clock: _Clock) -> Built:
    source = bench.pipeline.artifacts.path(network.sha256)
    built = bench.device.build(source, deployment, sha256=network.sha256)
    clock.times["build"] = StageTime(built.seconds, built.cached)
    return built


def _measure(built: Built, deployment: dict[str, Any], bench: Bench, clock: _Clock, once: str = "") -> Measurement:
    plan = bench.experiment.measure.to_json()
    with clock.step("measure"), bench.quiet():
        return bench.device.measure(built, deployment, plan, inputs=bench.inputs, once=once)


def _score(dataset: Dataset, outputs: Any) -> Metrics:
    """The dataset's own metrics. It may be the user's code: what goes wrong there fails the trial, not the study."""
    try:
        return dataset.score(outputs)
    except ExplorerError:
        raise
    except Exception as error:
        tail = "".join(traceback.format_exception(error)[-6:])
        raise JobFailed(f"the dataset's score failed: {type(error).__name__}: {error}", log_tail=tail) from error


def _sizes(built: Built, network: Done) -> Metrics:
    """What is exact: the engine's size, and the network's parameters and multiply-accumulates where they are known."""
    counts = network.infos.get("export", {})
    exact = {name: Metric(float(counts[name])) for name in ("params", "macs") if counts.get(name) is not None}
    return {"model_mb": Metric(built.bytes / 1e6), **exact}


def _artifacts(network: Done, built: Built) -> dict[str, str]:
    return {**network.outputs, "onnx": network.sha256, "engine": built.engine}


def _keep(constraints: tuple[Constraint, ...], evaluation: Evaluation) -> None:
    amounts = violations(constraints, evaluation.metrics)
    broken = [
        f"{constraint} is broken: {evaluation.metrics[constraint.metric].value:.4g}"
        for constraint in constraints
        if amounts.get(str(constraint), 0.0) > 0
    ]
    if broken:
        raise Infeasible("; ".join(broken), violations=amounts, measured=evaluation)


def _complete(experiment: Experiment, metrics: Mapping[str, Metric]) -> None:
    """A missing or meaningless objective voids the trial: it is never taken for zero, nor a constraint for kept."""
    for constraint in experiment.constraints:
        if constraint.metric not in metrics:
            raise JobFailed(
                f"{constraint} cannot be judged: {constraint.metric} was not measured (measure for longer?)"
            )
    for objective in experiment.objectives:
        metric = metrics.get(objective.metric)
        if metric is None:
            raise JobFailed(f"the objective {objective.metric} was not measured")
        if not math.isfinite(metric.value):
            raise JobFailed(f"the objective {objective.metric} came out as {metric.value}")
