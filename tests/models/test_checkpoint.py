"""Checkpoints: what is saved comes back, and what is no checkpoint is refused in one sentence."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from explorer.errors import BadInput
from explorer.models import MODELS, checkpoint, weights_path
from explorer.models.build import build
from tests.models.data import Classifier

MODEL = {"name": "tests.models.data:Classifier", "options": {"classes": 3}}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.pt"
    checkpoint.save(path, Classifier(classes=3), model=MODEL, info={"loss": 0.5})
    return path


def test_comes_back(saved: Path) -> None:
    net, header = checkpoint.load(saved)
    assert header == {"format": 1, "model": MODEL, "info": {"loss": 0.5}}
    assert checkpoint.header(saved) == header
    assert not net.training
    assert net(torch.zeros(2, 8)).shape == (2, 3)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    net = Classifier()
    for name in ("one.pt", "other.pt"):
        checkpoint.save(tmp_path / name, net, model=MODEL)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()


def test_half_is_half_the_size_and_loads_as_float(tmp_path: Path) -> None:
    net = Classifier(width=4096)
    for name, half in (("full.pt", False), ("half.pt", True)):
        checkpoint.save(tmp_path / name, net, model={**MODEL, "options": {"width": 4096}}, half=half)
    loaded, _ = checkpoint.load(tmp_path / "half.pt")
    assert (tmp_path / "half.pt").stat().st_size < 0.6 * (tmp_path / "full.pt").stat().st_size
    assert next(loaded.parameters()).dtype == torch.float32
    assert torch.allclose(loaded.state_dict()["out.weight"], net.out.weight, atol=1e-3)


@pytest.mark.parametrize("keep", [0, 10, 500, -100])
def test_truncated(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(BadInput, match="cannot read the checkpoint"):
        checkpoint.load(saved)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such checkpoint"):
        checkpoint.load(tmp_path / "no.pt")
    with pytest.raises(BadInput, match="a folder"):
        checkpoint.load(tmp_path)


def test_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Path("x")))
    torch.save(Classifier().state_dict(), tmp_path / "state.pt")
    for name, message in (
        ("text", "cannot read"),
        ("pickle", "cannot read"),
        ("state", "not a checkpoint of explorer"),
    ):
        with pytest.raises(BadInput, match=message):
            checkpoint.load(tmp_path / f"{name}.pt")


def test_newer_format(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    torch.save(content | {"format": 99}, saved)
    with pytest.raises(BadInput, match="newer format"):
        checkpoint.load(saved)


def test_model_that_changed_since(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    for model in ({"name": "gaitset_tiny", "options": {}}, MODEL | {"options": {"classes": 2}}):
        torch.save(content | {"model": model}, saved)
        with pytest.raises(BadInput, match="does not fit the model"):
            checkpoint.load(saved)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gaitsett", {}, "did you mean 'gaitset'"),
        ("gaitset", {"chanels": [1]}, "did you mean 'channels'"),
        ("tests.models.data:no_module", {}, "does not build a torch.nn.Module"),
        ("tests.models.data:Nothing", {}, "has no 'Nothing'"),
    ],
)
def test_network_that_cannot_be_built(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        build(name, options)


@pytest.mark.parametrize("name", [name for name in MODELS if weights_path(name)])
def test_shipped_weights_load_and_say_how_they_were_made(name: str) -> None:
    path = weights_path(name)
    assert path is not None
    net, header = checkpoint.load(path)
    assert header["model"]["name"] == name
    assert header["info"]["recipe"]["seed"] is not None
    assert all(p.isfinite().all() for p in net.parameters())
    assert path.stat().st_size < 1.5e6
    assert path.with_suffix(".json").is_file()


def test_full_models_ship_no_weights() -> None:
    assert weights_path("gaitset") is None
