"""Train a pruned network a little further, by its own recipe: a checkpoint in, a checkpoint out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from explorer.models import checkpoint
from explorer.models.training import Recipe, train
from explorer.passes import Report
from explorer.passes.data import open_dataset, search_folder
from explorer.passes.train import told

# Of the rate the network was trained with, then decaying: "learning-rate rewinding" (Renda et al. 2020). GaitSet
# tiny cut by 0.3, 60 iterations, two seeds: rank-1 from 0.38 to 0.60, 0.63 at 0.3; 0.59, 0.75 at 1; 0.64, 0.67 at 2.
RATE = 1.0

_LENGTHS = ("iterations", "epochs")


def run(
    inputs: Mapping[str, Path], params: Mapping[str, Any], out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Fine-tune ``inputs["checkpoint"]`` on ``params["dataset"]``.

    Args:
        inputs: ``checkpoint``.
        params: ``dataset`` {name, options}, and ``iterations`` or ``epochs``; optional ``seed``, ``search``, and
            ``recipe`` (fields of `Recipe` over the one the network was trained by, at `RATE` of its rate, cosine).
        out: the checkpoint to write.
        progress: told the fraction done.

    Returns:
        ``iterations``, ``loss_first``, ``loss_last``, ``recipe``; asked for none, the network passes unchanged.

    Raises:
        BadInput: the checkpoint, the dataset or the recipe cannot be used.
        JobFailed: the training diverged.
    """
    module, header = checkpoint.load(inputs["checkpoint"], search=search_folder(params))
    info: dict[str, Any] = {"iterations": 0}
    if any(params.get(length) for length in _LENGTHS):
        recipe = _recipe(getattr(module, "recipe", None), header["info"], params)
        ran = train(module, open_dataset(params).training(), recipe=recipe, progress=told(progress))
        info = {
            "iterations": ran.iterations,
            "loss_first": ran.loss_first,
            "loss_last": ran.loss_last,
            "recipe": asdict(recipe),
        }
    checkpoint.save(out, module, model=header["model"], info={**header["info"], "finetune": info})
    return info


def _recipe(own: Recipe | None, info: Mapping[str, Any], params: Mapping[str, Any]) -> Recipe:
    """The recipe the checkpoint was trained by, else the module's own, rewound down; then what the user says."""
    trained = Recipe.of(info["recipe"]) if "recipe" in info else own or Recipe()
    rewound = replace(trained, lr=trained.lr * RATE, schedule="cosine", warmup=0.0, epochs=None)
    asked = {name: params[name] for name in (*_LENGTHS, "seed") if params.get(name) is not None}
    return Recipe.of({**asked, **(params.get("recipe") or {})}, base=rewound)
