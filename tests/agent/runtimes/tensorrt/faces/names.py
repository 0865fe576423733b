"""Enumerations as pybind11 makes them: a number by int(), and "DataType.FLOAT" as text."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Value(Enum):
    def __int__(self) -> int:
        return int(self.value)

    __index__ = __int__

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


def _made(name: str, *values: str) -> Any:
    return Value(name, {value: number for number, value in enumerate(values)})  # type: ignore[call-overload]


def of(version: tuple[int, ...]) -> list[Any]:
    """The enumerations of a version; numbers are the face's own."""
    flags = ["DEBUG", "GPU_FALLBACK", "REFIT", "DISABLE_TIMING_CACHE", "TF32", "SPARSE_WEIGHTS", "DIRECT_IO"]
    kinds = ["FLOAT", "HALF", "INT8", "INT32", "BOOL", "UINT8"]
    creation = ["EXPLICIT_BATCH"]
    if version < (11,):
        flags += ["FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"]
    if version >= (10,):
        kinds += ["FP8", "BF16", "INT64", "INT4"]
        creation += ["STRONGLY_TYPED"]
        flags += ["VERSION_COMPATIBLE"] + (["BF16", "FP8"] if version < (11,) else [])
    if version >= (11,):
        creation.remove("EXPLICIT_BATCH")
    return [
        _made("BuilderFlag", *flags),
        _made("DataType", *kinds),
        _made("NetworkDefinitionCreationFlag", *creation),
        _made("DeviceType", "GPU", "DLA"),
        _made("MemoryPoolType", "WORKSPACE", "DLA_MANAGED_SRAM", "DLA_LOCAL_DRAM", "DLA_GLOBAL_DRAM"),
        _made("ProfilingVerbosity", "LAYER_NAMES_ONLY", "NONE", "DETAILED"),
        _made("LayerInformationFormat", "ONELINE", "JSON"),
        _made("TensorIOMode", "NONE", "INPUT", "OUTPUT"),
        _made("ErrorCode", "SUCCESS", "INTERNAL_ERROR", "MODEL_DESERIALIZE_FAILED", "UNSUPPORTED_NODE"),
        _made("Severity", "INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"),
    ]
