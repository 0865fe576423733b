"""The bare work, in a plain loop that keeps nothing but the figures.

python bare.py cnn.onnx FOLDER counted     what Olive does: quantise, 10 + 20 inferences, size
python bare.py cnn.onnx FOLDER windowed    what explorer does, by its own functions: quantise, build, measure,
                                           outputs of 256 samples and their error, size
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import workload
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

Variant = Mapping[str, Any]
Figures = dict[str, float]


def main() -> None:
    model, folder, plan = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    work = {"counted": counted, "windowed": windowed}[plan](model)
    for number, variant in enumerate(workload.variants()):
        print(json.dumps({**variant, **work(variant, folder / f"{number:02}.onnx")}))


def counted(model: Path) -> Callable[[Variant, Path], Figures]:
    def work(variant: Variant, out: Path) -> Figures:
        quantize_static(
            model,
            out,
            workload.Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=variant["per_channel"],
            reduce_range=variant["reduce_range"],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8 if variant["weights"] == "int8" else QuantType.QUInt8,
            calibrate_method=CalibrationMethod[variant["calibration_method"]],
            extra_options={"ActivationSymmetric": variant["activation_symmetric"]},
        )
        return {"latency_ms": workload.latency_ms(out), "bytes": out.stat().st_size}

    return work


def windowed(model: Path) -> Callable[[Variant, Path], Figures]:
    import numpy as np

    from explorer.config import load
    from explorer.datasets.reference import FloatReference
    from explorer.passes import quantise
    from explorer_agent.measuring.measure import Entrant, measure
    from explorer_agent.messages import Deployment, Plan
    from explorer_agent.runtimes import RUNTIMES

    runtime, deployment = RUNTIMES["onnxruntime"], Deployment("onnxruntime", "int8", batch=1, threads=1)
    plan = Plan(**load(model.with_name("overhead.yaml")).measure.to_json())
    data = FloatReference(model)
    inputs = model.with_name("inputs.npz")
    np.savez(inputs, input=data.evaluation())

    def work(variant: Variant, out: Path) -> Figures:
        params = {"recipe": "onnxruntime", "calibration": workload.CALIBRATION, **workload.as_axes(variant)}
        quantise.run({"onnx": model}, params, out)
        engine = out.with_suffix(".engine")
        runtime.build(out, deployment, engine)
        alone = Entrant(lambda: [runtime.load(engine, deployment).step(inputs)], deployment)
        _, series = measure([alone], plan, None, tell=lambda _: None)
        packed = io.BytesIO(runtime.load(engine, Deployment("onnxruntime", "int8")).outputs(inputs))
        outputs = np.load(packed, allow_pickle=False)
        error = data.score(outputs["output"])["output_error"].value
        median = float(np.median(series["latency_s"]))
        return {"latency_ms": median * 1e3, "output_error": error, "bytes": engine.stat().st_size}

    return work


if __name__ == "__main__":
    main()
