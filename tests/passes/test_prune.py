"""Pruning, proved without training: the pruned network equals the dense one with exactly those channels silenced."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from explorer.errors import BadInput
from explorer.models import MODELS, checkpoint
from explorer.passes import prune
from explorer.passes.cutting import cut, silence
from tests.models.data import Mixed
from tests.passes.conftest import SHAPES, Make

OWN = "tests.passes.data"


def relative_error(pruned: nn.Module, dense: nn.Module, example: torch.Tensor) -> float:
    with torch.no_grad():
        got, expected = pruned(example), dense(example)
    assert got.shape == expected.shape
    return float((got - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("ratio", "round_to"), [(0.3, 1), (0.6, 8)])
@pytest.mark.parametrize("name", list(MODELS))
def test_pruned_equals_silenced(name: str, ratio: float, round_to: int, make_checkpoint: Make) -> None:
    """Every registered model; to register one is to have it proved here."""
    dense, _ = checkpoint.load(make_checkpoint(name))
    pruned = copy.deepcopy(dense)
    example = torch.rand(2, *SHAPES[name])
    done = cut(pruned, example, ratio=ratio, round_to=round_to)
    assert done.removed
    assert sum(p.numel() for p in pruned.parameters()) < sum(p.numel() for p in dense.parameters())
    assert relative_error(pruned, dense, example) > 1e-3  # something was really taken away
    silence(dense, done.removed)
    assert relative_error(pruned, dense, example) <= 1e-5


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(("name", "shape"), [("Residual", (1, 8, 8)), ("SumOfTwo", (1, 8, 8))])
def test_users_own_networks_equal_the_silenced_ones_too(
    name: str, shape: tuple[int, ...], ratio: float, make_checkpoint: Make
) -> None:
    dense, _ = checkpoint.load(make_checkpoint(f"{OWN}:{name}"))
    pruned, example = copy.deepcopy(dense), torch.rand(3, *shape)
    silence(dense, cut(pruned, example, ratio=ratio).removed)
    assert relative_error(pruned, dense, example) <= 1e-5


def test_layers_that_make_the_output_keep_their_width(make_checkpoint: Make) -> None:
    net, _ = checkpoint.load(make_checkpoint(f"{OWN}:SumOfTwo"))
    done = cut(net, torch.rand(1, 1, 8, 8), ratio=0.5)
    assert done.channels == {"hidden": (8, 4)}


def test_grouped_layers_lose_the_same_in_every_lane() -> None:
    net = Mixed().eval()
    done = cut(net, torch.rand(1, 3, 8, 8), ratio=0.5)
    assert done.channels["grouped"][1] % 2 == 0
    lanes = [sum(channel // 6 == lane for channel in done.removed["grouped"]) for lane in (0, 1)]
    assert lanes[0] == lanes[1]


def run(source: Path, out: Path, shape: list[int], **params: object) -> dict[str, object]:
    return prune.run({"checkpoint": source}, {"sample_shape": shape, **params}, out)


def test_pass_tells_what_it_achieved(make_checkpoint: Make, tmp_path: Path) -> None:
    source = make_checkpoint("gaitset_tiny")
    info = run(source, tmp_path / "out", SHAPES["gaitset_tiny"], prune_ratio=0.5, round_to=4)
    assert info["asked_ratio"] == 0.5
    assert info["channel_ratio"] == pytest.approx(0.5, abs=0.1)
    assert info["macs"] == pytest.approx((1 - float(str(info["achieved_ratio"]))) * float(str(info["dense_macs"])))
    assert float(str(info["silenced_error"])) < 1e-6
    channels = info["channels"]
    assert isinstance(channels, dict)
    assert list(channels) == [f"s{i}" for i in range(1, 7)] + [f"g{i}" for i in range(1, 5)]
    assert all(after % 4 == 0 for _, after in channels.values())
    net, header = checkpoint.load(tmp_path / "out")
    assert header["info"] == {"origin": "test", "prune": info}
    assert sum(p.numel() for p in net.parameters()) == info["params"]


def test_ratio_of_zero_changes_nothing(make_checkpoint: Make, tmp_path: Path) -> None:
    source = make_checkpoint("gaitset_tiny")
    info = run(source, tmp_path / "out", SHAPES["gaitset_tiny"], prune_ratio=0)
    assert (info["achieved_ratio"], info["notes"], info["params"]) == (0, [], info["dense_params"])


def test_extreme_ratio_leaves_every_layer_alive_and_says_so(make_checkpoint: Make, tmp_path: Path) -> None:
    """torch-pruning alone leaves a group whole that would lose everything; asked 0.95 it can achieve nothing."""
    source = make_checkpoint("gait3d_cnn_tiny")
    info = run(source, tmp_path / "out", SHAPES["gait3d_cnn_tiny"], prune_ratio=0.95, round_to=8)
    channels, notes = info["channels"], " ".join(str(note) for note in info["notes"])  # type: ignore[attr-defined]
    assert isinstance(channels, dict)
    assert [after for _, after in channels.values()] == [8] * 6
    assert "would have lost every channel" in notes
    assert "kept whole for want of another multiple of 8: convs.0" in notes


def test_ratio_that_achieves_nothing_is_said(make_checkpoint: Make, tmp_path: Path) -> None:
    source = make_checkpoint(f"{OWN}:Residual", width=16)
    info = run(source, tmp_path / "out", [1, 8, 8], prune_ratio=0.5, round_to=16)
    assert info["achieved_ratio"] == 0
    assert "nothing was removed" in str(info["notes"])


def test_equal_inputs_give_equal_files(make_checkpoint: Make, tmp_path: Path) -> None:
    for name in ("one", "other"):
        source = make_checkpoint(f"{OWN}:Residual")
        run(source, tmp_path / name, [1, 8, 8], prune_ratio=0.5)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize(
    ("name", "message"),
    [("FixedWidth", "does not run any more"), ("Untraceable", "cannot follow how the network's layers depend")],
)
def test_network_that_cannot_be_pruned(name: str, message: str, make_checkpoint: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        run(make_checkpoint(f"{OWN}:{name}"), tmp_path / "out", [1, 8, 8], prune_ratio=0.5)
    assert "leave prune_ratio out of the space" in str(caught.value)


@pytest.mark.parametrize(("params", "path"), [({"prune_ratio": 1.0}, "prune_ratio"), ({"round_to": -8}, "round_to")])
def test_senseless_parameters(params: dict[str, float], path: str, make_checkpoint: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"^{path}: "):
        run(make_checkpoint("gaitset_tiny"), tmp_path / "out", [6, 64, 44], **{"prune_ratio": 0.5, **params})


def test_shape_must_be_known(make_checkpoint: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give sample_shape or a dataset"):
        prune.run({"checkpoint": make_checkpoint("gaitset_tiny")}, {"prune_ratio": 0.5}, tmp_path / "out")
