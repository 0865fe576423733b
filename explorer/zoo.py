"""`explorer train` and `explorer evaluate`: a network and a dataset, without a space and without a device."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from explorer.datasets.protocols import Dataset
from explorer.errors import BadInput, Problem
from explorer.result import Metric

BATCH = 32


def train_to(
    output: Path,
    *,
    model: str,
    dataset: str,
    model_options: Sequence[str] = (),
    options: Sequence[str],
    recipe: Sequence[str],
    seed: int,
    half: bool,
) -> str:
    """Train, write the checkpoint and beside it the recipe as JSON; a sentence on what was done.

    Raises:
        BadInput: a name, an option or a recipe field is unknown, or the output cannot be written.
    """
    from explorer.passes import PASSES

    if not output.parent.is_dir():
        raise BadInput(Problem("there is no such folder", file=output.parent, path="--output"))
    params = {
        "model": {"name": model, "options": _pairs(model_options, "--model-option")},
        "dataset": {"name": dataset, "options": _pairs(options, "--option")},
        "recipe": _pairs(recipe, "--recipe"),
        "seed": seed,
        "search": str(Path.cwd()),
        "half": half,
    }
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("training", total=1.0)
        told = {"progress": lambda fraction, text: bar.update(task, completed=fraction, description=text)}
        info: dict[str, Any] = PASSES.load("train").run({}, params, output, **told)
    record = {"command": {k: v for k, v in params.items() if k != "search"}, "info": info}
    output.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    return f"{output}: {info['iterations']} steps, loss {info['loss_first']:.4g} → {info['loss_last']:.4g}"


def evaluate_checkpoint(weights: Path, *, dataset: str, options: Sequence[str]) -> dict[str, Metric]:
    """The dataset's metrics of a checkpoint, computed in fp32 by PyTorch.

    Raises:
        BadInput: the checkpoint or the dataset cannot be used.
    """
    from explorer.passes.data import open_dataset

    reference = {"name": dataset, "options": _pairs(options, "--option"), "search": str(Path.cwd())}
    data = open_dataset({"dataset": reference})
    return data.score(_outputs(weights, data))


def _outputs(weights: Path, data: Dataset) -> NDArray[np.float32]:
    from explorer.models.inference import outputs

    return outputs(weights, data.evaluation(), batch=BATCH, search=Path.cwd())


def told(metrics: Mapping[str, Metric]) -> str:
    """One metric a line, with its interval."""
    return "\n".join(f"{name:<28} {_shown(metric)}" for name, metric in metrics.items())


def _shown(metric: Metric) -> str:
    interval = "" if metric.low is None or metric.high is None else f"  [{metric.low:.4g}, {metric.high:.4g}]"
    return f"{metric.value:.4g}{interval}"


def _pairs(given: Sequence[str], flag: str) -> dict[str, Any]:
    """``["a=1", "b=x"]`` as a dict; values are read as YAML: numbers, lists and words are what they look like."""
    broken = [word for word in given if "=" not in word]
    if broken:
        raise BadInput(
            [
                Problem("not of the form key=value", path=flag, seen=word, hint=f"write {flag} name=value")
                for word in broken
            ]
        )
    return {key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in given)}
