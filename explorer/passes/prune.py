"""Prune a network: a checkpoint in, a narrower one out.

The asked ratio is a wish; what came of it (parameters, MACs, the width of every layer) is what the pass reports.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explorer.errors import BadInput, JobFailed, Problem
from explorer.models import checkpoint
from explorer.passes import Report
from explorer.passes.cost import Cost, cost
from explorer.passes.cutting import Cut, cut, silence
from explorer.passes.data import sample_shape, search_folder


def run(
    inputs: Mapping[str, Path], params: Mapping[str, Any], out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Prune ``inputs["checkpoint"]`` by ``params["prune_ratio"]``.

    Args:
        inputs: ``checkpoint``.
        params: ``prune_ratio`` (0 … below 1, of channels over the whole network), ``round_to`` (widths become
            multiples of it; default 1), ``sample_shape`` or ``dataset``, ``search``.
        out: the checkpoint to write.
        progress: told when it is done.

    Returns:
        ``asked_ratio``; ``achieved_ratio`` (share of MACs saved) and ``channel_ratio``; ``params``, ``macs`` and the
        ``dense_…`` ones; ``channels`` {layer: [before, after]}; ``silenced_error``: largest difference to the dense
        network with those channels silenced, about 1e-7 where silencing is exact (not so for channels that are
        normalised together); ``notes``: what did not go as asked.

    Raises:
        BadInput: the ratio makes no sense, or the network cannot be pruned.
        JobFailed: the pruned network does not survive being saved.
    """
    ratio, round_to = _checked(params)
    search = search_folder(params)
    module, header = checkpoint.load(inputs["checkpoint"], search=search)
    example = torch.rand(1, *sample_shape(params), generator=torch.Generator().manual_seed(0))
    dense, before = copy.deepcopy(module), cost(module, example)
    done = cut(module, example, ratio=ratio, round_to=round_to)
    module.eval()
    outputs = _outputs(module, example)
    _check_shape(outputs, _outputs(dense, example))
    info = _info(ratio, before, cost(module, example), done, round_to)
    silence(dense, done.removed)
    info["silenced_error"] = _difference(outputs, _outputs(dense, example))
    checkpoint.save(out, module, model=header["model"], info={**header["info"], "prune": info})
    _check_saved(out, outputs, example, search)
    if progress is not None:
        progress(1.0, f"{info['achieved_ratio']:.0%} of the MACs removed")
    return info


def _checked(params: Mapping[str, Any]) -> tuple[float, int]:
    ratio, round_to = float(params["prune_ratio"]), int(params.get("round_to") or 1)
    problems = []
    if not 0 <= ratio < 1:
        what = "prune_ratio is a fraction of the channels"
        problems.append(Problem(what, path="prune_ratio", seen=str(ratio), allowed="0 ≤ x < 1"))
    if round_to < 1:
        what = "round_to is a number of channels"
        problems.append(Problem(what, path="round_to", seen=str(round_to), allowed="1, 8, 16, 32, …"))
    if problems:
        raise BadInput(problems)
    return ratio, round_to


def _info(ratio: float, before: Cost, after: Cost, done: Cut, round_to: int) -> dict[str, Any]:
    touched = [widths for widths in done.channels.values() if widths[0] != widths[1]]
    wide = sum(widths[0] for widths in done.channels.values())
    saved = 1 - after.macs / before.macs if before.macs else 0.0
    return {
        "asked_ratio": ratio,
        "achieved_ratio": saved,
        "channel_ratio": sum(b - a for b, a in touched) / wide if wide else 0.0,
        "round_to": round_to,
        "params": after.params,
        "macs": after.macs,
        "dense_params": before.params,
        "dense_macs": before.macs,
        "channels": {name: list(widths) for name, widths in done.channels.items()},
        "notes": _notes(ratio, done, round_to, nothing=not touched),
    }


def _notes(ratio: float, done: Cut, round_to: int, *, nothing: bool) -> list[str]:
    notes = []
    if ratio > 0 and nothing:
        notes.append(f"nothing was removed: no prunable layer can lose channels at round_to {round_to}")
    if done.at_floor:
        notes.append(f"would have lost every channel and kept the fewest allowed: {', '.join(done.at_floor)}")
    if done.kept_whole:
        notes.append(f"kept whole for want of another multiple of {round_to}: {', '.join(done.kept_whole)}")
    return notes


def _outputs(module: nn.Module, example: Tensor) -> list[Tensor]:
    with torch.no_grad():
        outputs = module(example)
    return (
        [outputs] if isinstance(outputs, Tensor) else list(outputs.values() if isinstance(outputs, dict) else outputs)
    )


def _difference(some: list[Tensor], others: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(some, others, strict=True))


def _check_shape(pruned: list[Tensor], dense: list[Tensor]) -> None:
    if [o.shape for o in pruned] != [o.shape for o in dense]:
        seen = f"{[list(o.shape) for o in dense]} became {[list(o.shape) for o in pruned]}"
        hint = "name the layers that make the outputs in the module's `unprunable_layers`"
        raise BadInput(Problem("pruning changed the shape of the network's outputs", seen=seen, hint=hint))


def _check_saved(path: Path, outputs: list[Tensor], example: Tensor, search: Path | None) -> None:
    """A network whose widths live outside its layers cannot be rebuilt from its tensors: find out now."""
    reloaded, _ = checkpoint.load(path, search=search)
    if (error := _difference(outputs, _outputs(reloaded, example))) > 1e-5:
        raise JobFailed(
            f"the pruned network differs by {error:.2g} after being saved and loaded: "
            "it keeps state outside its tensors"
        )
