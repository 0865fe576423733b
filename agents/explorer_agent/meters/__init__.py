"""Meters: where watts and joules come from. A plain dict of names; `available` keeps the reason why not.

A meter counts energy (`quantity` "J", a counter that grows), reads power ("W"), or measures nothing ("model": the
host turns CPU time into watts by declared figures, and whatever comes of that is marked as estimated).
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Protocol, Sequence

from explorer_agent.messages import UNSUPPORTED, AgentError
from explorer_agent.meters.declared import Declared
from explorer_agent.meters.rapl import Rapl


class Meter(Protocol):
    """What a meter offers; a plug-in imports nothing of ours to be one."""

    name: str
    quantity: str  # "J" | "W" | "model"

    def available(self) -> str:
        """Why it cannot be used here; empty when it can."""

    def rails(self) -> Sequence[str]:
        """What it tells apart; all of them together make the total."""

    def read(self) -> Sequence[float]:
        """One number a rail, in `quantity`."""

    def facts(self) -> dict[str, Any]:
        """What the host needs to know to judge and derive."""


MeterFactory = Callable[[Mapping[str, Any]], Meter]

METERS: dict[str, MeterFactory] = {"rapl": Rapl, "declared": Declared}


def choose(wanted: Mapping[str, Any]) -> tuple[Meter | None, str]:
    """The meter that `wanted` asks for by name, or by "auto" the first that works; else None and why not.

    Raises:
        AgentError: unsupported: there is no meter of that name, or the one asked for by name cannot be used.
    """
    name = str(wanted.get("name", "auto"))
    if name == "auto":
        return _first_available(wanted)
    if name not in METERS:
        raise AgentError(UNSUPPORTED, f"unknown meter {name!r}", hint="known: auto, " + ", ".join(METERS))
    meter = METERS[name](wanted)
    why_not = meter.available()
    if why_not:
        raise AgentError(UNSUPPORTED, f"the meter {name} cannot be used: {why_not}")
    return meter, ""


def _first_available(wanted: Mapping[str, Any]) -> tuple[Meter | None, str]:
    reasons = []
    for name, factory in METERS.items():
        why_not = _why_not(factory, wanted)
        if not why_not:
            return factory(wanted), ""
        reasons.append(f"{name}: {why_not}")
    return None, "; ".join(reasons)


def describe() -> dict[str, Any]:
    """Every meter and why it is not available, for `hello`."""
    reasons = {str(name): _why_not(factory, {}) for name, factory in METERS.items()}
    return {name: {"available": not why_not, "why_not": why_not} for name, why_not in reasons.items()}


def _why_not(factory: MeterFactory, wanted: Mapping[str, Any]) -> str:
    """Why a meter cannot be used; somebody's meter that fails even to say so is one that cannot."""
    try:
        return str(factory(wanted).available() or "")
    except Exception as error:  # noqa: BLE001  whatever a plug-in raises
        return f"{type(error).__name__}: {error}"
