"""`explorer list KIND`: a name and one line of what it is, or why it is not to be had here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.artifacts import cache_root
from explorer.config import spaces
from explorer.datasets import DATASETS
from explorer.errors import BadInput, Problem
from explorer.models import MODELS
from explorer.passes import PASSES
from explorer.registry import Registry, nearest
from explorer.search import SAMPLERS
from explorer.transports.boards import summaries
from explorer.transports.specs import SIMULATED

if TYPE_CHECKING:
    from explorer.device import Device

Rows = Iterable[tuple[str, str]]


def listing(kind: str) -> str:
    """The names of one kind, aligned.

    Raises:
        BadInput: there is no such kind.
        NoDevice: runtimes or meters are asked for and this machine's agent does not start.
    """
    if kind not in _KINDS:
        problem = Problem("unknown kind", seen=repr(kind), allowed=", ".join(_KINDS), hint=nearest(kind, list(_KINDS)))
        raise BadInput(problem)
    rows = list(_KINDS[kind]())
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _registered(registry: Registry) -> Callable[[], Rows]:
    return lambda: sorted((entry.name, entry.summary) for entry in registry.entries().values())


def _spaces() -> Rows:
    return sorted((name, _first_comment(path)) for name, path in spaces().items())


def _first_comment(path: Path) -> str:
    first = path.read_text().partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def _devices() -> Rows:
    """Boards known by name, and the other ways to name one."""
    rows = [
        *summaries().items(),
        ("sim:NAME", f"a virtual Jetson, whose time and watts are simulated: {', '.join(SIMULATED)}"),
        ("ssh://[user@]host[:port]", "any board you can log in to; its own python3 (3.8 or later) is all it needs"),
        (
            "recorded:TABLE",
            "no board: a .csv or .parquet that was measured before, replayed by a space file of its own",
        ),
        ("some/board.yaml", "a board, or a group of equal ones, described in a file of yours: see devices/examples"),
    ]
    return sorted(rows)


def _runtimes() -> Rows:
    return sorted((name, _availability(facts)) for name, facts in _of_the_agent("runtimes").items())


def _meters() -> Rows:
    """In the order in which they are asked: the first that can be used is taken."""
    return [(name, _meter(facts)) for name, facts in _of_the_agent("meters").items()]


def _meter(facts: Mapping[str, Any]) -> str:
    what = f"{facts['what']}; " if facts.get("what") else ""
    if not facts.get("available"):
        return f"{what}not available: {facts.get('why_not')}"
    rails = ", ".join(map(str, facts.get("rails", ())))
    return f"{what}available" + (f": {rails}" if rails else "")


def _of_the_agent(what: str) -> Mapping[str, Mapping[str, Any]]:
    """What this machine's own agent says of itself; other boards are asked by `explorer agent check`."""
    device = _local()
    try:
        found: Mapping[str, Mapping[str, Any]] = device.capabilities[what]
    finally:
        device.close()
    return found


def _local() -> Device:
    from explorer.device import connect

    return connect("local:", cache=cache_root(), options={})


def _availability(facts: Mapping[str, Any]) -> str:
    if not facts.get("available"):
        return f"not available: {facts.get('why_not')}"
    return f"available {facts.get('version', '')}".strip()


_KINDS: dict[str, Callable[[], Rows]] = {
    "models": _registered(MODELS),
    "datasets": _registered(DATASETS),
    "passes": _registered(PASSES),
    "samplers": _registered(SAMPLERS),
    "runtimes": _runtimes,
    "meters": _meters,
    "spaces": _spaces,
    "devices": _devices,
}
