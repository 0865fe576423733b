"""How the numbers were measured: for how long, who read the power and over which rails, the clocks, what looking cost;
and on how many samples 8-bit networks were calibrated.

All of it is in ``study.json``, in the records and in the headers of the raw measurements; a few of the latter are
read, spread over the study, and where they disagree every answer is told.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from explorer.errors import BadInput
from explorer.report import calibration, wording
from explorer.report.view import View

_HEADERS = 12  # raw measurements looked into, spread over the study

Header = Mapping[str, Any]


def method(view: View) -> dict[str, str]:
    """What to tell of the measuring, by a short name: ``{"power": "…", "clocks": "…"}``; what is unknown is absent."""
    headers = list(_headers(view))
    told: dict[str, Iterable[str]] = {
        "device": _device(view),
        "each candidate": _plan(view),
        "search": _learnt(view),
        "calibration": calibration.in_words(view.complete),
        "power": _each(headers, _power),
        "meters passed over": _each(headers, _passed_over),
        "power mode": _each(headers, _power_mode),
        "clocks": _each(headers, _clocks),
        "temperature": _temperature(headers),
        "cost of looking": _cost(headers),
        "runs differ": _spreads(view),
    }
    return {name: said for name, sentences in told.items() if (said := "; or ".join(filter(None, sentences)))}


def in_one_line(view: View) -> str:
    """`method` for a terminal: what concerns power, clocks and calibration alone; empty where nothing is known."""
    told = method(view)
    names = [name for name in ("power", "power mode", "clocks", "cost of looking", "calibration") if name in told]
    return f"how it was measured: {'; '.join(f'{name}: {told[name]}' for name in names)}" if names else ""


def _headers(view: View) -> Iterator[Header]:
    """Headers of some of the complete trials; one whose file is gone or cannot be read is passed over."""
    numbers = [record.number for record in view.complete]
    step = max(1, -(-len(numbers) // _HEADERS))
    for number in numbers[::step]:
        with contextlib.suppress(BadInput):
            if isinstance(header := (view.data.raw(number) or {}).get("header"), dict):
                yield header


def _each(headers: Iterable[Header], say: Callable[[Header], str]) -> Sequence[str]:
    """What the headers say, each different answer once."""
    return list(dict.fromkeys(map(say, headers)))


def _device(view: View) -> Iterator[str]:
    device = view.study.get("device", {})
    if table := device.get("recorded"):
        rows = f"{table['rows']} rows of {table['candidates']} candidates"
        whose = f"{table['table']} ({rows}, sha256 {table['sha256'][:12]})"
        yield f"none: read from a table that was measured before, {whose}"
    known = [device.get(name) for name in ("model", "cpu", "machine")]
    cores = [f"{device['cores']} cores"] if "cores" in device else []
    software = [f"{name} {device[key]}" for key, name in (("l4t", "L4T"), ("jetpack", "JetPack")) if device.get(key)]
    yield ", ".join([*dict.fromkeys(str(word) for word in known if word), *cores, *software])


def _plan(view: View) -> Iterator[str]:
    plan = view.study.get("experiment", {}).get("measure", {})
    if {"warmup_s", "window_s", "budget_s", "relative_interval"} <= set(plan):
        yield (
            f"warmed up until steady, then windows of {plan['window_s']:g} s until the 95 % interval is within "
            f"{100 * plan['relative_interval']:g} %, for {plan['budget_s']:g} s at most"
        )


def _learnt(view: View) -> Iterator[str]:
    """What the search was warmed with: others' records, and what a model foretold."""
    told = [f"{one['study']} ({one['records']} records)" for one in view.study.get("learns_from", ())]
    yield f"learned from {', '.join(told)}" if told else ""
    if model := view.study.get("foretold"):
        names = ", ".join(wording.title(name)[0] for name in model["metrics"])
        yield f"steered by a {model['by']} of the uncompressed network ({names}), modelled: no figure here is its"


def _spreads(view: View) -> Iterator[str]:
    """What runs of one candidate differ by, beyond each one's own interval, and whence that is known."""
    sources: dict[str, list[str]] = {}
    for name, spread in view.standing.spreads.items():
        sources.setdefault(spread.source, []).append(wording.title(name)[0])
    yield "; ".join(f"{', '.join(names)}: {source}" for source, names in sources.items())


def _power(header: Header) -> str:
    meter = header.get("meter") or {}
    if not meter or meter.get("name") == "none":
        return "not measured"
    if meter.get("estimated"):
        idle, busy = meter.get("idle_w"), meter.get("busy_core_w")
        return f"modelled, not measured: {idle} W idle and {busy} W for each busy core, as declared"
    rails = list(map(str, meter.get("rails", [])))
    total = [rails[i] for i in meter.get("total", range(len(rails))) if i < len(rails)]
    policy = f" (total policy {meter['policy']})" if meter.get("policy") else ""
    lag = f", which lags {wording.number(meter['lag_s'])} s" if meter.get("lag_s") else ""
    doubt = f"; {meter['doubt']}" if meter.get("doubt") else ""
    return f"{meter['name']}: {' + '.join(total) or 'one reading'}{policy}{lag}{doubt}"


def _passed_over(header: Header) -> str:
    meter = header.get("meter") or {}
    return "; ".join(f"{name}: {why}" for name, why in (meter.get("passed_over") or {}).items())


def _power_mode(header: Header) -> str:
    return str((header.get("board_before") or {}).get("power_mode") or "")


def _clocks(header: Header) -> str:
    """Whether the clocks were held; as the board told before it began."""
    before = header.get("board_before") or {}
    free = before.get("clocks_free")
    if free is not None:
        return f"free to move: {', '.join(map(str, free))}" if free else "locked"
    governors = ", ".join(map(str, before.get("governors") or []))
    return f"as the governor sets them ({governors})" if governors else ""


def _temperature(headers: Sequence[Header]) -> Iterator[str]:
    states = [header.get(when) or {} for header in headers for when in ("board_before", "board_after")]
    degrees = [value for state in states if isinstance(value := state.get("temperature_c"), (int, float))]
    if degrees:
        yield f"{min(degrees):.0f} to {max(degrees):.0f} °C"


def _cost(headers: Sequence[Header]) -> Iterator[str]:
    """Processor time that reading the meter and the board's state took, as a share of one core."""
    shares = [share for header in headers if (share := _share(header)) is not None]
    if shares:
        yield f"{100 * statistics.median(shares):.2g} % of one core, in a process of its own"


def _share(header: Header) -> float | None:
    """Seconds of processor time in a second: what one reading took, times the readings a second."""
    probes = [probe for probe in (header.get("sampling") or {}).values() if probe.get("readings")]
    return sum(probe["cpu_s"] / probe["readings"] * probe["hz"] for probe in probes) if probes else None
