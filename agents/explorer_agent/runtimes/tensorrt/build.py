"""From an ONNX file to plans that TensorRT serialised: the network, how it is to be built, and what came out.

    source ──batch fixed──► parser ──► network ──ranges──► builder ──► plan ──► inspector and log: where, how precise
                              │                   config      │
                              ▼                               ▼
                          its errors              None: the reason is in the log

A label that does not hold is refused after the build: fp16 without a layer in fp16, a DLA without a layer on it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping

from explorer_agent import board
from explorer_agent.messages import INFEASIBLE, AgentError, Deployment
from explorer_agent.runtimes import onnxfile
from explorer_agent.runtimes.tensorrt import api, calibration, failures, inspect, plans, source, timing, units

WORKSPACE_SHARE = 0.25  # of the memory that is free: on a Jetson the builder, the agent and the GPU share it
DLA_PRECISIONS = ("fp16", "int8", "best")
_ANYTHING = ("fp32", "tf32", "best")  # what every network may end in, whatever the label


@dataclass(frozen=True)
class Task:
    """One network to be built for one board."""

    trt: Any
    api: api.Api
    hardware: Mapping[str, Any]  # "sm", "dla_cores"
    deployment: Deployment
    model: bytes  # with its batch
    notes: Mapping[str, str]
    quantised: bool

    @classmethod
    def of(cls, trt: Any, hardware: Mapping[str, Any], path: Path, deployment: Deployment) -> Task:
        """Read the source.

        Raises:
            AgentError: infeasible: no ONNX file, or one that cannot be had with this batch.
        """
        quantised = onnxfile.is_quantised(onnxfile.op_types(path))
        model = path.read_bytes()
        with_batch, notes = source.with_batch(model, deployment.batch), source.notes(model)
        return cls(trt, api.Api.of(trt), hardware, deployment, with_batch, notes, quantised)

    @property
    def strongly_typed(self) -> bool:
        return not self.api.weakly_typed or self.notes.get(source.TYPING) == "strong"

    @property
    def on_dla(self) -> bool:
        return "dla" in self.deployment.placement


def refuse(task: Task) -> None:
    """What cannot work, before anything is built.

    Raises:
        AgentError: infeasible, with the reason.
    """
    found = units.units(task.deployment.placement, task.hardware["dla_cores"])
    units.require_a_stream_each(found, task.deployment.streams)
    for reason in _objections(task, task.deployment.precision, task.api.version):
        raise AgentError(INFEASIBLE, reason)


def _objections(task: Task, precision: str, version: str) -> Iterator[str]:
    by_ranges = task.api.dynamic_ranges and not task.strongly_typed
    calibrated = source.CALIBRATION in task.notes and by_ranges
    if task.on_dla and precision not in DLA_PRECISIONS:
        yield f"a DLA computes in fp16 and int8, not in {precision}"
    if task.strongly_typed and not task.api.strongly_typed:
        yield f"the network is to be strongly typed, which TensorRT {version} cannot"
    if precision == "int8" and not task.quantised and not calibrated:
        words = "neither QuantizeLinear nor a calibration" if task.api.dynamic_ranges else "no QuantizeLinear"
        yield f"int8 asked for, but the network holds {words}"
    if precision == "int8" and task.quantised and task.on_dla and task.api.dynamic_ranges:
        yield f"a DLA of TensorRT {version} takes no QuantizeLinear: int8 there needs a calibration and a float network"
    if precision == "fp8" and not task.quantised:
        yield "fp8 asked for, but the network holds no QuantizeLinear"
    if task.quantised and precision not in ("int8", "fp8", "best"):
        yield f"{precision} asked for, but the network is quantised"


def build(task: Task, out: Path, *, bound_to: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Build the plans of `task` into the file `out`.

    Args:
        task: what, and on which board.
        out: the engine's file.
        bound_to: what the plans cannot leave.
        folder: where timing caches are kept.

    Returns:
        {"layers": {precision: count}, "parts": {unit: …}} as the engines tell it.

    Raises:
        AgentError: infeasible or failed, with the reason and TensorRT's log.
    """
    refuse(task)
    made, parts = {}, {}
    for kind in units.kinds(task.deployment.placement, task.hardware["dla_cores"]):
        made[kind], parts[kind] = _Builder(task, kind).build(timing.path(folder, bound_to, task.deployment.power_mode))
    layers: Counter[str] = Counter()
    for part in parts.values():
        layers.update(part["layers"])
    told = {"layers": dict(layers), "parts": parts, "strongly_typed": task.strongly_typed}
    plans.write(out, made, {"bound_to": dict(bound_to), "placement": task.deployment.placement})
    return told


class _Builder:
    """Builds one plan."""

    def __init__(self, task: Task, kind: str) -> None:
        self._task, self._trt, self._kind = task, task.trt, kind
        self._log: failures.Log = []
        self._logger = failures.logger(task.trt, self._log)
        self._trt.init_libnvinfer_plugins(self._logger, "")
        self._builder = failures.made(self._trt.Builder, self._logger, self._log)
        self._network = self._parsed()
        self._config = self._builder.create_builder_config()

    def build(self, timing_path: Path) -> tuple[bytes, dict[str, Any]]:
        self._require_types()
        self._configure()
        lacking = self._scale()
        names = [self._network.get_layer(number).name for number in range(self._network.num_layers)]
        self._require_dla(names)
        cache = timing.Cache(timing_path)
        cache.into(self._config)
        workspace = self._limit_memory()
        serialised = self._builder.build_serialized_network(self._network, self._config)
        if serialised is None:
            raise failures.classified(self._log, "TensorRT built nothing")
        plan = bytes(serialised)
        facts = {"workspace_mb": workspace >> 20, "timing_cache": cache.keep(self._config), "plan_bytes": len(plan)}
        return plan, dict(facts, **self._inspected(plan, names, lacking))

    def _parsed(self) -> Any:
        """The network, by TensorRT's own parser."""
        wanted, creation = 0, self._trt.NetworkDefinitionCreationFlag
        if self._task.api.explicit_batch:
            wanted |= 1 << int(creation.EXPLICIT_BATCH)
        if self._task.strongly_typed and self._task.api.strongly_typed_by_flag:
            wanted |= 1 << int(creation.STRONGLY_TYPED)
        network = self._builder.create_network(wanted)
        self._parser = self._trt.OnnxParser(network, self._logger)  # the network's weights are the parser's
        if not self._parser.parse(self._task.model):
            raise failures.unparsed(self._trt, self._parser, self._log)
        return network

    def _require_types(self) -> None:
        """A strongly typed network runs in its own types, whatever the label says."""
        if not self._task.strongly_typed or self._task.quantised or self._task.deployment.precision == "best":
            return
        wanted = {"fp16": "HALF", "bf16": "BF16"}.get(self._task.deployment.precision, "FLOAT")
        types = Counter(
            str(tensor.dtype).rpartition(".")[2]
            for layer in map(self._network.get_layer, range(self._network.num_layers))
            for tensor in map(layer.get_output, range(layer.num_outputs))
            if tensor is not None
        )
        if not types[wanted] or (wanted == "FLOAT" and types["HALF"] + types["BF16"]):
            text = "{} asked for, but the network holds {}, and TensorRT {} takes its types as they are"
            told = ", ".join(f"{count} {name}" for name, count in types.most_common())
            raise AgentError(INFEASIBLE, text.format(self._task.deployment.precision, told, self._task.api.version))

    def _configure(self) -> None:
        config, trt, precision = self._config, self._trt, self._task.deployment.precision
        if not self._task.strongly_typed:
            for flag in self._flags():
                config.set_flag(getattr(trt.BuilderFlag, flag))
        if "TF32" in self._task.api.flags and precision not in ("tf32", "best"):
            config.clear_flag(trt.BuilderFlag.TF32)  # it is on unless told otherwise, and no fp32
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if self._kind == units.DLA:
            config.default_device_type = trt.DeviceType.DLA
            config.DLA_core = units.units(self._task.deployment.placement, self._task.hardware["dla_cores"])[-1].core
            config.set_flag(trt.BuilderFlag.GPU_FALLBACK)  # also dla_only: what goes in and out is converted there

    def _flags(self) -> list[str]:
        """Without a scale anywhere the builder fails at the flag of int8, and so does it at that of fp8."""
        scaled = {"INT8": self._task.quantised or source.CALIBRATION in self._task.notes, "FP8": self._task.quantised}
        wanted = api.flags(self._task.deployment.precision, self._task.api, self._task.hardware["sm"])
        return [flag for flag in wanted if scaled.get(flag, True)]

    def _scale(self) -> list[str]:
        """Give the tensors their scales; returns those that have none."""
        cache = self._task.notes.get(source.CALIBRATION, "")
        if self._task.deployment.precision not in ("int8", "best") or self._task.quantised or not cache:
            return []
        if self._task.strongly_typed or not self._task.api.dynamic_ranges:
            return []
        return calibration.apply(self._trt, self._network, calibration.scales(cache))

    def _require_dla(self, names: list[str]) -> None:
        """Where no layer may fall back, ask beforehand: a build takes minutes."""
        if self._kind != units.DLA or not units.is_strict(self._task.deployment.placement):
            return
        layers = map(self._network.get_layer, range(self._network.num_layers))
        _refuse_fallbacks([layer.name for layer in layers if not self._config.can_run_on_DLA(layer)], len(names))

    def _limit_memory(self) -> int:
        free = board.memory_mb().get("MemAvailable", 0) << 20
        limit = int(free * WORKSPACE_SHARE)
        if limit:
            self._config.set_memory_pool_limit(self._trt.MemoryPoolType.WORKSPACE, limit)
        return limit

    def _inspected(self, plan: bytes, names: list[str], lacking: list[str]) -> dict[str, Any]:
        """Where the layers went, by the engine and the log; a label that does not hold is refused."""
        where = inspect.placed(self._log, names)
        found = inspect.layers(self._information(plan))
        asked = self._task.deployment
        if self._kind == units.DLA:
            if not where.dla and not found["dla_blocks"]:
                why = "; ".join(f"{name}: {reason}" for name, reason in list(where.fallbacks.items())[:5])
                raise AgentError(
                    INFEASIBLE, f"a DLA asked for, but no layer runs on it: {why or 'no reason was given'}"
                )
            if units.is_strict(asked.placement):
                _refuse_fallbacks(where.gpu, len(names))
        if asked.precision not in _ANYTHING and found["layers"] and asked.precision not in found["layers"]:
            text = f"{asked.precision} asked for, but no layer runs in it ({found['layers']})"
            raise AgentError(INFEASIBLE, text)
        told = dict(where.facts(), **found) if self._kind == units.DLA else found
        return dict(told, **({"without_scale": lacking[:200]} if lacking else {}))

    def _information(self, plan: bytes) -> str:
        runtime = failures.made(self._trt.Runtime, self._logger, self._log)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise failures.classified(self._log, "TensorRT cannot load what it has just built")
        return str(engine.create_engine_inspector().get_engine_information(self._trt.LayerInformationFormat.JSON))


def _refuse_fallbacks(names: list[str], count: int) -> None:
    if names:
        told = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
        text = f"dla_only asked for, but {len(names)} of {count} layers cannot run on the DLA: {told}"
        raise AgentError(INFEASIBLE, text, hint="placement dla, where such layers run on the GPU")
