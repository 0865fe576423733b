"""The parser and the network: ONNX read by onnx, a layer for each node."""

from __future__ import annotations

import warnings
from typing import Any

import onnx
from onnx import TensorProto

from .world import FAULT, World

KINDS = {"Conv": "CONVOLUTION", "Relu": "ACTIVATION", "Gemm": "MATRIX_MULTIPLY", "GlobalAveragePool": "REDUCE"}
KINDS.update({"Flatten": "SHUFFLE", "MaxPool": "POOLING", "AveragePool": "POOLING", "Add": "ELEMENTWISE"})
KINDS.update({"MatMul": "MATRIX_MULTIPLY", "QuantizeLinear": "QUANTIZE", "DequantizeLinear": "DEQUANTIZE"})
KINDS.update({"Cast": "CAST", "Constant": "CONSTANT", "Reshape": "SHUFFLE", "Transpose": "SHUFFLE"})
_TYPES = {TensorProto.FLOAT: "FLOAT", TensorProto.FLOAT16: "HALF", TensorProto.INT8: "INT8", TensorProto.BOOL: "BOOL"}
_TYPES.update({TensorProto.INT32: "INT32", TensorProto.UINT8: "UINT8", TensorProto.BFLOAT16: "BF16"})


def of(module: Any, world: World, version: tuple[int, ...]) -> list[Any]:
    """The classes of a face."""

    def data_type(element: int) -> Any:
        wide = "INT64" if version >= (10,) else "INT32"  # until 8.6 the parser narrows them
        name = wide if element == TensorProto.INT64 else _TYPES.get(element, "FLOAT")
        return getattr(module.DataType, name)

    class ITensor:
        name: str
        dtype: Any

        def __init__(self, name: str, element: int, shape: tuple[int, ...]) -> None:
            self.name, self.dtype, self.shape = name, data_type(element), shape
            self.range: tuple[float, float] | None = None

        if version < (11,):

            def set_dynamic_range(self, min: float, max: float) -> bool:
                if version >= (10, 1):
                    warnings.warn("Deprecated in TensorRT 10.1.", DeprecationWarning, stacklevel=2)
                self.range = (min, max)
                return max > min

    class ILayer:
        name: str
        num_outputs: int

        def __init__(self, node: Any, number: int, tensors: dict[str, Any], quantised: set[str]) -> None:
            self.node = node
            self.reads_quantised = bool(quantised.intersection(node.input))
            self.kind = KINDS[node.op_type]
            self.name = node.name or f"(Unnamed Layer* {number}) [{node.op_type}]"
            self.num_outputs = len(node.output)
            self._outputs = [tensors.get(name) for name in node.output]

        def get_output(self, index: int) -> Any:
            return self._outputs[index]

    class INetworkDefinition:
        def __init__(self, flags: int) -> None:
            self.flags = flags
            self.model: Any = None
            self.inputs: list[Any] = []
            self.layers: list[Any] = []
            self.fault = world.fault

        @property
        def num_inputs(self) -> int:
            return len(self.inputs)

        @property
        def num_layers(self) -> int:
            return len(self.layers)

        def get_input(self, index: int) -> Any:
            return self.inputs[index]

        def get_layer(self, index: int) -> Any:
            return self.layers[index]

    class ParserError:
        def __init__(self, code: Any, desc: str, node: int) -> None:
            self._told = code, desc, node

        def code(self) -> Any:
            return self._told[0]

        def desc(self) -> str:
            return self._told[1]

        def node(self) -> int:
            return self._told[2]

    class OnnxParser:
        def __init__(self, network: Any, logger: Any) -> None:
            self._network, self._logger = network, logger
            self._errors: list[Any] = []

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def get_error(self, index: int) -> Any:
            return self._errors[index]

        def parse(self, model: bytes, path: str = "") -> bool:
            try:
                read = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(model), strict_mode=True)
                onnx.checker.check_model(read)
            except Exception as error:  # noqa: BLE001  protobuf's and onnx's own are many
                code = module.ErrorCode.MODEL_DESERIALIZE_FAILED
                self._errors.append(ParserError(code, f"Failed to parse the ONNX model: {error}", -1))
                return False
            unknown = [(number, n) for number, n in enumerate(read.graph.node) if n.op_type not in KINDS]
            for number, node in unknown:
                text = f"No importer registered for op: {node.op_type}. Attempting to import as plugin."
                self._errors.append(ParserError(module.ErrorCode.UNSUPPORTED_NODE, text, number))
                self._logger.log(module.Severity.ERROR, text)
            if not unknown:
                self._fill(read)
            return not unknown

        def _fill(self, read: Any) -> None:
            graph = read.graph
            shapes = {each.name: each.type.tensor_type for each in (*graph.input, *graph.value_info, *graph.output)}
            tensors = {name: ITensor(name, kind.elem_type, _shape(kind)) for name, kind in shapes.items()}
            weights = {each.name for each in graph.initializer}
            self._network.model = read
            self._network.inputs = [tensors[each.name] for each in graph.input if each.name not in weights]
            quantised = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
            self._network.layers = [ILayer(node, number, tensors, quantised) for number, node in enumerate(graph.node)]
            for note in read.metadata_props:
                if note.key == FAULT:
                    self._network.fault = note.value

    return [ITensor, ILayer, INetworkDefinition, ParserError, OnnxParser]


def _shape(kind: Any) -> tuple[int, ...]:
    return tuple(each.dim_value if each.HasField("dim_value") else -1 for each in kind.shape.dim)
