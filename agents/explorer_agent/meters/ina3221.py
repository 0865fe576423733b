"""ina3221: the power sensors on a Jetson's module, read from the kernel's files; the instrument for its energy.

    rail:  mV ─ stamp ─ mA  → W        20 times a second; a chip has a new value every 7 ms or, where it averages,
                                       every few seconds, and then says so: lag_s, lag_means

No reading (no answer, switched off, gated) is NaN, never zero. Which rails make the total is a named policy.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Mapping, Sequence

from explorer_agent import rails, sysfs
from explorer_agent.rails import Lag, Total


class Ina3221:
    """Watts of every rail there is a sensor for. `wanted` may name another "policy" that the rails allow, and "lag_s",
    where a chip does not tell how it smooths, or something else does: the time constant of a first-order filter.
    """

    name = "ina3221"
    quantity = "W"
    period_s = 0.05  # a read costs 0.55 ms a file on the I²C bus, two files a rail: more than 50 Hz would load it
    what = "a Jetson's own power sensors, 20 times a second"

    def __init__(self, wanted: Mapping[str, Any], *, root: Path = sysfs.ROOT) -> None:
        self._root = root
        self._policy = str(wanted.get("policy") or "")
        self._declared_s = float(wanted.get("lag_s") or 0.0)
        self._rails = rails.rails(root)
        self._totals = rails.totals(self._rails)

    def available(self) -> str:
        if not self._rails:
            return f"no sensor of the kinds ina3221 and ina238 below {self._root / 'sys'}"
        policies = [total.policy for total in self._totals]
        if self._policy and self._policy not in policies:
            return f"policy {self._policy!r}: these rails allow {', '.join(policies) or 'none'}"
        if all(map(math.isnan, self.read())):
            return f"none of its rails answers: {', '.join(self.rails())}"
        return ""

    def rails(self) -> Sequence[str]:
        return [rail.name for rail in self._rails]

    def read(self) -> Sequence[float]:
        watts = [rail.watts() for rail in self._rails]
        return [math.nan if reading is None else reading for reading in watts]

    def facts(self) -> dict[str, Any]:
        first, *others = sorted(self._totals, key=lambda total: total.policy != self._policy) or [_NONE]
        chips = {rail.chip for rail in self._rails if rail.name in first.rails or first is _NONE}
        lags = [lag for lag in rails.lags(self._root) if lag.chip in chips]
        return {
            "estimated": False,
            "policy": first.policy,
            "total": self._indexes(first),
            "means": first.means,
            "doubt": first.doubt,
            "totals": [dict(self._told(total), rails=self._indexes(total)) for total in others],
            "step_w": [rail.step_w() for rail in self._rails],
            "samples": {lag.chip: lag.samples for lag in lags},
            "update_interval_ms": {lag.chip: lag.update_ms for lag in lags},
            **self._lag(lags),
        }

    def _told(self, total: Total) -> dict[str, Any]:
        return {"policy": total.policy, "means": total.means, "doubt": total.doubt}

    def _indexes(self, total: Total) -> list[int]:
        names = list(self.rails())
        return [names.index(name) for name in total.rails]

    def _lag(self, lags: Sequence[Lag]) -> dict[str, Any]:
        """How the readings smooth, as it was declared, or as the slowest chip of the total tells it; else nothing.

        After "settle_s" of steady power a reading is that power: a mean that is held until the next one is there may
        reach back twice its length; of a first-order filter's step less than 1 % is left after five time constants.
        """
        if self._declared_s:
            return {
                "lag_s": self._declared_s,
                "lag_means": "first order, as declared",
                "settle_s": 5 * self._declared_s,
            }
        slowest = max(lags, key=lambda lag: lag.seconds or 0.0, default=None)
        if slowest is None or slowest.seconds is None:
            return {}
        many = slowest.samples is not None and slowest.samples > 1
        means = f"mean of {slowest.samples} samples" if many else "the newest sample"
        return {"lag_s": slowest.seconds, "lag_means": means, "settle_s": 2 * slowest.seconds}


_NONE = Total("none", (), "no rule for these rails: each is kept for itself", "a rail is unknown or missing")
