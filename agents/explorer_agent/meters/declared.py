"""No sensor: power from a declared model, idle watts plus watts for each busy core. What it yields is an estimate
and says so.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence


class Declared:
    """``power_w = idle_w + busy_core_w × CPU seconds / second``; the arithmetic is the host's, from the CPU time of
    every window.
    """

    name = "declared"
    quantity = "model"
    what = "no sensor: estimated from idle_w and busy_core_w"

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._figures = {key: wanted.get(key) for key in ("idle_w", "busy_core_w")}

    def available(self) -> str:
        missing = [key for key, value in self._figures.items() if not _is_watts(value)]
        return "{} not declared for this device".format(" and ".join(missing)) if missing else ""

    def rails(self) -> Sequence[str]:
        return ()

    def read(self) -> Sequence[float]:
        return ()

    def facts(self) -> dict[str, Any]:
        means = "declared: idle_w, and busy_core_w for each core that the job kept busy"
        return dict(self._figures, estimated=True, policy="declared/1", means=means)


def _is_watts(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
