"""Cutting a dense network to the shapes of a state dict, whatever its layers."""

from __future__ import annotations

import copy

import pytest
import torch

from explorer.models.resize import resize
from explorer.passes.cutting import cut
from tests.models.data import Classifier, Mixed


@pytest.mark.parametrize("ratio", [0.25, 0.5])
def test_rebuilds_a_pruned_network_of_every_kind_of_layer(ratio: float) -> None:
    torch.manual_seed(0)
    dense = Mixed().eval()
    pruned = copy.deepcopy(dense)
    cut(pruned, torch.rand(1, 3, 8, 8), ratio=ratio)
    resize(dense, pruned.state_dict())
    dense.load_state_dict(pruned.state_dict())
    x = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(dense(x), pruned(x))
    assert str(dense) == str(pruned)  # every width a layer prints about itself
    assert sum(p.numel() for p in dense.parameters()) < 0.8 * sum(p.numel() for p in Mixed().parameters())


def test_refuses_what_does_not_fit() -> None:
    state = Classifier().state_dict()
    with pytest.raises(ValueError, match="only one of the two has: more"):
        resize(Classifier(), {**state, "more": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"out.weight is \[9, 16\] in the file but \[4, 16\]"):
        resize(Classifier(), {**state, "out.weight": torch.zeros(9, 16)})
