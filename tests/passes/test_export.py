"""ONNX files: the same network, a batch that is truly dynamic, equal bytes for equal networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from explorer.errors import BadInput, JobFailed
from explorer.models import MODELS, checkpoint
from explorer.models.build import build
from explorer.passes import export, prune
from tests.passes.conftest import SHAPES, Make

NAMES = {"gaitset": "silhouettes", "gait2d_cnn": "flow", "gait3d_cnn": "flow"}


def ops(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


TINY = [name for name in MODELS if name.endswith("_tiny")]


@pytest.mark.parametrize(
    ("name", "opset"),
    [*((name, 20) for name in MODELS), *(pytest.param(name, 17, marks=pytest.mark.slow) for name in TINY)],
)
def test_file_computes_what_the_network_does_at_any_batch(
    name: str, opset: int, make_checkpoint: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, out, shape = make_checkpoint(name), tmp_path / "net.onnx", SHAPES[name]
    info = export.run({"checkpoint": source}, {"sample_shape": shape, "opset": opset}, out)
    assert capfd.readouterr() == ("", "")
    net, _ = checkpoint.load(source)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    batches = (1, 3, 8) if name in TINY else (2,)  # `run` itself has tried 1 and 3
    samples = torch.rand(max(batches), *shape)
    for batch in batches:
        with torch.no_grad():
            expected = net(samples[:batch]).numpy()
        (got,) = session.run(["embedding"], {NAMES[name.removesuffix("_tiny")]: samples[:batch].numpy()})
        assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max() + 1e-6
    assert info["opset"] == onnx.load(out).opset_import[0].version == opset
    assert 0 < info["max_abs_error"] < 1e-4
    assert onnx.load(out).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert not {"Shape", "Gather", "Unsqueeze"} & set(ops(out))  # every size but the batch's is a constant


def test_classifier_stays_behind(make_checkpoint: Make, tmp_path: Path) -> None:
    source = make_checkpoint("gait3d_cnn_tiny", classes=50)
    info = export.run({"checkpoint": source}, {"sample_shape": SHAPES["gait3d_cnn_tiny"]}, tmp_path / "net.onnx")
    net, _ = checkpoint.load(source)
    assert info["params"] == sum(p.numel() for n, p in net.named_parameters() if not n.startswith("classifier"))


def test_batch_norm_is_folded(make_checkpoint: Make, tmp_path: Path) -> None:
    source = make_checkpoint("tests.passes.data:Residual")
    for opset in (20, 17):
        info = export.run({"checkpoint": source}, {"sample_shape": [1, 8, 8], "opset": opset}, tmp_path / "net.onnx")
        assert "BatchNormalization" not in ops(tmp_path / "net.onnx")
        assert (info["inputs"], info["outputs"]) == (["input"], ["output"])


def test_pruned_network_exports(make_checkpoint: Make, tmp_path: Path) -> None:
    shape = {"sample_shape": SHAPES["gaitset_tiny"]}
    source = {"checkpoint": make_checkpoint("gaitset_tiny")}
    pruned = prune.run(source, {"prune_ratio": 0.5, **shape}, tmp_path / "pruned")
    info = export.run({"checkpoint": tmp_path / "pruned"}, shape, tmp_path / "net.onnx")
    assert (info["params"], info["macs"]) == (pruned["params"], pruned["macs"])


def test_equal_networks_give_equal_bytes(make_checkpoint: Make, tmp_path: Path) -> None:
    source = {"checkpoint": make_checkpoint("tests.passes.data:Residual")}
    for name in ("one.onnx", "other.onnx"):
        export.run(source, {"sample_shape": [1, 8, 8]}, tmp_path / name)
    content = (tmp_path / "one.onnx").read_bytes()
    assert content == (tmp_path / "other.onnx").read_bytes()
    assert b".py" not in content  # no traces of where it was made


def test_file_of_another_network_is_caught(make_checkpoint: Make, tmp_path: Path) -> None:
    export.run(
        {"checkpoint": make_checkpoint("tests.passes.data:Residual")},
        {"sample_shape": [1, 8, 8]},
        tmp_path / "net.onnx",
    )
    with pytest.raises(JobFailed, match="differs from the network"):
        export.check(tmp_path / "net.onnx", build("tests.passes.data:Residual"), (1, 8, 8))


@pytest.mark.parametrize("opset", [9, 99, "20"])
def test_opset_out_of_range(opset: object, make_checkpoint: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"opset: .*(.|\n)*13 … 23"):
        export.run(
            {"checkpoint": make_checkpoint("tests.passes.data:Residual")},
            {"sample_shape": [1, 8, 8], "opset": opset},
            tmp_path / "net.onnx",
        )


def test_network_that_cannot_be_exported(make_checkpoint: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be exported to ONNX"):
        export.run(
            {"checkpoint": make_checkpoint("tests.passes.data:Untraceable")},
            {"sample_shape": [1, 8, 8]},
            tmp_path / "o",
        )
