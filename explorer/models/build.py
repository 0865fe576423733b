"""A network from its name and options: the zoo's, a plug-in's, or ``package.module:callable`` of the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from explorer.errors import BadInput, Problem
from explorer.models import MODELS
from explorer.registry import nearest


def build(name: str, options: Mapping[str, Any] | None = None, *, search: Path | None = None) -> nn.Module:
    """The freshly initialised network in eval mode.

    Args:
        name: a registered name or ``package.module:callable``.
        options: keyword arguments of the callable.
        search: folder in which the user's own modules are looked for.

    Raises:
        BadInput: unknown name or option, or what was built is no network.
    """
    make = MODELS.load(name, search=search)
    options = dict(options or {})
    _check_options(name, make, options)
    module = make(**options)
    if not isinstance(module, nn.Module):
        raise BadInput(Problem(f"model {name!r} does not build a torch.nn.Module", seen=type(module).__name__))
    return module.eval()


def fill_in(
    name: str, options: Mapping[str, Any] | None, *, search: Path | None = None, **defaults: Any
) -> dict[str, Any]:
    """`options`, with those of `defaults` (such as ``classes``) that the model accepts and the user did not give."""
    accepted = _parameters(MODELS.load(name, search=search))
    return {key: value for key, value in defaults.items() if key in accepted} | dict(options or {})


def _check_options(name: str, make: Callable[..., Any], options: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(make)
        signature.bind(**options)
    except ValueError:  # a callable without a signature: let it judge for itself
        return
    except TypeError as error:
        known = list(_parameters(make))
        stray = next((option for option in options if option not in known), "")
        raise BadInput(
            Problem(
                f"model {name!r} cannot be built with these options: {error}",
                path="model.options",
                seen=str(dict(options)),
                allowed=", ".join(known) or "no options",
                hint=nearest(stray, known) if stray else "",
            )
        ) from error


def _parameters(make: Callable[..., Any]) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:
        return ()
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
