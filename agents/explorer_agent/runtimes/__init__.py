"""Runtimes: what compiles a network on this device and runs it. A plain dict of names; the reason why one cannot be used is kept.

A runtime imports its library inside its methods, never at the top: the agent itself has no dependencies, and a library whose import
crashes must not take the agent with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Optional, Protocol

from explorer_agent.messages import INFEASIBLE, UNSUPPORTED, AgentError, Deployment
from explorer_agent.runtimes.onnxruntime import OnnxRuntime
from explorer_agent.runtimes.openvino import OpenVino


class Engine(Protocol):
    """A loaded engine."""

    def step(self, inputs: Optional[Path]) -> Callable[[], Any]:
        """The function that runs one batch and returns when its outputs are there; without `inputs` on seeded random numbers."""

    def outputs(self, inputs: Path) -> bytes:
        """The outputs for every sample in the .npz `inputs`, as the bytes of an .npz."""


class Runtime(Protocol):
    """What a runtime offers; a plug-in imports nothing of ours to be one."""

    def available(self) -> str:
        """Why it cannot be used here; empty when it can."""

    def describe(self) -> Dict[str, Any]:
        """``{"version": str, "precisions": {name: why not, or empty}}``; also makes what later jobs need ready to be forked."""

    def build(self, source: Path, deployment: Deployment, out: Path) -> Dict[str, Any]:
        """Compile the ONNX file `source` into the file `out`; returns {"layers": {precision: count}} and whatever else is known."""

    def load(self, engine: Path, deployment: Deployment) -> Engine:
        """Load what `build` wrote."""


RUNTIMES: Dict[str, Runtime] = {"onnxruntime": OnnxRuntime(), "openvino": OpenVino()}


def describe(name: str) -> Dict[str, Any]:
    """What `hello` says about the runtime `name`."""
    why_not = RUNTIMES[name].available()
    if why_not:
        return absent(why_not)
    return dict(
        {"available": True, "why_not": "", "placements": ["cpu"], "streams_max": 1}, **RUNTIMES[name].describe()
    )


def absent(why_not: str) -> Dict[str, Any]:
    """What `hello` says about a runtime that cannot be used."""
    return {"available": False, "why_not": why_not, "version": "", "precisions": {}}


def refuse(deployment: Deployment, known: Dict[str, Dict[str, Any]], cores: int) -> None:
    """Refuse what cannot work on this board, before any work. `known` is `hello`'s table of runtimes.

    Raises:
        AgentError: unsupported or infeasible, with the reason.
    """
    runtime = known.get(deployment.runtime)
    if runtime is None:
        raise AgentError(UNSUPPORTED, "unknown runtime %r" % deployment.runtime, hint="known: " + ", ".join(known))
    if not runtime["available"]:
        raise AgentError(
            INFEASIBLE, "the runtime %s cannot be used here: %s" % (deployment.runtime, runtime["why_not"])
        )
    for reason in _objections(deployment, runtime, cores):
        raise AgentError(INFEASIBLE, reason)


def _objections(deployment: Deployment, runtime: Dict[str, Any], cores: int) -> Any:
    why_not = runtime["precisions"].get(deployment.precision, "it knows only " + ", ".join(runtime["precisions"]))
    if why_not:
        yield "%s cannot run %s here: %s" % (deployment.runtime, deployment.precision, why_not)
    if deployment.threads > cores:
        yield "%d threads asked for, the board has %d cores" % (deployment.threads, cores)
    if deployment.placement not in runtime["placements"]:
        yield "placement %r: %s runs only on %s here" % (
            deployment.placement,
            deployment.runtime,
            ", ".join(runtime["placements"]),
        )
    if deployment.streams > runtime["streams_max"]:
        yield "%d streams: %s is measured with at most %d here" % (
            deployment.streams,
            deployment.runtime,
            runtime["streams_max"],
        )
    if deployment.power_mode:
        yield "power mode %r: this board has no power modes to choose from" % deployment.power_mode
