"""What units cost each other: engines of known latencies, of which one waits for the other."""

from __future__ import annotations

import threading
import time

import pytest

from explorer_agent.measuring.lanes import Lanes
from explorer_agent.measuring.sharing import sharing, units


def test_one_that_waits_for_the_other_is_slower_by_that() -> None:
    unit = threading.Lock()

    def step() -> None:
        with unit:
            time.sleep(0.004)
        time.sleep(0.001)

    told = sharing([step, step, lambda: time.sleep(0.002)], ["gpu", "dla0", "dla1"], 60_000_000, lanes=Lanes)
    assert told["gpu"]["alone_ms"] >= 5.0
    assert told["gpu"]["together_ms"] > told["gpu"]["alone_ms"] + 1.0, "4 ms of two, one after the other"
    assert told["gpu"]["slowdown"] == pytest.approx(told["gpu"]["together_ms"] / told["gpu"]["alone_ms"])
    assert set(told) == {"gpu", "dla0", "dla1"}


def test_only_several_units_share() -> None:
    def runs(*names: str) -> dict[str, object]:
        return {"streams": [{"unit": name} for name in names]}

    assert units(runs("gpu", "dla0", "gpu"), 3) == ["gpu", "dla0", "gpu"]
    assert units(runs("gpu", "gpu"), 2) == units(runs("gpu", "dla0"), 3) == units({}, 2) == []
