"""A measurement of a candidate: alone or beside the reference, once more where it was none, and checked by another
runner where that is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from explorer import plan, verification
from explorer.derivation import Given, Score, derived, raw_of, reference_level, score_json
from explorer.device import Built
from explorer.errors import JobFailed
from explorer.evaluate.bench import Bench, Clock
from explorer.oracle import graph_of
from explorer.pipeline import Done
from explorer.result import Evaluation, StageTime
from explorer.space import Candidate
from explorer.statistics import Measurement
from explorer.units import units_of


@dataclass(frozen=True)
class Taken:
    """A measurement, and what else its figures follow from."""

    measurement: Measurement
    given: Given
    units: Mapping[str, Any] = field(default_factory=dict)
    verified: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def void(self) -> tuple[str, ...]:
        """Why it is none."""
        return derived(self.measurement, self.given).void

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


def units(built: Built, network: Done, measurement: Measurement, bench: Bench) -> Mapping[str, Any]:
    """Which units have run it, where the build told, and what they cost each other."""
    if not built.parts:
        return {}
    graph = graph_of(bench.pipeline.artifacts.path(network.sha256))
    return units_of(built.parts, graph, measurement.header.get("sharing"))


def take(built: Built, candidate: Candidate, network: Done, bench: Bench, clock: Clock, once: str) -> Taken:
    """A measurement that is none (throttled, its clocks moved) is taken once more: cooling down is its first step.

    Raises:
        JobFailed: it failed, or is none again, and this board is not known for it.
        Infeasible, DeviceLost: it could not be taken.
    """
    for attempt in range(2):
        name = f"{once}/again" if once and attempt else once
        taken = _once(built, candidate, network, bench, clock, name)
        void = taken.void
        if not void or bench.always_void:
            bench.windows_s.append(taken.measurement.windows_s)
            return taken
    words = f"void: {' and '.join(void)}, and so when it was taken once more"
    raise JobFailed(
        words, measured=taken.evaluation(stages=clock.times, artifacts={"engine": built.engine}), final=True
    )


def glance(built: Built, candidate: Candidate, network: Done, bench: Bench, clock: Clock, once: str) -> Taken:
    """A short measurement; it may be none, which the whole one will see to.

    Raises:
        Infeasible, JobFailed, DeviceLost: it could not be taken.
    """
    return _once(built, candidate, network, bench, clock, f"{once}/short" if once else "", short=True)


def _once(
    built: Built, candidate: Candidate, network: Done, bench: Bench, clock: Clock, once: str, *, short: bool = False
) -> Taken:
    """One measurement: beside the reference where there is one and the board can hold both, else alone."""
    deployment, exact = candidate.deployment, _sizes(built, network)
    doubts: tuple[str, ...] = ()
    if bench.reference is not None:
        try:
            measurement = measure(built, deployment, bench, clock, once, short=short)
        except JobFailed as failure:  # of memory mostly: two engines need more than one
            bench.note(f"{candidate}: measured without the reference beside it: {failure}")
            alone, name = replace(bench, reference=None), f"{once}/alone" if once else ""
            measurement = measure(built, deployment, alone, clock, name, short=short)
            doubts = ("no-reference",)
    else:
        measurement = measure(built, deployment, bench, clock, once, short=short)
    given = Given(batch(deployment), exact, bench.scale, bench.level, bench.limits, doubts)
    return Taken(measurement, given)


def measure(
    built: Built, deployment: dict[str, Any], bench: Bench, clock: Clock, once: str = "", *, short: bool = False
) -> Measurement:
    """One measurement, beside the bench's reference if it has one; the whole of it, or a short one.

    Raises:
        Infeasible, JobFailed, DeviceLost: as for `take`.
    """
    beside = () if bench.reference is None else (bench.reference,)
    asked = (plan.of_short if short else plan.of_trial)(bench.experiment, beside=bool(beside))
    with clock.step("short" if short else "measure"), bench.quiet():
        return bench.device.measure(built, deployment, asked, inputs=bench.inputs, once=once, beside=beside)


def verified(taken: Taken, built: Built, deployment: dict[str, Any], bench: Bench, clock: Clock) -> Taken:
    """The measurement with what another runner makes of the same engine, where that is wanted."""
    if not bench.experiment.measure.verify:
        return taken
    asked = plan.of_trial(bench.experiment, beside=False)
    with clock.step("verify"), bench.quiet():
        found = verification.verify(bench.device, built, deployment, taken.measurement, asked)
    doubts = (*taken.given.doubts, *verification.doubts(found))
    return replace(taken, verified=found, given=replace(taken.given, doubts=doubts))


def batch(deployment: Mapping[str, Any]) -> int:
    """Samples in one inference."""
    return int(deployment.get("batch", 1))


def _sizes(built: Built, network: Done) -> dict[str, float]:
    """What is exact: the engine's size, and the network's parameters and multiply-accumulates where they are known."""
    counts = network.infos.get("export", {})
    exact = {name: float(counts[name]) for name in ("params", "macs") if counts.get(name) is not None}
    return {"model_mb": built.bytes / 1e6, **exact}
