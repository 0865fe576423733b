"""Runtimes: what compiles a network on this device and runs it. A plain dict of names; the reason why one cannot be
used is kept.

A runtime imports its library inside its methods, never at the top: the agent itself has no dependencies, and a
library whose import crashes must not take the agent with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Protocol

from explorer_agent.messages import Deployment
from explorer_agent.runtimes.onnxruntime import OnnxRuntime
from explorer_agent.runtimes.openvino import OpenVino
from explorer_agent.runtimes.tensorrt import TensorRt


class Engine(Protocol):
    """A loaded engine.

    It may also have ``facts() -> {"streams": [{"unit": str, "no_graph": why, or empty}, …]}``: how each step that was
    asked for runs, as plain JSON; asked for when all of them are there.
    """

    def step(self, inputs: Path | None) -> Callable[[], Any]:
        """The function that runs one batch and returns when its outputs are there; without `inputs` on seeded random
        numbers.

        Asked for once a stream of the deployment: what it gives each time may run in threads of their own, all at once.
        """

    def outputs(self, inputs: Path) -> bytes:
        """The outputs for every sample in the .npz `inputs`, as the bytes of an .npz."""


class Runtime(Protocol):
    """What a runtime offers; a plug-in imports nothing of ours to be one.

    It may also have ``bench()``, where its engines are measured (`explorer_agent.measuring.bench`), and ``verify(…)``,
    by which another runner checks an engine (`explorer_agent.runtimes.tensorrt`).
    """

    def available(self) -> str:
        """Why it cannot be used here; empty when it can."""

    def describe(self) -> dict[str, Any]:
        """``{"version": str, "precisions": {name: why not, or empty}}``; also makes what later jobs need ready to be
        forked.
        """

    def build(self, source: Path, deployment: Deployment, out: Path) -> dict[str, Any]:
        """Compile the ONNX file `source` into the file `out`; returns {"layers": {precision: count}} and whatever
        else is known.
        """

    def load(self, engine: Path, deployment: Deployment) -> Engine:
        """Load what `build` wrote."""


RUNTIMES: dict[str, Runtime] = {"onnxruntime": OnnxRuntime(), "openvino": OpenVino(), "tensorrt": TensorRt()}


def describe(name: str) -> dict[str, Any]:
    """What `hello` says about the runtime `name`."""
    why_not = RUNTIMES[name].available()
    if why_not:
        return absent(why_not)
    return dict(
        {"available": True, "why_not": "", "placements": ["cpu"], "streams_max": 1}, **RUNTIMES[name].describe()
    )  # one stream, unless the runtime says that its engines can do more


def absent(why_not: str) -> dict[str, Any]:
    """What `hello` says about a runtime that cannot be used."""
    return {"available": False, "why_not": why_not, "version": "", "precisions": {}}
