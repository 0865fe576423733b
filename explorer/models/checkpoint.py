"""A network in a file: what it was built from, what was done to it, and its weights.

The file is a `torch.save` of plain data, read with ``weights_only=True``: opening a stranger's checkpoint runs none of
its code. A pruned network is rebuilt by building the dense one and cutting each layer to the shape found in the file.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explorer.errors import BadInput, Problem
from explorer.models.build import build
from explorer.models.resize import resize

# 1: {format, model: {name, options}, info, state}.
FORMAT = 1


def save(
    path: Path,
    module: nn.Module,
    *,
    model: Mapping[str, Any],
    info: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write `module`; equal content gives equal bytes.

    Args:
        path: the file to write; it appears whole or not at all.
        module: the network, dense or pruned.
        model: its ``name`` and ``options``, from which the dense network can be built.
        info: plain data that describe how it came about.
        half: store floating-point weights as fp16, half the size; `load` gives fp32 again.
    """
    state = {name: _stored(tensor, half) for name, tensor in module.state_dict().items()}
    buffer = io.BytesIO()  # a named file would put its name into the archive, and so into its sha256
    torch.save({"format": FORMAT, "model": dict(model), "info": dict(info or {}), "state": state}, buffer)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(path)


def load(path: Path, *, search: Path | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """The network in eval mode and the header (``format``, ``model``, ``info``).

    Args:
        path: a file written by `save`.
        search: folder in which the user's own modules are looked for.

    Raises:
        BadInput: the file is missing, truncated, of a newer format, or no checkpoint of ours; or it does not fit its
        model.
    """
    content = _read(path)
    state: dict[str, Tensor] = content.pop("state")
    module = build(content["model"]["name"], content["model"].get("options"), search=search)
    try:
        resize(module, state)
        module.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in state.items()})
    except (ValueError, RuntimeError) as error:
        what = f"the checkpoint does not fit the model {content['model']['name']!r}"
        raise BadInput(
            Problem(what, file=path, seen=str(error), hint="was the model changed since it was saved?")
        ) from error
    return module, content


def header(path: Path) -> dict[str, Any]:
    """The checkpoint's header alone, without building the network.

    Raises:
        BadInput: as for `load`.
    """
    content = _read(path)
    del content["state"]
    return content


def _stored(tensor: Tensor, half: bool) -> Tensor:
    kept = tensor.detach().clone().contiguous()  # a clone: a view would drag its whole storage into the file
    return kept.half() if half and kept.is_floating_point() else kept


def _read(path: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of foreign pickles; they are refused in our own words
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadInput(Problem("no such checkpoint", file=path)) from error
    except IsADirectoryError as error:
        raise BadInput(Problem("a folder, not a checkpoint", file=path)) from error
    except Exception as error:  # bytes that are no checkpoint can fail anywhere in the reader
        hint = "the file is truncated, damaged, or not a checkpoint; make it again with `explorer train`"
        raise BadInput(
            Problem("cannot read the checkpoint", file=path, seen=f"{path.stat().st_size} bytes", hint=hint)
        ) from error
    return _checked(content, path)


def _checked(content: Any, path: Path) -> dict[str, Any]:
    if not isinstance(content, dict) or not {"format", "model", "state"} <= content.keys():
        hint = "a bare state_dict does not say which network it belongs to: see explorer.models.checkpoint.save"
        raise BadInput(Problem("not a checkpoint of explorer's", file=path, seen=type(content).__name__, hint=hint))
    if content["format"] > FORMAT:
        raise BadInput(
            Problem(
                "the checkpoint is of a newer format", file=path, seen=str(content["format"]), allowed=f"up to {FORMAT}"
            )
        )
    return content
