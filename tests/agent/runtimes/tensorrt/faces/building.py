"""The builder: it gives a plan or None, and says everything else through its log."""

from __future__ import annotations

import json
from typing import Any

from .world import World

MAGIC = b"fake plan\n"
ON_DLA = ("Conv", "Relu", "MaxPool", "AveragePool", "Add")
ARITHMETIC = {"Conv": "CaskConvolution", "Gemm": "MatrixMultiply", "MatMul": "MatrixMultiply"}
_FAULTS = {
    "memory": [
        "Requested amount of GPU memory (1073741824 bytes) could not be allocated.",
        "Error Code 2: OutOfMemory",
    ],
    "implementation": ["Error Code 10: Internal Error (Could not find any implementation for node conv.)"],
    "loadables": ["DLA node exceeds the maximum number of loadables (16) on core 0"],
    "device": ["Cuda Runtime (an illegal memory access was encountered)"],
    "silence": [],
}
_FAULTS["workspace"] = _FAULTS["implementation"]
_SKIPPED = "Skipping tactic 0 due to insufficient memory on requested size of 1170309120 detected for tactic 0."


def of(module: Any, world: World, version: tuple[int, ...]) -> list[Any]:
    """The classes of a face."""

    class ILogger:
        Severity = module.Severity

        def log(self, severity: Any, msg: str) -> None:
            raise RuntimeError('Tried to call pure virtual function "nvinfer1::ILogger::log"')  # as pybind11 says

    class Logger(ILogger):
        ERROR, WARNING = module.Severity.ERROR, module.Severity.WARNING

        def __init__(self, min_severity: Any = module.Severity.WARNING) -> None:
            self.min_severity = min_severity

        def log(self, severity: Any, msg: str) -> None:
            pass

    class ITimingCache:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def serialize(self) -> bytes:
            return b"timing " + (self.data[7:] or b"learnt")

    class IBuilderConfig:
        profiling_verbosity = module.ProfilingVerbosity.LAYER_NAMES_ONLY
        default_device_type = module.DeviceType.GPU
        DLA_core = -1

        def __init__(self) -> None:
            self.flags = {"TF32"}
            self.limits: dict[str, int] = {}
            self.cache: Any = None

        def set_flag(self, flag: Any) -> None:
            self.flags.add(module.BuilderFlag(flag).name)

        def clear_flag(self, flag: Any) -> None:
            self.flags.discard(module.BuilderFlag(flag).name)

        def can_run_on_DLA(self, layer: Any) -> bool:
            return _on_dla(layer)

        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            self.limits[module.MemoryPoolType(pool).name] = pool_size

        def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
            fits = not serialized_timing_cache or serialized_timing_cache.startswith(b"timing ")
            return ITimingCache(serialized_timing_cache) if fits else None

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            self.cache = cache
            return True

        def get_timing_cache(self) -> Any:
            return self.cache

    class Builder:
        def __init__(self, logger: Any) -> None:
            self._logger = logger
            if world.cuda.no_device:
                self._say(2, f"CUDA initialization failure with error: {world.cuda.no_device}.")
                raise TypeError("pybind11::init(): factory function returned nullptr")

        @property
        def num_DLA_cores(self) -> int:
            return world.dla_cores

        def create_builder_config(self) -> Any:
            return IBuilderConfig()

        def create_network(self, flags: int = 0) -> Any:
            if version < (10,) and not flags & 1 << int(module.NetworkDefinitionCreationFlag.EXPLICIT_BATCH):
                self._say(2, "Implicit batch: the ONNX parser only supports networks with an explicit batch")
            return module.INetworkDefinition(flags)

        def _say(self, severity: int, text: str) -> None:
            self._logger.log(list(module.Severity)[severity], text)

        def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
            world.seen.append((network, config))
            if network.fault in _FAULTS:
                if network.fault == "workspace":
                    self._say(2, _SKIPPED)
                for text in _FAULTS[network.fault]:
                    self._say(1, text)
                return None
            if any(size < 0 for tensor in network.inputs for size in tensor.shape):
                self._say(1, "Network has dynamic or shape inputs, but no optimization profile has been defined.")
                return None
            if "INT8" in config.flags and not _scaled(network):
                self._say(1, "Calibration failure occurred with no scaling factors detected.")
                return None
            return self._built(network, config)

        def _built(self, network: Any, config: Any) -> bytes | None:
            dla = config.default_device_type == module.DeviceType.DLA
            if dla and not config.flags & {"FP16", "INT8"} and version < (11,):
                self._say(1, "DLA only supports FP16 and Int8 precision type")
                return None
            where = {layer.name: "dla" if dla and _on_dla(layer) else "gpu" for layer in network.layers}
            back = [layer for layer in network.layers if dla and where[layer.name] == "gpu"]
            if back and "GPU_FALLBACK" not in config.flags:
                self._say(1, f"{back[0].name}: GPU fallback is not enabled and the layer is not supported on DLA")
                return None
            for layer in back:
                text = "Layer '{}' ({}): Unsupported on DLA. Switching this layer's device type to GPU."
                self._say(2, text.format(layer.name, layer.kind))
            self._tell(network, where)
            layers = [dict(_layer(layer, config, world, version), unit=where[layer.name]) for layer in network.layers]
            facts = {"version": module.__version__, "sm": world.sm, "layers": layers}
            detailed = config.profiling_verbosity == module.ProfilingVerbosity.DETAILED
            head = json.dumps(dict(facts, detailed=detailed)).encode()
            return MAGIC + head + b"\n" + bytes(network.model.SerializeToString())

        def _tell(self, network: Any, where: dict[str, str]) -> None:
            """The two lists of the build's log; neighbours on a DLA are told as one stretch."""
            for title, unit in (("DLA", "dla"), ("GPU", "gpu")):
                self._say(3, f"---------- Layers Running on {title} ----------")
                for stretch in _stretches(network.layers, where, unit):
                    if unit == "dla":
                        ends = [stretch[0].name, *([stretch[-1].name] if len(stretch) > 1 else [])]
                        self._say(3, "[DlaLayer] {ForeignNode[" + "...".join(ends) + "]}")
                    else:
                        for layer in stretch:
                            self._say(3, f"[GpuLayer] {layer.kind}: {layer.name}")

    return [ILogger, Logger, ITimingCache, IBuilderConfig, Builder]


def _on_dla(layer: Any) -> bool:
    """What works along two axes has kernels of two numbers and pads of four; with three axes it never runs there."""
    pads = [len(each.ints) for each in layer.node.attribute if each.name in ("pads", "kernel_shape")]
    return layer.node.op_type in ON_DLA and not {3, 6} & set(pads)


def _scaled(network: Any) -> bool:
    ranges = [layer.get_output(0).range is not None for layer in network.layers]
    return any(ranges) or any(layer.node.op_type == "QuantizeLinear" for layer in network.layers)


def _stretches(layers: list[Any], where: dict[str, str], unit: str) -> list[list[Any]]:
    found: list[list[Any]] = []
    inside = False
    for layer in layers:
        if where[layer.name] == unit:
            found = [*found[:-1], [*found[-1], layer]] if inside else [*found, [layer]]
        inside = where[layer.name] == unit
    return found


def _layer(layer: Any, config: Any, world: World, version: tuple[int, ...]) -> dict[str, Any]:
    """What the inspector will say of a layer: its type, and the type of what it reads."""
    tensor = layer.get_output(0)
    kept = {"HALF": "FP16", "BF16": "BF16", "INT8": "Int8"}.get(tensor.dtype.name, "FP32")
    computes, weakly = layer.node.op_type in ARITHMETIC, version < (11,) and world.takes_flags
    if computes and weakly:
        kept = next((flag for flag in ("FP16", "BF16") if flag in config.flags), kept)
    if computes and (layer.reads_quantised or (weakly and "INT8" in config.flags and tensor.range is not None)):
        kept = "Int8"
    return {"name": layer.name, "kind": ARITHMETIC.get(layer.node.op_type, "Reformat"), "reads": kept}
