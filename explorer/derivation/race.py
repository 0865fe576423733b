"""What a race came to: for each metric the entrants' logarithms and their covariance, the common part taken out.

    rounds   entrant 0  ▂▂▂     ▂▂▂         log of seconds, joules, … an inference, one number a turn
             entrant 1      ▂▂▂     ▂▂▂     ──► means over the rounds, less each round's own level ──► {mean, cov}

Energy of a turn: by the meter's readings between its edges, or by the declared watts and its processor time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.derivation.trial import DIGITS
from explorer.statistics import Floats, Measurement
from explorer.statistics.blocks import ROUNDS_MIN, Rounds, contrasts
from explorer.statistics.readings import Curve, curve, delay_s, lag, total_rails

LAGS_MIN = 5  # time constants of a meter's filter, which a turn must outlast for its own watts to be told
IDLE_MIN_S = 0.05


@dataclass(frozen=True)
class Entrant:
    """Who took part: the trial's number, samples an inference, and how many inferences were under way at once."""

    trial: int
    batch: int = 1
    streams: int = 1

    def to_json(self) -> dict[str, int]:
        return {"trial": self.trial, "batch": self.batch, "streams": self.streams}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entrant:
        return cls(data["trial"], data["batch"], data["streams"])


def raw_of(measurement: Measurement, entrants: Sequence[Entrant]) -> dict[str, Any]:
    """What is kept of a race, as plain JSON."""
    return {**measurement.raw, "entrants": [entrant.to_json() for entrant in entrants]}


def readings_of(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The readings that follow from what was kept, by metric: ``{"trials", "mean" [e], "cov" [e, e]}``, logarithms."""
    measurement = Measurement.of_raw(raw)
    entrants = [Entrant.from_json(data) for data in raw["entrants"]]
    return readings(measurement, entrants)


def readings(measurement: Measurement, entrants: Sequence[Entrant]) -> dict[str, dict[str, Any]]:
    """What the rounds of a race say of each metric that they can be read for; of too few, nothing."""
    rounds = Rounds.of(measurement)
    if len(rounds.table) < ROUNDS_MIN:
        return {}
    batch = np.log([entrant.batch for entrant in entrants])
    found = {
        "latency_ms": _reading(rounds, entrants, offset=np.log([1e3 * entrant.streams for entrant in entrants])),
        "throughput_ips": _reading(rounds, entrants, offset=-batch, sign=-1.0),
    }
    for name, joules in _joules(measurement).items():
        each = _per_inference(measurement, joules, len(entrants))
        if each is not None:
            found[name] = _reading(Rounds(each), entrants, offset=np.log(1e3) - batch)
    return found


def _joules(measurement: Measurement) -> dict[str, Floats]:
    """Joules of each turn, gross and above idle; nothing where the meter cannot tell one turn from the next."""
    header, series = measurement.header, measurement.series
    if measurement.meter["name"] == "none" or header.get("sampler_failure"):
        return {}
    starts, ends = series["block_start_s"], series["block_end_s"]
    if measurement.estimated:
        busy = float(measurement.meter["busy_core_w"]) * series["block_cpu_s"]
        return {"energy_mj": float(measurement.meter["idle_w"]) * (ends - starts) + busy, "energy_net_mj": busy}
    readings, span = curve(measurement, total_rails(measurement)), (float(starts[0]), float(ends[-1]))
    if not readings.covers(*span) or float(np.median(ends - starts)) < LAGS_MIN * lag(measurement)[0]:
        return {}
    gross = _inside(measurement, readings, starts, ends)
    if gross is None:
        return {}
    found = {"energy_mj": gross}
    idle = series.get("idle_s", np.zeros(2))
    if idle[1] - idle[0] > IDLE_MIN_S and readings.covers(float(idle[0]), float(idle[1])):
        watts = float(readings.between(idle[:1], idle[1:])[0]) / float(idle[1] - idle[0])
        found["energy_net_mj"] = gross - watts * (ends - starts)
    return found


def _inside(measurement: Measurement, readings: Curve, starts: Floats, ends: Floats) -> Floats | None:
    """Joules of each turn by the readings within it; None where a turn has fewer than two.

    Up to its edges the curve would lean on the neighbours' watts, and every entrant come out nearer to the others than
    it is: by 1 % of what their watts differ with fifty readings a turn, which no number of rounds averages out.
    """
    first = np.searchsorted(readings.times, starts + lag(measurement)[0])
    last = np.searchsorted(readings.times, ends, side="right") - 1
    if (last <= first).any():
        return None
    begin, end = readings.times[first], readings.times[last]
    joules = readings.between(begin, end) + delay_s(measurement, readings) * readings.rise(begin, end)
    return np.asarray(joules / (end - begin) * (ends - starts), np.float64)


def _reading(rounds: Rounds, entrants: Sequence[Entrant], *, offset: Floats, sign: float = 1.0) -> dict[str, Any]:
    """`sign` · (log + offset) of each entrant, with its covariance."""
    mean, cov = contrasts(rounds)
    levels = sign * (mean + offset)
    return {
        "trials": [entrant.trial for entrant in entrants],
        "mean": [_short(value) for value in levels - levels.mean()],
        "cov": [[_short(value) for value in row] for row in cov],
    }


def _per_inference(measurement: Measurement, joules: Floats, entrants: int) -> Floats | None:
    """Log joules an inference by [round, entrant]; None where a turn drew none, as far as the meter can tell."""
    series = measurement.series
    if not len(joules) or not np.isfinite(joules).all() or (joules <= 0).any():
        return None
    rounds = series["block_round"].astype(int)
    table = np.full((int(rounds.max()) + 1, entrants), np.nan)
    table[rounds, series["block_entrant"].astype(int)] = np.log(joules / series["block_count"])
    return table


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
