"""The same 48 variants by Olive's search, exhaustive; runs in Olive's own environment.

python olive_sweep.py cnn.onnx FOLDER       a second time with the same FOLDER finds everything in Olive's cache
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"

import torch
import workload
from olive import run
from olive.data.registry import Registry
from olive.search.search_parameter import Categorical


class Samples(torch.utils.data.Dataset[Any]):
    """The calibration samples in the form Olive's loader wants: ({name: tensor}, label)."""

    def __init__(self) -> None:
        self._inputs = torch.from_numpy(workload.samples())

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, index: int) -> tuple[dict[str, torch.Tensor], int]:
        return {"input": self._inputs[index]}, 0


@Registry.register_dataset()
def benchmark_samples(**_: Any) -> Samples:
    return Samples()


def config(model: Path, folder: Path) -> dict[str, Any]:
    searched = {
        "per_channel": Categorical(list(workload.OPTIONS["per_channel"])),
        "reduce_range": Categorical(list(workload.OPTIONS["reduce_range"])),
        "precision": Categorical(list(workload.OPTIONS["weights"])),
        "activation_symmetric": Categorical(list(workload.OPTIONS["activation_symmetric"])),
        "calibrate_method": Categorical(list(workload.OPTIONS["calibration_method"])),
    }
    settings = {"onnx": {"session_options": {"intra_op_num_threads": 1}}}
    return {
        "input_model": {"type": "OnnxModel", "model_path": str(model)},
        "systems": {
            "here": {
                "type": "LocalSystem",
                "accelerators": [{"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}],
            }
        },
        "data_configs": [
            {
                "name": "samples",
                "type": "DataContainer",
                "load_dataset_config": {"type": "benchmark_samples"},
                "dataloader_config": {"batch_size": 1},
            }
        ],
        "evaluators": {
            "both": {
                "metrics": [
                    {
                        "name": "latency",
                        "type": "latency",
                        "data_config": "samples",
                        "sub_types": [
                            {
                                "name": "p50",
                                "priority": 1,
                                "metric_config": {"warmup_num": workload.WARM_UP, "repeat_test_num": workload.TIMED},
                            }
                        ],
                        "user_config": {"inference_settings": settings},
                    },
                    {"name": "size", "type": "size_on_disk", "sub_types": [{"name": "bytes", "priority": 2}]},
                ]
            }
        },
        "passes": {
            "quantise": {
                "type": "OnnxStaticQuantization",
                "data_config": "samples",
                "quant_preprocess": False,
                "prepare_qdq_config": False,
                "quant_format": "QDQ",
                "activation_type": "uint8",
                **searched,
            }
        },
        "search_strategy": {"execution_order": "joint", "sampler": "sequential"},
        "evaluator": "both",
        "evaluate_input_model": False,
        "host": "here",
        "target": "here",
        "cache_dir": str(folder / "cache"),
        "output_dir": str(folder / "output"),
        "log_severity_level": 3,
    }


def main() -> None:
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    result = run(config(model, folder))
    nodes = result.get_output_models() if result.has_output_model() else []
    footprint = json.loads((folder / "output" / "footprint.json").read_text())
    print(json.dumps({"front": len(nodes), "nodes": len(footprint)}))


if __name__ == "__main__":
    main()
