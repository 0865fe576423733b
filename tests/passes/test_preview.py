"""A network scored on this host on the way to a board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from explorer.passes import preview
from explorer.tally import Tally
from tests.passes.data import digits_like

PARAMS: dict[str, Any] = {"dataset": {"name": "tests.passes.data:digits_like"}, "samples": 50}


@pytest.fixture
def brightest(tmp_path: Path) -> Callable[[Any], Path]:
    """A network that names the brightest quarter, which is right; of a batch that is fixed, or not."""

    def make(batch: int | str, *, kind: str = "AveragePool") -> Path:
        nodes = [helper.make_node(kind, ["x"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4])]
        nodes += [helper.make_node("Flatten", ["pooled"], ["y"], axis=1)]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 1, 8, 8])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4])
        model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(model, tmp_path / "in.onnx")
        return tmp_path / "in.onnx"

    return make


@pytest.mark.parametrize("batch", ["n", 7])
def test_the_same_file_goes_on_and_its_answers_are_counted(brightest: Any, tmp_path: Path, batch: int | str) -> None:
    network, out = brightest(batch), tmp_path / "out.onnx"
    told = preview.run({"onnx": network}, PARAMS, out)
    assert out.read_bytes() == network.read_bytes()
    assert told["samples"] == 50
    tally = Tally.from_json(told["scores"]["accuracy"])
    assert (tally.clusters, tally.value()) == (50, 1.0)


def test_all_samples_where_there_are_no_more(brightest: Any, tmp_path: Path) -> None:
    told = preview.run({"onnx": brightest("n")}, {**PARAMS, "samples": 600}, tmp_path / "out.onnx")
    assert told["samples"] == len(digits_like().evaluation()) == 120


def test_what_this_host_cannot_run_goes_on_unscored_and_says_why(brightest: Any, tmp_path: Path) -> None:
    network, out = brightest("n", kind="NobodysPool"), tmp_path / "out.onnx"
    told = preview.run({"onnx": network}, PARAMS, out)
    assert out.read_bytes() == network.read_bytes()
    assert set(told) == {"why_not"}
    assert "NobodysPool" in told["why_not"]


def test_what_would_take_too_long_is_not_seen_through(
    brightest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "MOST_S", 0.0)
    told = preview.run({"onnx": brightest("n")}, PARAMS, tmp_path / "out.onnx")
    assert "it would take" in told["why_not"]
