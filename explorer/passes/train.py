"""Train a network from scratch: nothing in, a checkpoint out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from explorer.models import checkpoint
from explorer.models.build import build, fill_in
from explorer.models.protocols import Progress
from explorer.models.training import Recipe, train
from explorer.passes import Report
from explorer.passes.data import open_dataset, search_folder


def run(
    inputs: Mapping[str, Path], params: Mapping[str, Any], out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Train ``params["model"]`` on ``params["dataset"]``.

    Args:
        inputs: none.
        params: ``model`` {name, options}, ``dataset`` {name, options}; optional ``recipe`` (fields of `Recipe` over
            the model's own), ``seed`` (over the recipe's), ``search``, and ``half`` (store fp16).
        out: the checkpoint to write.
        progress: told the fraction done.

    Returns:
        ``iterations``, ``loss_first``, ``loss_last``, ``params``, ``recipe``.

    Raises:
        BadInput: the model, the dataset or the recipe cannot be used.
        JobFailed: the training diverged.
    """
    import torch

    search, data = search_folder(params), open_dataset(params)
    name = params["model"]["name"]
    options = fill_in(name, params["model"].get("options"), search=search, classes=data.classes)
    seed = {"seed": params["seed"]} if params.get("seed") is not None else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed.get("seed", 0)))
        module = build(name, options, search=search)
    recipe = Recipe.of({**(params.get("recipe") or {}), **seed}, base=getattr(module, "recipe", None))
    ran = train(module, data.training(), recipe=recipe, progress=told(progress))
    info = {
        "iterations": ran.iterations,
        "loss_first": ran.loss_first,
        "loss_last": ran.loss_last,
        "params": sum(p.numel() for p in module.parameters()),
        "recipe": asdict(recipe),
    }
    described = {
        **info,
        "dataset": {key: params["dataset"].get(key) for key in ("name", "options")},
        "data": data.fingerprint(),
    }
    checkpoint.save(
        out, module, model={"name": name, "options": options}, info=described, half=bool(params.get("half"))
    )
    return info


def told(progress: Report | None) -> Progress | None:
    """The training loop's progress, told as a pass tells it."""
    if progress is None:
        return None

    def tell(done: int, total: int, loss: float) -> None:
        progress(done / total, f"iteration {done} of {total}, loss {loss:.4f}")

    return tell
