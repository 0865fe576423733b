"""Plans loaded, and inferences that ONNX Runtime computes on what lies at the addresses given."""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np
import onnxruntime

from .building import MAGIC
from .world import World

_NUMPY = {"FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "INT32": np.int32, "BOOL": np.bool_}
_NUMPY.update({"UINT8": np.uint8, "INT64": np.int64})
_FROM_ONNX = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int64)": "INT64", "tensor(int8)": "INT8"}
_FROM_ONNX.update({"tensor(int32)": "INT32", "tensor(bool)": "BOOL", "tensor(uint8)": "UINT8"})


def of(module: Any, world: World, version: tuple[int, ...]) -> list[Any]:
    """The classes of a face."""

    class EngineInspector:
        def __init__(self, facts: dict[str, Any]) -> None:
            self._facts = facts

        def get_engine_information(self, format: Any) -> str:
            assert module.LayerInformationFormat(format).name == "JSON"
            if not self._facts["detailed"]:
                return json.dumps({"Layers": [layer["name"] for layer in self._facts["layers"]], "Bindings": []})
            told = "I/O Tensors" if version >= (11,) else "Bindings"
            return json.dumps({"Layers": [_told(layer, version) for layer in self._facts["layers"]], told: []})

    class IExecutionContext:
        def __init__(self, model: bytes) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self._at: dict[str, int] = {}

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._at[name] = memory
            return world.cuda.is_held(memory)

        def execute_async_v3(self, stream_handle: int) -> bool:
            if world.fault == "no inference":
                return False
            return world.cuda.enqueue(stream_handle, self._compute)

        def _compute(self) -> None:
            feed = {each.name: self._array(each) for each in self._session.get_inputs()}
            for port, result in zip(self._session.get_outputs(), self._session.run(None, feed), strict=True):
                self._array(port)[...] = result

        def _array(self, port: Any) -> Any:
            kind = np.dtype(_NUMPY[_FROM_ONNX[port.type]])
            size = int(np.prod(port.shape)) * kind.itemsize
            raw = (ctypes.c_ubyte * size).from_address(self._at[port.name])
            return np.frombuffer(raw, kind).reshape(port.shape)

    class ICudaEngine:
        def __init__(self, facts: dict[str, Any], model: bytes) -> None:
            self._facts, self._model = facts, model
            session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            self._ports = {each.name: (each, "INPUT") for each in session.get_inputs()}
            self._ports.update({each.name: (each, "OUTPUT") for each in session.get_outputs()})

        @property
        def num_io_tensors(self) -> int:
            return len(self._ports)

        def get_tensor_name(self, index: int) -> str:
            return list(self._ports)[index]

        def get_tensor_mode(self, name: str) -> Any:
            return getattr(module.TensorIOMode, self._ports[name][1])

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return tuple(size if isinstance(size, int) else -1 for size in self._ports[name][0].shape)

        def get_tensor_dtype(self, name: str) -> Any:
            return getattr(module.DataType, _FROM_ONNX[self._ports[name][0].type])

        def create_execution_context(self) -> Any:
            return None if world.fault == "no context" else IExecutionContext(self._model)

        def create_engine_inspector(self) -> Any:
            return EngineInspector(self._facts)

    class Runtime:
        DLA_core = -1

        def __init__(self, logger: Any) -> None:
            self._logger = logger
            if world.cuda.no_device:
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            facts = _head(serialized_engine)
            if facts is None or facts["version"] != module.__version__:
                text = "Error Code 1: Serialization (Serialization assertion stdVersionRead == kVERSION failed."
                self._logger.log(module.Severity.ERROR, text + " Version tag does not match.)")
                return None
            world.cores_loaded.append(self.DLA_core)
            return ICudaEngine(facts, serialized_engine[len(MAGIC) :].partition(b"\n")[2])

    return [EngineInspector, IExecutionContext, ICudaEngine, Runtime]


def _head(plan: bytes) -> dict[str, Any] | None:
    if not plan.startswith(MAGIC):
        return None
    found: dict[str, Any] = json.loads(plan[len(MAGIC) :].partition(b"\n")[0])
    return found


def _told(layer: dict[str, Any], version: tuple[int, ...]) -> dict[str, Any]:
    """As 10 and earlier say it, or as 11."""
    format_ = {"Format/Datatype": f"Row major linear {layer['reads']} format"}
    if version >= (11,):
        format_ = {"Format": "Row major linear", "Datatype": layer["reads"]}
    kind = "DLA" if layer["unit"] == "dla" else layer["kind"]
    port = {"Name": "x", "Dimensions": [1], **format_}
    return {"Name": layer["name"], "LayerType": kind, "Inputs": [port], "Outputs": [port], "TacticName": "fake"}
