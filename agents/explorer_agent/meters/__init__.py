"""Meters: where watts and joules come from. A plain dict of names, in the order in which they are asked.

    ina3221 ─no─► jtop ─no─► nvml ─no─► rapl ─no─► declared ─no─► none
       │yes        │yes       │yes       │yes        │yes             whoever says no says why, and that is kept
       └───────────┴──────────┴──────────┴───────────┴─► measures     with the measurement: "passed_over"

A meter counts energy (`quantity` "J", a counter that grows), reads power ("W"), or measures nothing ("model": the
host turns CPU time into watts by declared figures, and whatever comes of that is marked as estimated).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Protocol, Sequence

from explorer_agent.messages import UNSUPPORTED, AgentError
from explorer_agent.meters.declared import Declared
from explorer_agent.meters.ina3221 import Ina3221
from explorer_agent.meters.jtop import Jtop
from explorer_agent.meters.nvml import Nvml
from explorer_agent.meters.rapl import Rapl


class Meter(Protocol):
    """What a meter offers; a plug-in imports nothing of ours to be one.

    It may say more: `what` (one line for lists), `units` (of a placement such as "gpu+dla", those it measures; all when
    it does not say), `period_s` (how often to read it), `mendable` (it is here, and what keeps it from being used can
    be mended as `available` says) and `close()` (called when it is not needed any more).
    """

    name: str
    quantity: str  # "J" | "W" | "model"

    def available(self) -> str:
        """Why it cannot be used here; empty when it can, and then it is ready to be read."""

    def rails(self) -> Sequence[str]:
        """What it tells apart; facts()["total"] are the indexes of those that make the total, all when left out."""

    def read(self) -> Sequence[float]:
        """One number a rail, in `quantity`; NaN for a rail that has no reading now."""

    def facts(self) -> dict[str, Any]:
        """What the host needs to know to judge and derive: "estimated", "policy", "lag_s", "lag_means", "doubt", …"""


MeterFactory = Callable[[Mapping[str, Any]], Meter]

METERS: dict[str, MeterFactory] = {"ina3221": Ina3221, "jtop": Jtop, "nvml": Nvml, "rapl": Rapl, "declared": Declared}


@dataclass(frozen=True)
class Choice:
    """The meter that is read, None for none, and why not each of those that were asked before it."""

    meter: Meter | None
    passed_over: Mapping[str, str]

    def facts(self) -> dict[str, Any]:
        """What is stored with a measurement."""
        passed_over = dict(self.passed_over)
        if self.meter is None:
            why_not = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
            return {"name": "none", "why_not": why_not, "passed_over": passed_over}
        told = {"name": self.meter.name, "quantity": self.meter.quantity, "rails": list(self.meter.rails())}
        return dict(self.meter.facts(), **told, passed_over=passed_over)


def choose(wanted: Mapping[str, Any], placement: str = "cpu") -> Choice:
    """The meter that `wanted` asks for by name, or by "auto" the first that works for what runs on `placement`.

    Raises:
        AgentError: unsupported: there is no meter of that name, or the one asked for by name cannot be used.
    """
    name = str(wanted.get("name", "auto"))
    if name == "auto":
        return _first(wanted, placement)
    if name not in METERS:
        raise AgentError(UNSUPPORTED, f"unknown meter {name!r}", hint="known: auto, " + ", ".join(METERS))
    answer = _asked(METERS[name], wanted, placement)
    if answer.meter is None:
        raise AgentError(UNSUPPORTED, f"the meter {name} cannot be used: {answer.why_not}")
    return Choice(answer.meter, {})


def describe() -> dict[str, Any]:
    """Every meter in the order in which they are asked: what it is, and what it reads or why it cannot; for `hello`."""
    return {str(name): _described(factory) for name, factory in METERS.items()}


@dataclass(frozen=True)
class _Answer:
    """A meter that is ready to be read, or why not."""

    meter: Meter | None
    why_not: str = ""
    mendable: bool = False


def _first(wanted: Mapping[str, Any], placement: str) -> Choice:
    passed_over: dict[str, str] = {}
    for name, factory in METERS.items():
        answer = _asked(factory, wanted, placement)
        if answer.meter is not None:
            return Choice(answer.meter, passed_over)
        passed_over[name] = answer.why_not
    return Choice(None, passed_over)


def _asked(factory: MeterFactory, wanted: Mapping[str, Any], placement: str | None) -> _Answer:
    """What comes of making a meter; somebody's that fails even to say why not is one that cannot be used."""
    try:
        meter = factory(wanted)
        units = getattr(meter, "units", ())
        if placement is not None and units and not set(units).intersection(placement.split("+")):
            return _Answer(None, f"it measures what runs on {' or '.join(units)}, this runs on {placement}")
        why_not = str(meter.available() or "")
    except Exception as error:  # noqa: BLE001  whatever a plug-in raises
        return _Answer(None, f"{type(error).__name__}: {error}")
    return _Answer(None, why_not, bool(getattr(meter, "mendable", False))) if why_not else _Answer(meter)


def _described(factory: MeterFactory) -> dict[str, Any]:
    answer = _asked(factory, {}, None)
    meter, told = answer.meter, {"what": str(getattr(factory, "what", "")), "why_not": answer.why_not}
    if meter is None:
        return dict(told, available=False, mendable=answer.mendable)
    try:
        facts = dict(meter.facts(), rails=list(meter.rails()), units=list(getattr(meter, "units", ())))
    except Exception as error:  # noqa: BLE001  a plug-in's again
        return dict(told, available=False, mendable=False, why_not=f"{type(error).__name__}: {error}")
    finally:
        getattr(meter, "close", bool)()
    return dict(
        told,
        available=True,
        **{key: facts[key] for key in ("rails", "units", "policy", "lag_s", "doubt") if key in facts},
    )
