"""Power beside the measurement: a thread of its own reads the meter, each reading stamped on the clock the windows use.

        window 0          window 1
    ├───────────────┤├───────────────┤
    ▲   ▲   ▲   ▲   ▲   ▲   ▲   ▲   ▲   ▲      readings (time, one number a rail)

Nothing is integrated here. The readings go to the host as they are, and so does what reading cost.
"""

from __future__ import annotations

import threading
import time
from array import array
from typing import Any

from explorer_agent.meters import Meter

PERIOD_S = 0.02  # a window of a second holds the fifty readings that a good integral needs


class Sampler:
    """``with Sampler(meter) as sampler: …`` reads the meter until the block ends, at its two edges too."""

    def __init__(self, meter: Meter, *, period_s: float = PERIOD_S) -> None:
        self._meter = meter
        self._period_s = period_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.times_s = array("d")
        self.rails: list[array[float]] = [array("d") for _ in meter.rails()]
        self.cpu_s = 0.0  # what sampling cost
        self.failure = ""

    def __enter__(self) -> Sampler:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._done.set()
        self._thread.join()
        self._sample()

    def _run(self) -> None:
        try:
            while not self._done.is_set():
                self._sample()
                time.sleep(self._period_s)  # no wait for the event: before Python 3.11 that follows the clock's jumps
        except Exception as error:  # noqa: BLE001  a sensor or a plug-in that fails midway: the series ends, and says why
            self.failure = f"{type(error).__name__}: {error}"
        self.cpu_s = time.thread_time()

    def _sample(self) -> None:
        before = time.perf_counter()
        numbers = self._meter.read()
        self.times_s.append((before + time.perf_counter()) / 2)
        for rail, number in zip(self.rails, numbers):
            rail.append(number)
