"""The board's files of /sys, turned while a job's time passes: what the agent's own readers then find is what a sensor
would have shown at that moment.

    course ──at(second)──► watts, heat, clocks ──► milliamperes, millidegrees, hertz in files ──► ina3221, conditions …

Each number is written over the one before, in the same place and width: no reader ever finds half of it.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Mapping, Sequence

from explorer_agent.virtual import wiring
from explorer_agent.virtual.boards import Board, Mode

STEP_V = 40e-6  # of an INA3221 across its shunt: what its current sensor can tell apart
WIDTH = 12
LOWEST = 0.25  # of a GPU's clock in its mode, down to which it is free: ASSUMED


class Panel:
    """The files of one board that change."""

    def __init__(self, root: Path, board: Board) -> None:
        self._root, self._board, self._wiring = root, board, wiring.of(board)
        self._files: dict[str, int] = {}
        self._shown: dict[str, str] = {}

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()
        self._shown.clear()

    def watts(self, rails: Sequence[float]) -> None:
        """What each of the board's rails draws, as its sensor tells it; NaN for one that is dead."""
        for rail, watts in zip(self._board.rails, rails):
            channel = self._wiring.channels[rail.name]
            if math.isnan(watts):
                continue
            if rail.name == "VIN":
                self._put(self._wiring.amps(rail.name), round(watts * 1e6))
                continue
            step = STEP_V / channel.microohms * 1e9  # mA
            steps = round(max(0.0, watts) * 1e6 / channel.millivolts / step)
            self._put(self._wiring.amps(rail.name), round(steps * step))

    def heat(self, celsius: float, *, throttled: bool) -> None:
        """The junction's temperature, and whether it holds clocks back."""
        for number in range(len(self._wiring.zones)):
            self._put(f"{wiring.ZONES.format(number)}/temp", round((celsius - 0.5 * number) * 1000))
        self._put(f"{wiring.ALARM}/cur_state", int(throttled))

    def events(self, counts: Mapping[int, int]) -> None:
        """Over-current events since boot, by the number of the alarm."""
        if not self._wiring.iio:
            for number, count in counts.items():
                self._put(f"{self._wiring.folder(wiring.OVER_CURRENT)}/oc{number}_event_cnt", count)

    def units(self, mode: Mode, *, clocks: float, busy: Sequence[str]) -> None:
        """Clocks of the GPU, of the memory and the DLAs, and which of them are at work; a GPU that sleeps reads 0."""
        self._put(f"{self._wiring.gpu}/cur_freq", int(self._highest() * clocks) if "gpu" in busy else 0)
        self._put(wiring.EMC, int(mode.bandwidth_gbs * 1e9 / 64))
        if self._wiring.load:
            self._put(self._wiring.load, 990 if "gpu" in busy else 0)
        for core in range(self._board.dla_cores):
            self._put(self._wiring.dla(core), "active" if "dla" in busy else "suspended")
            self._put(wiring.DLA_CLOCK.format(core), int(self._board.dla_hz(mode)))

    def _highest(self) -> int:
        """Hz that the power mode allows, as nvpmodel left them."""
        return int((self._root / self._wiring.gpu / "max_freq").read_text(encoding="ascii"))

    def _put(self, path: str, value: object) -> None:
        text = str(value)
        if self._shown.get(path) == text:
            return
        if path not in self._files:
            self._files[path] = os.open(str(self._root / path), os.O_WRONLY)
        os.pwrite(self._files[path], text.ljust(WIDTH).encode("ascii") + b"\n", 0)
        self._shown[path] = text
