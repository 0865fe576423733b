"""Where the rules come from: a tag for each source, and its address or file.

What a document says of one release is taken for that release and those it names; a rule that goes further says so.
"""

from __future__ import annotations

_DOCS = "https://docs.nvidia.com/deeplearning/tensorrt"
_ONNX = "https://github.com/onnx/onnx-tensorrt/blob"

SOURCES = {
    "dla-layers": f"{_DOCS}/latest/inference-library/dla-layer-restrictions.html",
    "dla-operators": "https://github.com/NVIDIA/Deep-Learning-Accelerator-SW/blob/main/operators/README.md",
    "dla-readme": "https://github.com/NVIDIA/Deep-Learning-Accelerator-SW/blob/main/README.md",
    "dla-subgraphs": "https://github.com/marcoslucianops/DeepStream-Yolo/issues/27",
    "dla-qdq": "https://github.com/NVIDIA/Deep-Learning-Accelerator-SW/tree/main/tools/qdq-translator",
    "dla-11.3": f"{_DOCS}/11.3.0/inference-library/work-with-dla.html",
    "dla-11.4.0": f"{_DOCS}/11.4.0/inference-library/work-with-dla.html",
    "dla-11.4.1": f"{_DOCS}/latest/inference-library/work-with-dla.html",
    "support-8.6": f"{_DOCS}/archives/tensorrt-861/support-matrix/index.html",
    "support": f"{_DOCS}/latest/getting-started/support-matrix.html",
    "dynamic-shapes": f"{_DOCS}/latest/inference-library/work-dynamic-shapes.html",
    "quantised-types": f"{_DOCS}/latest/inference-library/work-quantized-types.html",
    "bindings-11": "https://github.com/NVIDIA/TensorRT/blob/v11.1/python/src/infer/pyCore.cpp",
    "bindings-8.6": "https://github.com/NVIDIA/TensorRT/blob/v8.6.1/python/src/infer/pyCore.cpp",
    "onnx-changes": f"{_ONNX}/main/docs/Changelog.md",
    "onnx-8.2": f"{_ONNX}/release/8.2-GA/docs/operators.md",
    "onnx-8.5": f"{_ONNX}/release/8.5-GA/docs/operators.md",
    "onnx-8.6": f"{_ONNX}/release/8.6-GA/docs/operators.md",
    "onnx-9.2": f"{_ONNX}/release/9.2-GA/docs/operators.md",
    "onnx-10.0": f"{_ONNX}/release/10.0-GA/docs/operators.md",
    "onnx-10.15": f"{_ONNX}/release/10.15-GA/docs/operators.md",
    "onnx-11": f"{_DOCS}/latest/reference/onnx-opset-guide.html",
    "formats": f"{_DOCS}/latest/inference-library/advanced.html",
    "jetson-modules": "https://github.com/rbonghi/jetson_stats/blob/master/jtop/core/jetson_variables.py",
    "jetpack-35": "https://github.com/anduril/jetpack-nixos/blob/master/sourceinfo/r35.6-debs.json",
    "jetpack-36": "https://github.com/anduril/jetpack-nixos/blob/master/sourceinfo/r36.5-debs.json",
    "jetpack-38": "https://github.com/rbonghi/jetson_stats/issues/820",
    "jetpack-39": "https://github.com/anduril/jetpack-nixos/blob/master/sourceinfo/r39.2-debs.json",
    "agent": "agents/explorer_agent/runtimes/onnxfile.py",
    "agent-units": "agents/explorer_agent/runtimes/tensorrt/units.py",
    "board": "seen on the board",
}
