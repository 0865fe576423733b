"""TensorRT, 8.5 to 11, on a Jetson's GPU and DLAs or on any other NVIDIA GPU. Its engine is a zip of plans.

api      what the TensorRT at hand can do        source, calibration   the ONNX file and what travels with it
probe    is there a device; in its own process   build, timing         network, flags, plan; kernels' times
units    placements                              inspect, failures     what came out, or why nothing did
cuda     libcudart by ctypes                     plans, run            the engine's file; running it
trtexec, verify                          NVIDIA's own runner, as a cross-check
"""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path
from typing import Any, Callable

from explorer_agent import jetson
from explorer_agent.messages import INFEASIBLE, AgentError, Deployment, Plan
from explorer_agent.runtimes.library import why_not_importable
from explorer_agent.runtimes.tensorrt import api, build, plans, probe, run, timing, units, verify
from explorer_agent.runtimes.tensorrt.cuda import Cuda

STREAMS_MOST = 16  # a DLA core holds 16 loadables, and each stream has buffers of its own


class TensorRt:
    """The runtime as the agent sees it."""

    def __init__(
        self,
        ask: Callable[[], dict[str, Any]] = probe.ask,
        cuda: Callable[[], Cuda] = Cuda,
        timing_folder: Path | None = None,
    ) -> None:
        """Nothing is touched yet.

        Args:
            ask: what CUDA and TensorRT say of this board.
            cuda: libcudart, for jobs.
            timing_folder: where timing caches are kept; None: below the user's own.
        """
        self._ask, self._cuda = ask, cuda
        self._timing = timing_folder
        self._found: dict[str, Any] | None = None

    def available(self) -> str:
        if importlib.util.find_spec("tensorrt") is None:
            return (
                "tensorrt is not installed for this Python; JetPack brings it for /usr/bin/python3 (python3-libnvinfer)"
            )
        return why_not_importable("numpy") or str(self._facts()["why_not"])

    def describe(self) -> dict[str, Any]:
        import tensorrt

        facts, able = self._facts(), api.Api.of(tensorrt)
        return {
            "version": facts["version"],
            "precisions": api.precisions(able, facts["sm"]),
            "placements": units.placements(facts["dla_cores"]),
            "streams_max": STREAMS_MOST,
            "sm": facts["sm"],
            "dla_cores": facts["dla_cores"],
            "cuda": facts["cuda"],
            "strongly_typed_only": not able.weakly_typed,
        }

    def build(self, source: Path, deployment: Deployment, out: Path) -> dict[str, Any]:
        import tensorrt

        task = build.Task.of(tensorrt, self._facts(), source, deployment)
        return build.build(task, out, bound_to=self._bound_to(), folder=self._timing or timing.folder())

    def load(self, engine: Path, deployment: Deployment) -> run.Engine:
        import tensorrt

        found = self._plans(engine, deployment)
        cuda = self._cuda()
        cuda.use()
        loaded = [run.Plan(tensorrt, found[unit.kind], unit) for unit in self._units(deployment)]
        return run.Engine(cuda, loaded, deployment.streams)

    def verify(self, engine: Path, deployment: Deployment, asked: Plan, *, file: Path, graph: bool) -> dict[str, Any]:
        """What trtexec makes of an engine that was built here; see `verify.run`.

        Raises:
            AgentError: unsupported: trtexec is not here, or cannot run what runs on several units; failed: it did not
                start, or the engine is none of this board's.
        """
        unit = verify.one_unit(deployment.placement, self._units(deployment))
        plan, library = self._plans(engine, deployment)[unit.kind], str(self._facts()["version"])
        return dict(verify.run(plan, unit, deployment, asked, file=file, library=library, graph=graph))

    def _units(self, deployment: Deployment) -> list[units.Unit]:
        return units.units(deployment.placement, self._facts()["dla_cores"])

    def _plans(self, engine: Path, deployment: Deployment) -> dict[str, bytes]:
        """The plans of an engine that was built here, one for each kind of unit."""
        found, _ = plans.read(engine, self._bound_to())
        lacking = [k for k in units.kinds(deployment.placement, self._facts()["dla_cores"]) if k not in found]
        if lacking:
            raise AgentError(INFEASIBLE, f"the engine holds no plan for {', '.join(lacking)}, only {', '.join(found)}")
        return found

    def _facts(self) -> dict[str, Any]:
        """Asked once."""
        if self._found is None:
            self._found = self._ask()
        return self._found

    def _bound_to(self) -> dict[str, Any]:
        """What a plan cannot leave."""
        facts, nvidia = self._facts(), jetson.facts()
        told: dict[str, Any] = {name: nvidia[name] for name in ("soc", "module", "l4t") if name in nvidia}
        return dict(told, tensorrt=facts["version"], sm=facts["sm"], machine=platform.machine())
