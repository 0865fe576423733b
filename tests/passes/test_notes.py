"""What the host notes in a file, the agent finds: neither imports the other, so this holds the two together."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from explorer.passes import notes, ranges
from explorer_agent.runtimes.tensorrt import calibration, source

from .conftest import Quantised, calibrating


def test_both_sides_use_the_same_keys() -> None:
    assert (notes.CALIBRATION, notes.TYPING) == (source.CALIBRATION, source.TYPING)


def test_the_agent_reads_the_scales_that_were_written(for_tensorrt: Quantised, tmp_path: Path) -> None:
    path, _ = for_tensorrt("gaitset_tiny", 17)
    ranges.run({"onnx": path}, calibrating("gaitset_tiny"), tmp_path / "out.onnx")
    told = source.notes((tmp_path / "out.onnx").read_bytes())
    scales = calibration.scales(told[source.CALIBRATION])
    model = onnx.load(tmp_path / "out.onnx")
    made = {name for node in model.graph.node for name in node.output}
    assert made <= set(scales)
    assert scales[model.graph.input[0].name] == pytest.approx(1 / 127, rel=0.05), "silhouettes reach from 0 to 1"
