"""An engine for a candidate: what is known to be impossible is not begun, and a refusal is remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from explorer.device import Built
from explorer.errors import BadInput, Infeasible, JobFailed, on_board
from explorer.evaluate.bench import Bench, Clock
from explorer.oracle import Refusal
from explorer.pipeline import Done
from explorer.result import StageTime
from explorer.space import Value


def build(
    network: Done,
    deployment: Mapping[str, Any],
    bench: Bench,
    clock: Clock | None = None,
    *,
    follows_from: Mapping[str, Value] | None = None,
) -> Built:
    """The engine of a network on the bench's board, compiled for it or found compiled.

    Args:
        network: the compressed network.
        deployment: how it will run.
        bench: the board, and what is known of it.
        clock: is told how long it took.
        follows_from: all that the network can depend on, axis → value; without it no refusal becomes a rule.

    Raises:
        Infeasible, JobFailed, DeviceLost: as for `evaluate`.
    """
    source = bench.pipeline.artifacts.path(network.sha256)
    refuse(network, deployment, bench, follows_from=follows_from or {})
    with _remembered(network.sha256, deployment, bench):
        built = bench.builder(bench.device, source, network.sha256, deployment)
    if clock is not None:
        clock.times["build"] = StageTime(built.seconds, built.cached)
    return built


def refuse(network: Done, deployment: Mapping[str, Any], bench: Bench, *, follows_from: Mapping[str, Value]) -> None:
    """Refuse what is known to be impossible on the bench's board, before anything is asked of it.

    Raises:
        Infeasible, JobFailed: as for `build`.
    """
    if bench.foresight is None:
        return
    try:
        why = bench.foresight.of(bench.pipeline.artifacts.path(network.sha256), network.sha256, deployment)
    except BadInput as error:  # the candidate's file, not the board, is at fault
        raise JobFailed(str(error)) from error
    if why:
        reason = "; ".join(map(str, why))
        raise Infeasible(on_board(bench.device.name, reason), because=_culprit(why, deployment, follows_from))


@contextmanager
def _remembered(sha256: str, deployment: Mapping[str, Any], bench: Bench) -> Iterator[None]:
    """Around a build: what the board refuses is known from now on."""
    try:
        yield
    except Infeasible as refusal:
        _learn(bench, sha256, deployment, refusal)
        raise


def _culprit(
    why: Sequence[Refusal], deployment: Mapping[str, Any], follows_from: Mapping[str, Value]
) -> dict[str, Value]:
    """The values that suffice for the refusal that asks least: those the network follows from, and what it asks."""
    known = [one.asks for one in why if one.asks is not None]
    if not known or not follows_from:
        return {}
    asked = min(known, key=len)
    return {**follows_from, **{axis: deployment[axis] for axis in asked if axis in deployment}}


def _learn(bench: Bench, sha256: str, deployment: Mapping[str, Any], refusal: Infeasible) -> None:
    """Keep a refusal; where it cannot be kept, that is said, and it will be found out again."""
    if bench.foresight is None:
        return
    try:
        bench.foresight.learn(sha256, deployment, str(refusal).removeprefix(on_board(bench.device.name, "")))
    except BadInput as error:
        bench.note(str(error))
