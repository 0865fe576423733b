"""One candidate → one evaluation: the story of a trial, readable top to bottom."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from explorer import plan
from explorer.datasets.protocols import Dataset, Tallying
from explorer.derivation import Given, Score, derived
from explorer.device.parcel import sha256_of_arrays
from explorer.errors import ExplorerError, Infeasible, JobFailed
from explorer.evaluate.bench import Bench, Clock
from explorer.evaluate.building import build, refuse
from explorer.evaluate.ladder import Preview, look
from explorer.evaluate.taking import Taken, batch, glance, measure, take, units, verified
from explorer.pipeline import Done
from explorer.result import Constraint, Evaluation, Metric, StageTime
from explorer.space import Candidate

Metrics = dict[str, Metric]


def evaluate(candidate: Candidate, network: Done, bench: Bench, *, once: str = "") -> Evaluation:
    """Build one candidate, run it on the board, and say how good it is.

    Args:
        candidate: the point of the space.
        network: its compressed network.
        bench: the device, the data and what else all trials share.
        once: a name for this trial; what the board has measured under it is not measured again.

    Raises:
        Infeasible: the device cannot run it, or it breaks a constraint; what was measured until then is kept.
        Dominated: others are better for sure; what was measured until then is kept.
        JobFailed: something broke for a reason that says nothing certain about the candidate.
        DeviceLost: the device went away.
    """
    clock, deployment = Clock(dict(network.times)), candidate.deployment
    artifacts = {**network.outputs, "onnx": network.sha256}
    preview = _preview(candidate, network, bench, stages=clock.times, artifacts=artifacts)
    built = build(network, deployment, bench, clock, follows_from=candidate.network)
    artifacts |= {"engine": built.engine}
    climbing = bench.hope is not None and plan.is_long(bench.experiment, bench.windows_s)
    if climbing and not (short := glance(built, candidate, network, bench, clock, once)).void:
        look("short bench", _so_far(short, preview, clock, artifacts), bench)
    taken = take(built, candidate, network, bench, clock, once)
    calibration = network.infos.get("quantise", {}).get("calibration", {})
    taken = replace(taken, units=units(built, network, taken.measurement, bench), calibration=calibration)
    evaluation = taken.evaluation(stages=clock.times, artifacts=artifacts)
    keep(bench.experiment.constraints, evaluation)  # cheap before dear
    if climbing:
        look("full bench", _so_far(taken, preview, clock, artifacts), bench)
    taken = verified(taken, built, deployment, bench, clock)
    with _measurement_stands():
        with clock.step("infer"):
            outputs = bench.device.infer(built, deployment, bench.inputs)
        with clock.step("score"), bench.judging:
            score = _score(bench.dataset, outputs)
    artifacts |= {"inputs": bench.device.sha256_of(bench.inputs), "outputs": sha256_of_arrays(outputs)}
    evaluation = taken.evaluation(score, stages=clock.times, artifacts=artifacts)
    keep(bench.experiment.constraints, evaluation)
    _complete(bench, evaluation)
    return evaluation


def _preview(
    candidate: Candidate,
    network: Done,
    bench: Bench,
    *,
    stages: Mapping[str, StageTime],
    artifacts: Mapping[str, str],
) -> Preview:
    """What the host made of the network, if anybody asks; what is impossible is refused before that counts."""
    preview = Preview() if bench.hope is None else Preview.of(network)
    if preview.samples:
        refuse(network, candidate.deployment, bench, follows_from=candidate.network)
        look("preview", preview.evaluation(stages=stages, artifacts=artifacts), bench)
    return preview


def _so_far(taken: Taken, preview: Preview, clock: Clock, artifacts: Mapping[str, str]) -> Evaluation:
    """What is known of a candidate whose outputs nobody has scored on the board."""
    found = taken.evaluation(preview.score or None, stages=clock.times, artifacts=artifacts)
    return replace(found, previewed=preview.told)


def measured(candidate: Candidate, network: Done, bench: Bench) -> Metrics:
    """What a candidate yields of time and energy alone, measured anew and as the board gives it.

    Raises:
        Infeasible, JobFailed, DeviceLost: as for `evaluate`.
    """
    clock, deployment = Clock(), candidate.deployment
    built = build(network, deployment, bench, clock)
    measurement = measure(built, deployment, replace(bench, reference=None), clock)
    return derived(measurement, Given(batch=batch(deployment))).metrics


def violations(constraints: Sequence[Constraint], metrics: Mapping[str, Metric]) -> dict[str, float]:
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


def keep(constraints: Sequence[Constraint], evaluation: Evaluation) -> None:
    """See whether the constraints whose metrics are known are kept.

    Raises:
        Infeasible: one is broken; what was measured is kept.
    """
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
