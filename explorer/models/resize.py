"""Cut a dense network's layers to the shapes of a pruned one's state dict.

Layers are recognised by type (convolutions of any rank, grouped and transposed ones, linear layers, norms), so that it
works for networks nobody here has seen; a parameter of the network's own is simply replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

_Conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_Transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_Norms = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)


def resize(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give every parameter and buffer of `module` the shape it has in `state`, and its layers the widths that follow.

    Raises:
        ValueError: a tensor is missing, has no place in `module`, or is larger than the dense one.
    """
    own = module.state_dict()
    if stray := own.keys() ^ state.keys():
        raise ValueError(f"tensors that only one of the two has: {', '.join(sorted(stray)[:5])}")
    changed = {name for name in own if own[name].shape != state[name].shape}
    for name in sorted(changed):
        _check(name, own[name], state[name])
        owner_name, _, attribute = name.rpartition(".")
        _replace(module.get_submodule(owner_name), attribute, state[name].shape)
    for owner_name in {name.rpartition(".")[0] for name in changed}:
        _update_widths(module.get_submodule(owner_name))


def _check(name: str, dense: Tensor, cut: Tensor) -> None:
    if dense.dim() != cut.dim() or any(c > d for c, d in zip(cut.shape, dense.shape, strict=True)):
        raise ValueError(f"{name} is {list(cut.shape)} in the file but {list(dense.shape)} in the network")


def _replace(owner: nn.Module, attribute: str, shape: torch.Size) -> None:
    old = getattr(owner, attribute)
    new = torch.empty(shape, dtype=old.dtype, device=old.device)
    setattr(owner, attribute, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)


def _update_widths(layer: nn.Module) -> None:
    for kinds, update in _UPDATES:
        if isinstance(layer, kinds):
            update(layer)
            return


def _conv(layer: nn.Module) -> None:
    assert isinstance(layer, _Conv)
    out, into = layer.weight.shape[:2]
    if layer.groups == layer.in_channels > 1:  # depthwise: one group a channel, each with as many outputs as before
        layer.groups = out // (layer.out_channels // layer.in_channels)
    layer.out_channels, layer.in_channels = out, into * layer.groups


def _transposed(layer: nn.Module) -> None:
    assert isinstance(layer, _Transposed)
    into, out = layer.weight.shape[:2]
    if layer.groups == layer.in_channels > 1:
        layer.groups = into
    layer.in_channels, layer.out_channels = into, out * layer.groups


def _linear(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Linear)
    layer.out_features, layer.in_features = layer.weight.shape


def _norm(layer: nn.Module) -> None:
    assert isinstance(layer, _Norms)
    sized: Tensor | None = layer.weight if layer.affine else layer.running_mean
    assert sized is not None  # its shape changed, so it has one
    layer.num_features = len(sized)


def _layer_norm(layer: nn.Module) -> None:
    assert isinstance(layer, nn.LayerNorm)
    layer.normalized_shape = tuple(layer.weight.shape)


def _group_norm(layer: nn.Module) -> None:
    assert isinstance(layer, nn.GroupNorm)
    layer.num_channels = len(layer.weight)


def _prelu(layer: nn.Module) -> None:
    assert isinstance(layer, nn.PReLU)
    layer.num_parameters = len(layer.weight)


def _embedding(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Embedding)
    layer.embedding_dim = layer.weight.shape[1]


_UPDATES: tuple[tuple[type | tuple[type, ...], Callable[[nn.Module], None]], ...] = (
    (_Conv, _conv),
    (_Transposed, _transposed),
    (nn.Linear, _linear),
    (_Norms, _norm),
    (nn.LayerNorm, _layer_norm),
    (nn.GroupNorm, _group_norm),
    (nn.PReLU, _prelu),
    (nn.Embedding, _embedding),
)
