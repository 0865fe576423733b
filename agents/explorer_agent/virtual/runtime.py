"""TensorRT on a virtual board: what an engine computes is ONNX Runtime's, how long it takes is the roofline's.

build   ONNX ──► layers (what each has to do) ────┐
            └──► ONNX in the precision asked for ─┴─► one .zip
load    ──► a schedule in the present power mode      outputs() run for real;  step() moves the board's clock

Units, streams and power modes change no output here, and so engines of one network answer the same samples once. What
ONNX Runtime makes of a network differs from one time to the next in the order of its nodes, and would give the same
engine another name; so engines hold the network as it was before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from explorer_agent.cache import Cache
from explorer_agent.messages import FAILED, INFEASIBLE, UNSUPPORTED, AgentError, Deployment
from explorer_agent.runtimes import onnxfile
from explorer_agent.runtimes.library import why_not_importable
from explorer_agent.runtimes.onnxruntime import OnnxRuntime
from explorer_agent.runtimes.tensorrt import api
from explorer_agent.virtual import layers as layer_room
from explorer_agent.virtual import numerics, placement
from explorer_agent.virtual.bench import VirtualBench, VirtualStep
from explorer_agent.virtual.layers import Layer
from explorer_agent.virtual.schedule import Schedule, schedule
from explorer_agent.virtual.world import World

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8", "best")
STREAMS_MOST = 16
LOAD_S, LOAD_BYTES_PER_S = 0.3, 400e6  # of an engine: ASSUMED
FREE_SHARE = 0.8  # of the board's memory
_NETWORK, _FACTS = "network.onnx", "engine.json"
_ANSWERS = "answers"  # below the board's files


class Virtual:
    """The runtime as the agent sees it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def bench(self) -> VirtualBench:
        """Where its engines are measured; begins a measurement."""
        self._world.begin()
        return VirtualBench(self._world)

    def available(self) -> str:
        return why_not_importable("onnxruntime", "onnx", "numpy")

    def describe(self) -> dict[str, Any]:
        board = self._world.board
        OnnxRuntime().describe()
        return {
            "version": board.tensorrt,
            "precisions": {name: self._why_not(name) for name in PRECISIONS},
            "placements": list(board.placements),
            "streams_max": STREAMS_MOST,
            "sm": int(board.compute_capability.replace(".", "")),
            "dla_cores": board.dla_cores,
            "parser_opset": board.opset,
            "strongly_typed_only": False,
            "simulated_only": _in_earnest(board.tensorrt),
            "simulation": self._world.facts(),
        }

    def build(self, source: Path, deployment: Deployment, out: Path) -> dict[str, Any]:
        board = self._world.board
        if self._why_not(deployment.precision):
            raise AgentError(INFEASIBLE, f"{deployment.precision}: {self._why_not(deployment.precision)}")
        calibrated = _refuse(source, deployment, board.tensorrt)
        work = layer_room.of_onnx(source, deployment.batch, calibrated=calibrated)
        found = schedule(work, deployment, board, self._world.mode(deployment.power_mode))
        _fits(work, board.memory_mb * FREE_SHARE, self._world.faults.out_of_memory_mb)
        words = _write(out, work, source, deployment, self._bound_to())
        facts = dict(_told(found), simulation=self._world.facts(), strongly_typed=False)
        return dict(facts, numerics=f"{words}; by ONNX Runtime")

    def load(self, engine: Path, deployment: Deployment) -> VirtualEngine:
        content = _read(engine, self._bound_to())
        found = schedule(content.layers, deployment, self._world.board, self._world.course.mode)
        self._world.ask(json.dumps([content.source, asdict(deployment)], sort_keys=True))
        self._world.course.spend(LOAD_S + len(content.network) / LOAD_BYTES_PER_S, {"cpu": 2.0})
        return VirtualEngine(self._world, found, content, deployment)

    def verify(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Refuse it.

        Raises:
            AgentError: unsupported, always.
        """
        raise AgentError(UNSUPPORTED, "a virtual board has no trtexec")

    def _why_not(self, precision: str) -> str:
        rates = self._world.board.gpu_rates
        if precision == "fp8" and "fp8" in rates:
            return "the numbers come from ONNX Runtime, which has no fp8 on a CPU"
        if precision == "best" or precision in rates:
            return ""
        return f"{self._world.board.name} (sm {self._world.board.compute_capability}) computes {', '.join(rates)}"

    def _bound_to(self) -> dict[str, Any]:
        """What an engine cannot leave."""
        board = self._world.board
        return {"simulated": board.name, "l4t": board.l4t, "tensorrt": board.tensorrt}


class VirtualEngine:
    """A loaded engine."""

    def __init__(self, world: World, found: Schedule, content: _Content, deployment: Deployment) -> None:
        self.schedule = found
        self._world, self._content, self._deployment = world, content, deployment
        self._streams = 0

    def step(self, inputs: Path | None) -> Callable[[], Any]:
        number, self._streams = self._streams % len(self.schedule.lanes), self._streams + 1
        return VirtualStep(self._world, self.schedule, number)

    def facts(self) -> dict[str, Any]:
        """How it runs, as TensorRT's engine tells it."""
        return {"streams": [{"unit": lane.unit, "no_graph": ""} for lane in self.schedule.lanes]}

    def outputs(self, inputs: Path) -> bytes:
        by, samples = OnnxRuntime().describe()["version"], _digest(inputs.read_bytes())
        question = [by, _digest(self._content.network), self._deployment.batch, samples]
        answers = Cache(self._world.root / _ANSWERS)
        known = answers.get(question)
        if known is not None:
            return known[1]
        found = self._computed(inputs)
        with contextlib.suppress(OSError):  # without room for it, it is computed again
            answers.keep(question, {}, found)
        return found

    def _computed(self, inputs: Path) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _NETWORK
            path.write_bytes(self._content.network)
            compiled = _compiled(path, self._deployment)
            return OnnxRuntime().load(compiled, replace(self._deployment, streams=1, threads=0)).outputs(inputs)


def _fits(work: Sequence[Layer], free_mb: float, fault_mb: float) -> None:
    """Refuse an engine that the board's memory cannot hold."""
    needs_mb = (sum(layer.weights for layer in work) + 2 * max(layer.reads + layer.writes for layer in work)) * 4 / 1e6
    if needs_mb > min(free_mb, fault_mb):
        text = f"out of memory: the engine needs {needs_mb:.0f} MB, {min(free_mb, fault_mb):.0f} MB are free"
        raise AgentError(INFEASIBLE, text)


def _in_earnest(release: str) -> str:
    """Why a real board with this TensorRT could not be driven; empty where it could."""
    version = tuple(int(number) for number in release.split(".")[:2])
    return api.nameless(release) if version < api.FIRST else ""


def _refuse(source: Path, deployment: Deployment, version: str) -> bool:
    """Whether the network is float and brings a calibration; refuses it where its numbers are not those asked for, as
    TensorRT up to 10 does.

    Raises:
        AgentError: infeasible, with the reason.
    """
    import onnx

    quantised, precision = onnxfile.is_quantised(onnxfile.op_types(source)), deployment.precision
    calibrated = not quantised and bool(numerics.calibration(onnx.load(str(source))))
    if precision == "int8" and not quantised and not calibrated:
        raise AgentError(INFEASIBLE, "int8 asked for, but the network holds neither QuantizeLinear nor a calibration")
    if quantised and precision not in ("int8", "best"):
        raise AgentError(INFEASIBLE, f"{precision} asked for, but the network is quantised")
    if quantised and "dla" in deployment.placement:
        text = (
            f"a DLA of TensorRT {version} takes no QuantizeLinear: int8 there needs a calibration and a float network"
        )
        raise AgentError(INFEASIBLE, text)
    return calibrated and precision in ("int8", "best")


def _told(found: Schedule) -> dict[str, Any]:
    """What the build says of precisions, units and fallbacks."""
    layers: dict[str, int] = {}
    parts = placement.parts(found.runs)
    for part in parts.values():
        for precision, count in part["layers"].items():
            layers[precision] = layers.get(precision, 0) + count
    return {"layers": layers, "parts": parts}


def _write(out: Path, work: Sequence[Layer], source: Path, deployment: Deployment, bound_to: Mapping[str, Any]) -> str:
    """Write the engine; returns what it computes, in words."""
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder) / _NETWORK
        words = numerics.write(source, deployment.precision, network)
        _compiled(network, deployment)  # what cannot be is refused now
        digest = _digest(source.read_bytes())
        facts = {"simulated": True, "bound_to": dict(bound_to), "numerics": words, "source": digest}
        told = json.dumps(dict(facts, layers=[asdict(layer) for layer in work]), sort_keys=True)
        with zipfile.ZipFile(str(out), "w") as archive:
            for name, data in ((_FACTS, told.encode("ascii")), (_NETWORK, network.read_bytes())):
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return words


def _compiled(network: Path, deployment: Deployment) -> Path:
    """What ONNX Runtime makes of a network, beside it."""
    plain = not onnxfile.is_quantised(onnxfile.op_types(network))
    out = network.with_name("compiled.onnx")
    OnnxRuntime().build(network, replace(deployment, precision="fp32" if plain else "int8"), out)
    return out


class _Content(NamedTuple):
    """Of an engine's file.

    Attributes:
        network: in the precision asked for.
        source: sha256 of what the engine was built from.
    """

    layers: list[Layer]
    network: bytes
    source: str


def _read(engine: Path, bound_to: Mapping[str, Any]) -> _Content:
    """What an engine holds.

    Raises:
        AgentError: failed: it is none of a virtual board's; infeasible: it is that of another one.
    """
    try:
        with zipfile.ZipFile(str(engine)) as archive:
            facts, network = json.loads(archive.read(_FACTS).decode("ascii")), archive.read(_NETWORK)
            theirs, work = dict(facts["bound_to"]), [Layer(**layer) for layer in facts["layers"]]
            content = _Content(work, network, str(facts["source"]))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise AgentError(FAILED, f"not an engine of a virtual board: {error}") from error
    differing = [
        f"{name} {theirs.get(name)!r}, here {its!r}" for name, its in bound_to.items() if theirs.get(name) != its
    ]
    if differing:
        raise AgentError(INFEASIBLE, "the engine was built elsewhere: " + ", ".join(differing))
    return content


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
