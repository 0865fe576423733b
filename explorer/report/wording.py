"""How names and numbers are said to people: units out of names, as many digits as the interval deserves, marks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from explorer.result import Metric, Record

# Suffix of a metric name → its unit.
_UNITS = {
    "ips": "1/s",
    "ms": "ms",
    "mj": "mJ",
    "w": "W",
    "mb": "MB",
    "s": "s",
    "c": "°C",
    "hz": "Hz",
    "khz": "kHz",
    "mhz": "MHz",
}
_SPECIAL = {"subjects_25ips": ("subjects at 25/s", ""), "macs": ("MACs", ""), "params": ("parameters", "")}

ESTIMATED, SIMULATED, RECORDED, SCALED, DOUBTFUL = "*", "†", "§", "‡", "!"
MEANING = {
    ESTIMATED: "estimated by a model, not measured",
    SIMULATED: "simulated: a virtual board, not a real one",
    RECORDED: "recorded: read from a table that was measured before",
    SCALED: "brought to one scale by the reference engine measured beside (boards.jsonl)",
}


# How a trial ended, in the order in which endings are counted, and in words where its name is not enough.
ENDINGS = {"complete": "complete", "dominated": "dominated early", "infeasible": "infeasible", "failed": "failed"}


def endings(states: Iterable[str]) -> str:
    """``52 complete, 4 dominated early``; empty for no trials."""
    order, counted = list(ENDINGS), Counter(states)
    found = sorted(counted.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    return ", ".join(f"{count} {ENDINGS.get(state, state)}" for state, count in found)


def title(name: str) -> tuple[str, str]:
    """A metric or axis in words, and its unit: ``throughput_ips`` → ``("throughput", "1/s")``."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    stem, _, suffix = name.rpartition("_")
    if stem and suffix in _UNITS:
        return stem.replace("_", " "), _UNITS[suffix]
    return name.replace("_", " "), ""


def heading(name: str) -> str:
    """`title` on one line: ``throughput [1/s]``."""
    words, unit = title(name)
    return f"{words} [{unit}]" if unit else words


def marks(record: Record, metric: str) -> str:
    """``*`` for an estimated metric, ``†`` for a simulated one, ``§`` for one from a recorded table, ``‡`` for one
    brought to another scale; belongs wherever the number is printed.
    """
    found = record.evaluation
    marked = (
        (ESTIMATED, found.estimated),
        (SIMULATED, found.simulated),
        (RECORDED, found.recorded),
        (SCALED, found.scaled),
    )
    return "".join(mark for mark, metrics in marked if metric in metrics)


def half_width(metric: Metric) -> float | None:
    """The wider half of the interval; None where the value is exact or the interval unknown."""
    if metric.low is None or metric.high is None:
        return None
    return max(metric.high - metric.value, metric.value - metric.low)


def with_interval(metric: Metric) -> str:
    """``0.943 ±0.012``: two digits of the interval, and the value to the same place."""
    half = half_width(metric)
    if half is None or not 0 < half < math.inf or not math.isfinite(metric.value):
        return number(metric.value)
    factor, letter = _magnitude(metric.value)
    decimals = _decimals(half / factor, digits=2)
    return f"{metric.value / factor:.{decimals}f}{letter} ±{half / factor:.{decimals}f}{letter}"


def value_only(metric: Metric) -> str:
    """The value without its interval, to the digits that the interval supports."""
    return with_interval(metric).partition(" ±")[0]


def number(value: float) -> str:
    """Four digits that say something: ``0.25``, ``12.35``, ``2.595M``, ``∞``."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    factor, letter = _magnitude(value)
    scaled = value / factor
    if scaled and abs(scaled) < 1e-4:
        return f"{scaled:.3g}"
    text = f"{scaled:.{_decimals(scaled, digits=4)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + letter


def chance(probability: float | None) -> str:
    """A probability in at most five characters: ``0.62``, ``>0.99``; a dash where there is none."""
    if probability is None:
        return "–"
    if probability >= 0.995 or probability < 0.005:
        return ">0.99" if probability > 0.5 else "<0.01"
    return f"{probability:.2f}"


def duration(seconds: float) -> str:
    """``3m05s``, ``2h07m``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m{rest:02d}s"


def p_value(p: float) -> str:
    """``p 0.03``, ``p < 0.001``: how often chance alone would show as much."""
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}" if p < 0.01 else f"p {p:.2f}"


def some(numbers: Sequence[int]) -> str:
    """The first few of many."""
    return ", ".join(map(str, numbers[:8])) + (f" and {len(numbers) - 8} more" if len(numbers) > 8 else "")


def trials(numbers: Sequence[int]) -> str:
    """``trial 3``; ``trials 3, 4, 7``."""
    return f"trial{'s' * (len(numbers) > 1)} {some(numbers)}"


def say(value: Any) -> str:
    """A parameter's value: numbers short, everything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def short_names(records: Sequence[Record], axes: Sequence[str]) -> dict[str, str]:
    """The fewest letters that tell apart the axes whose values are not words: ``{"batch": "b", "threads": "t"}``."""
    numeric = [axis for axis in axes if not any(isinstance(r.params.get(axis), str) for r in records)]
    return {axis: _shortest(axis, [other for other in numeric if other != axis]) for axis in numeric}


def token(record: Record, axis: str, short: Mapping[str, str]) -> str:
    """One parameter as short as can be: a word speaks for itself, any other value follows its axis' short name."""
    return f"{short.get(axis, '')}{say(record.params.get(axis, '–'))}"


def _shortest(name: str, others: Sequence[str]) -> str:
    prefixes = (name[:end] for end in range(1, len(name)))
    return next((p for p in prefixes if not any(other.startswith(p) for other in others)), name)


def _magnitude(value: float) -> tuple[float, str]:
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(factor, 1e5):
            return factor, letter
    return 1.0, ""


def _decimals(value: float, *, digits: int) -> int:
    """Decimals that show `digits` significant digits of `value`."""
    return 0 if value == 0 else min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), 9)
