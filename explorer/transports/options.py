"""What a board may be told, by its own file or over that, and of which kind it is: looked at once more before a board
is started, as not everybody who starts one has read a space file first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from explorer.errors import BadInput, Problem
from explorer.registry import nearest
from explorer_agent.wire import ProtocolError, encode

Kind = tuple[str, Callable[[Any], bool]]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_meter(value: Any) -> bool:
    """Names with whatever the wire can carry: what a meter of the user's own wants to know is its own affair."""
    try:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value) and bool(encode({"meter": value}))
    except (TypeError, ValueError, ProtocolError):
        return False


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


TEXT: Kind = ("a text", _is_text)
TEXTS: Kind = ("a list of names", lambda value: isinstance(value, (list, tuple)) and all(map(_is_text, value)))
NUMBER: Kind = ("a number, 0 or more", _is_number)
# What may be said over the board's own file. patience_s is for who comes back, the rest for who starts; faults and seed
# are a virtual board's.
OPTIONS: Mapping[str, Kind] = {
    "cache_gb": NUMBER,
    "clocks": ("lock or leave", lambda value: value in ("lock", "leave")),
    "faults": ("names with values", _is_meter),
    "home": TEXT,
    "identity_file": TEXT,
    "meter": ("names with numbers or texts", _is_meter),
    "password_env": TEXT,
    "patience_s": NUMBER,
    "plugins": TEXTS,
    "python": TEXT,
    "reboot": ("never or allow", lambda value: value in ("never", "allow")),
    "runtimes": TEXTS,
    "seed": ("a whole number, 0 or more", _is_count),
    "wait_s": NUMBER,
}
OF_A_FILE: Mapping[str, Kind] = {
    **OPTIONS,
    "summary": TEXT,
    "transport": ("local or ssh", lambda value: value in ("local", "ssh")),
    "address": TEXT,
}


def check(said: Mapping[str, Any], known: Mapping[str, Kind], *, file: Path | None = None) -> None:
    """See that only what is `known` is said, each of its kind.

    Raises:
        BadInput: with everything that is not.
    """
    problems = [_problem(key, value, known, file) for key, value in said.items()]
    if any(problems):
        raise BadInput([problem for problem in problems if problem is not None])


def _problem(key: Any, value: Any, known: Mapping[str, Kind], file: Path | None) -> Problem | None:
    if key not in known:
        allowed, hint = ", ".join(known), nearest(str(key), list(known))
        return Problem("unknown device option", file=file, seen=str(key), allowed=allowed, hint=hint)
    words, fits = known[key]
    if value is None or fits(value):  # nothing said
        return None
    return Problem("a device option of another kind", file=file, path=str(key), seen=repr(value)[:80], allowed=words)
