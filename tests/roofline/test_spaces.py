"""Every shipped space that has a network is foretold whole: no candidate without a figure, nor all of them alike."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

from explorer.config import Experiment, load
from explorer.models.build import build
from explorer.oracle import Graph
from explorer.passes import export
from explorer.roofline import METRICS, Roofline
from explorer.search.quantities import scaled
from explorer.space import Candidate, Value

SPACES = ("quickstart", "gait3d_cnn", "gaitset_casia_b")
ON_JETSON = ("jetson_nano", "jetson_orin", "jetson_thor", "jetson_xavier", "orin_concurrency")
SHAPES = {"gaitset": (30, 64, 44), "gaitset_tiny": (6, 64, 44), "gait3d_cnn_tiny": (2, 25, 60, 60)}
MODULES = {
    "": "",
    "nano": "p3448-0000",
    "xavier-nx": "p3668-0000",
    "agx-orin-64": "p3701-0005",
    "thor": "p3834-0008",
}


def experiment(root: Path, name: str, folder: Path) -> Experiment:
    """As shipped; what wants files that cannot come with it is given others in their place."""
    path = root / "search_spaces" / f"{name}.yaml"
    if name != "gaitset_casia_b":
        return load(path)
    told: dict[str, Any] = yaml.safe_load(path.read_text())
    told |= {"model": {"name": "gaitset"}, "dataset": {"name": "walkers"}}
    (folder / path.name).write_text(yaml.safe_dump(told))
    return load(folder / path.name)


def multiple(candidate: Candidate) -> Value:
    found = candidate.all.get("round_to", 1)
    return 8 if found == "unit" else found


@pytest.mark.parametrize("name", [*SPACES, *ON_JETSON])
def test_all_candidates_of_a_space_are_foretold(root: Path, tmp_path: Path, name: str) -> None:
    given = experiment(root, name, tmp_path)
    assert given.model is not None
    path = tmp_path / "net.onnx"
    onnx.save(export.export(build(given.model.name), SHAPES[given.model.name], opset=17), path)
    board = {"module": MODULES[given.stand_in], "cores": 2}
    roofline = Roofline(Graph.of(path, final=False), board, multiple, {})
    told = [roofline(candidate) for candidate in given.space.candidates]
    wanted = [one.metric for one in given.objectives if one.metric in METRICS]
    assert len(wanted) >= len(given.objectives) - 2  # accuracies are not foretold
    assert all(math.isfinite(value) and value > 0 for one in told for value in one.values())
    for metric in wanted:
        logs = [scaled(metric, one[metric]) for one in told]
        assert max(logs) - min(logs) > 0.3, metric
