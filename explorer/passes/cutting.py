"""Structured pruning: which channels go, and taking them out of every layer they run through.

torch-pruning finds the groups of channels that must go together (https://arxiv.org/abs/2301.12900) and scores each
channel by the L1 norm of all the weights that touch it, relative to its group's mean. The choice is made here: the
lowest scores of the whole network go, but no group loses its last channels, widths are kept to multiples of
`round_to`, and whatever could not be done as asked is said. (torch-pruning's own choice leaves a group that would lose
everything whole, without a word.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from explorer.errors import BadInput, Problem
from explorer.models.protocols import HasPruningView, unprunable

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ROOTS = (*_CONVS, *_TRANSPOSED, nn.Linear)


@dataclass(frozen=True)
class Cut:
    """What was taken out."""

    removed: Mapping[str, tuple[int, ...]] = field(
        default_factory=dict
    )  # layer → outputs, numbered as in the dense net
    channels: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # prunable layer → outputs before and after
    at_floor: tuple[str, ...] = ()  # would have lost every channel; kept the fewest allowed
    kept_whole: tuple[str, ...] = ()  # would have lost some, but too few to reach another multiple of round_to


@dataclass(frozen=True)
class _Group:
    """Channels that go together."""

    layers: tuple[str, ...]  # whose outputs these are
    root: nn.Module
    handler: Any
    scores: Tensor  # [channels of one lane]
    lanes: int  # grouped convolutions and group norms must lose the same channels in each of their lanes


def cut(module: nn.Module, example: Tensor, *, ratio: float, round_to: int = 1) -> Cut:
    """Remove the fraction `ratio` of all prunable channels from `module`, in place.

    Layers whose outputs are the network's outputs, and those the module names in ``unprunable_layers``, keep theirs.

    Args:
        module: the network; its optional ``pruning_view`` is what gets traced.
        example: one input, [1, *sample_shape].
        ratio: 0 … 1, of channels, over the whole network.
        round_to: widths become multiples of this where they change.

    Raises:
        BadInput: the network cannot be traced, or does not run any more after the cut.
    """
    before = _widths(module)
    view = module.pruning_view() if isinstance(module, HasPruningView) else module
    graph = _traced(view, example)
    groups = list(_groups(graph, view, module))
    wanted = _wanted(groups, ratio)
    keep = [_rounded(want, group, round_to) for want, group in zip(wanted, groups, strict=True)]
    removed = _remove(graph, groups, keep, module)
    if isinstance(module, HasPruningView):
        module.absorb(view)
    _check_runs(module, example)
    prunable, after = {name for group in groups for name in group.layers}, _widths(module)
    return Cut(
        removed,
        channels={name: (before[name], after[name]) for name in before if name in prunable},
        at_floor=_named(groups, [want == 0 for want in wanted]),
        kept_whole=_named(groups, [want < k == len(g.scores) for want, k, g in zip(wanted, keep, groups, strict=True)]),
    )


@torch.no_grad()
def silence(module: nn.Module, removed: Mapping[str, tuple[int, ...]]) -> None:
    """Zero the channels a cut has `removed`, weights and biases: the dense network the pruned one must equal."""
    for name, channels in removed.items():
        layer = module.get_submodule(name)
        dim = 1 if isinstance(layer, (*_TRANSPOSED, nn.Embedding)) else 0
        for parameter, along in ((getattr(layer, "weight", None), dim), (getattr(layer, "bias", None), 0)):
            if isinstance(parameter, Tensor):
                parameter.index_fill_(along, torch.tensor(channels), 0.0)


def _traced(view: nn.Module, example: Tensor) -> Any:
    for parameter in view.parameters():
        parameter.requires_grad_(True)  # tracing follows autograd: a frozen layer would be invisible
    try:
        with torch.enable_grad():
            if not _outputs_follow_autograd(view, example):
                raise ValueError("an output does not depend on the layers in a way autograd can follow")
            return torch_pruning.DependencyGraph().build_dependency(view, example_inputs=example, verbose=False)
    except Exception as error:
        raise _unprunable("cannot follow how the network's layers depend on each other", error) from error


def _outputs_follow_autograd(view: nn.Module, example: Tensor) -> bool:
    outputs = view(example)
    outputs = outputs.values() if isinstance(outputs, dict) else outputs
    return all(o.requires_grad for o in ([outputs] if isinstance(outputs, Tensor) else outputs))


def _groups(graph: Any, view: nn.Module, module: nn.Module) -> Iterator[_Group]:
    score = torch_pruning.importance.MagnitudeImportance(p=1)
    names = {layer: name for name, layer in module.named_modules()}
    whole = [module.get_submodule(name) for name in unprunable(module)]
    for group in graph.get_all_groups(ignored_layers=whole, root_module_types=_ROOTS):
        root = group[0].dep.target.module
        if root not in names or _reaches_output(graph, group):
            continue
        scores = score(group)
        if scores is not None:
            lanes = _lanes(group)
            per_lane = scores.view(lanes, -1).mean(0).nan_to_num(0.0)  # a group of zeros has no mean to be measured by
            yield _Group(_layers(graph, group, names), root, group[0].dep.handler, per_lane, lanes)


def _layers(graph: Any, group: Any, names: Mapping[nn.Module, str]) -> tuple[str, ...]:
    targets = (dep.target.module for dep, _ in group if graph.is_out_channel_pruning_fn(dep.handler))
    return tuple(names[layer] for layer in targets if isinstance(layer, _ROOTS))


def _reaches_output(graph: Any, group: Any) -> bool:
    """Whether cutting this group would change the shape of what the network returns."""
    return any(not dep.target.outputs and graph.is_out_channel_pruning_fn(dep.handler) for dep, _ in group)


def _lanes(group: Any) -> int:
    lanes = [1]
    for dep, _ in group:
        layer = dep.target.module
        if isinstance(layer, _CONVS) and layer.groups not in (1, layer.out_channels):
            lanes.append(layer.groups)
        if isinstance(layer, nn.GroupNorm):
            lanes.append(layer.num_groups)
    return math.lcm(*lanes)


def _wanted(groups: list[_Group], ratio: float) -> list[int]:
    """How many channels a lane of each group would keep if the lowest scores of all simply went."""
    if not groups:
        return []
    sizes = torch.tensor([len(group.scores) for group in groups])
    owner = torch.repeat_interleave(torch.arange(len(groups)), sizes)
    ranked = torch.cat([group.scores for group in groups]).argsort(stable=True)
    doomed = owner[ranked[: int(ratio * len(owner) + 1e-9)]]
    return [int(kept) for kept in sizes - torch.bincount(doomed, minlength=len(groups))]


def _rounded(wanted: int, group: _Group, round_to: int) -> int:
    """The width nearest to `wanted` that makes a multiple of `round_to` over all lanes; never none at all."""
    size, unit = len(group.scores), round_to // math.gcd(round_to, group.lanes)
    return size if wanted == size else min(size, max(unit, unit * round(wanted / unit)))


def _named(groups: list[_Group], chosen: list[bool]) -> tuple[str, ...]:
    return tuple(name for group, yes in zip(groups, chosen, strict=True) if yes for name in group.layers)


def _remove(graph: Any, groups: list[_Group], keep: list[int], module: nn.Module) -> dict[str, tuple[int, ...]]:
    names = {layer: name for name, layer in module.named_modules()}
    removed: dict[str, tuple[int, ...]] = {}
    for group, kept in zip(groups, keep, strict=True):
        size = len(group.scores)
        if kept == size:
            continue
        lowest = group.scores.argsort(stable=True)[: size - kept]
        channels = sorted(int(c) + lane * size for c in lowest for lane in range(group.lanes))
        coupled = graph.get_pruning_group(group.root, group.handler, channels)
        for dep, indices in coupled:
            if dep.target.module in names and graph.is_out_channel_pruning_fn(dep.handler):
                removed[names[dep.target.module]] = tuple(sorted(indices))
        coupled.prune()
    return removed


def _widths(module: nn.Module) -> dict[str, int]:
    """Outputs of each layer that may be cut."""
    return {
        name: layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        for name, layer in module.named_modules()
        if isinstance(layer, _ROOTS)
    }


def _check_runs(module: nn.Module, example: Tensor) -> None:
    try:
        with torch.no_grad():
            module(example.detach())
    except Exception as error:
        raise _unprunable("the network does not run any more once channels are taken out", error) from error


def _unprunable(what: str, error: Exception) -> BadInput:
    hint = (
        "leave prune_ratio out of the space, name the layers to keep in the module's `unprunable_layers`, "
        "or give it pruning_view() and absorb() (see explorer.models.protocols)"
    )
    return BadInput(
        Problem(f"this network cannot be pruned: {what}", seen=f"{type(error).__name__}: {error}"[:300], hint=hint)
    )
