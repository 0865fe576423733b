"""The trained weights that ship: small, documented, and as good as it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from explorer.config import load
from explorer.datasets.walkers import Walkers
from explorer.models import MODELS, checkpoint, weights_path
from explorer.models.inference import outputs

SHIPPED = sorted(name for name in MODELS if weights_path(name))


def shipped(name: str) -> Path:
    path = weights_path(name)
    assert path is not None
    return path


def test_the_tiny_networks_have_weights_and_nothing_else_has() -> None:
    assert SHIPPED == ["gait2d_cnn_tiny", "gait3d_cnn_tiny", "gaitset_tiny"]


@pytest.mark.parametrize("name", SHIPPED)
def test_small_and_with_the_recipe_beside_it(name: str) -> None:
    path = shipped(name)
    header, record = checkpoint.header(path), json.loads(path.with_suffix(".json").read_text())
    assert path.stat().st_size < 1_500_000
    assert header["model"]["name"] == record["command"]["model"]["name"] == name
    assert header["info"]["recipe"] == record["info"]["recipe"]
    assert header["info"]["dataset"] == record["command"]["dataset"]
    assert header["info"]["data"] == Walkers(**record["command"]["dataset"]["options"]).fingerprint()
    module, _ = checkpoint.load(path)
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "space", "more", "least"),
    [
        ("gaitset_tiny", "quickstart", {}, 0.9),
        pytest.param("gait2d_cnn_tiny", "gait3d_cnn", {"modality": "stacked_flow"}, 0.45, marks=pytest.mark.slow),
        pytest.param("gait3d_cnn_tiny", "gait3d_cnn", {}, 0.8, marks=pytest.mark.slow),
    ],
)
def test_recognises_strangers(name: str, space: str, more: dict[str, str], least: float, root: Path) -> None:
    dataset = load(root / f"search_spaces/{space}.yaml").dataset
    assert dataset is not None
    walkers = Walkers(**{**dataset.options, **more})
    metrics = walkers.score(outputs(shipped(name), walkers.evaluation(), batch=32))
    assert metrics["accuracy"].value >= least
    assert metrics["accuracy_identical"].value >= least
