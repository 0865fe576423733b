"""What a network costs to run: parameters and multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """Per sample."""

    params: int  # every parameter of the module, those used in training only included
    macs: int  # of convolutions, linear layers and matrix products


def cost(module: nn.Module, example: Tensor) -> Cost:
    """Count on one input, [1, *sample_shape]."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(example.detach())
    return Cost(sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2)
