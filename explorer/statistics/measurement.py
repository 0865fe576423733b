"""A measurement as taken: raw series and facts, never edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """A measurement as taken. Series of float64; times in seconds of the device's monotonic clock.

    `latency_s`: every inference, in order; `window_start_s`, `window_end_s`, `window_count`, `window_cpu_s`: one
    number a window; with a meter that measures also `meter_time_s` and `meter_0`, … (J or W, one a rail) and
    `idle_s` (two edges).
    """

    header: Mapping[str, Any]
    series: Mapping[str, Floats]

    @property
    def windows(self) -> int:
        return len(self.series["window_count"])

    @property
    def windows_s(self) -> float:
        """From the first window's start to the last one's end."""
        return float(self.series["window_end_s"][-1] - self.series["window_start_s"][0])

    @property
    def meter(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.header["meter"]
        return found

    @property
    def estimated(self) -> bool:
        return bool(self.header["estimated"])

    @property
    def simulated(self) -> bool:
        """Whether it took place on a virtual board."""
        return bool(self.header.get("simulated"))

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(self.header["flags"])

    @cached_property
    def raw(self) -> dict[str, Any]:
        """Everything, as plain JSON; a reading that was not had is null."""
        return {"header": dict(self.header), "series": {name: _plain(data) for name, data in self.series.items()}}

    @classmethod
    def of_raw(cls, raw: Mapping[str, Any]) -> Measurement:
        """What `raw` was made of."""
        return cls(raw["header"], {name: np.asarray(data, np.float64) for name, data in raw["series"].items()})


def _plain(data: Floats) -> list[float | None]:
    numbers: list[float | None] = data.tolist()
    return numbers if np.isfinite(data).all() else [None if number != number else number for number in numbers]
