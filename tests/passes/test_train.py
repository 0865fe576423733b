"""Training and fine-tuning as passes, on a network and a dataset that are nobody's but the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from explorer.errors import BadInput
from explorer.models import checkpoint
from explorer.passes import PASSES, finetune, prune, quantisation_recipe, train, version_of

NET = {"name": "tests.passes.data:Residual", "options": {}}
DATA = {"name": "tests.passes.data:digits_like"}
RECIPE = {"iterations": 25, "lr": 0.01}


def accuracy(path: Path) -> float:
    from tests.passes.data import digits_like

    net, _ = checkpoint.load(path)
    with torch.no_grad():
        return digits_like().score(net(torch.from_numpy(digits_like().evaluation())).numpy())["accuracy"].value


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("trained") / "net.pt"
    return path, train.run({}, {"model": NET, "dataset": DATA, "recipe": RECIPE, "seed": 4}, path)


def test_network_learns_and_its_file_says_how(trained: tuple[Path, dict[str, Any]]) -> None:
    path, info = trained
    assert accuracy(path) > 0.95
    assert info["loss_last"] < info["loss_first"]
    assert (info["recipe"]["seed"], info["recipe"]["iterations"]) == (4, 25)
    header = checkpoint.header(path)
    assert header["model"] == NET
    assert header["info"]["recipe"] == info["recipe"]
    assert header["info"]["dataset"]["name"] == DATA["name"]


def test_same_seed_gives_the_same_file(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    train.run({}, {"model": NET, "dataset": DATA, "recipe": RECIPE, "seed": 4}, tmp_path / "again.pt")
    assert (tmp_path / "again.pt").read_bytes() == trained[0].read_bytes()


def test_finetuning_heals_a_cut(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    pruned, healed = tmp_path / "pruned.pt", tmp_path / "healed.pt"
    prune.run({"checkpoint": trained[0]}, {"prune_ratio": 0.7, "dataset": DATA}, pruned)
    info = finetune.run({"checkpoint": pruned}, {"dataset": DATA, "epochs": 10, "seed": 1}, healed)
    assert accuracy(healed) >= max(accuracy(pruned), 0.9)
    assert info["loss_last"] < info["loss_first"]
    assert info["recipe"]["lr"] == pytest.approx(finetune.RATE * RECIPE["lr"])
    assert {"prune", "finetune", "recipe"} <= checkpoint.header(healed)["info"].keys()


def test_no_iterations_pass_the_network_unchanged(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    info = finetune.run({"checkpoint": trained[0]}, {"dataset": DATA, "epochs": 0}, tmp_path / "same.pt")
    assert info == {"iterations": 0}
    before, after = (checkpoint.load(path)[0].state_dict() for path in (trained[0], tmp_path / "same.pt"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_classes_are_the_datasets_where_the_model_takes_them(tmp_path: Path) -> None:
    told: list[float] = []
    params = {
        "model": {"name": "gait3d_cnn_tiny", "options": {}},
        "dataset": {"name": "tests.passes.data:flow"},
        "recipe": {"iterations": 1, "identities": 2, "samples_each": 1},
    }
    train.run({}, params, tmp_path / "net.pt", progress=lambda fraction, text: told.append(fraction))
    assert checkpoint.header(tmp_path / "net.pt")["model"]["options"] == {"classes": 4}
    assert told == [1.0]


def test_dataset_that_refuses_its_options(tmp_path: Path) -> None:
    params = {"model": NET, "dataset": {**DATA, "options": {"root": "x"}}}
    with pytest.raises(BadInput, match="cannot be opened with these options"):
        train.run({}, params, tmp_path / "net.pt")


@pytest.mark.parametrize("name", list(PASSES))
def test_every_pass_runs_and_has_a_version(name: str) -> None:
    assert callable(PASSES.load(name).run)
    assert version_of(name)[0].isdigit()


def test_version_names_the_libraries_that_decide() -> None:
    assert f"torch={torch.__version__}" in version_of("train")


def test_runtime_without_int8_recipe() -> None:
    assert quantisation_recipe("openvino") == "openvino"
    with pytest.raises(BadInput, match="did you mean 'onnxruntime'"):
        quantisation_recipe("onnxruntim")
