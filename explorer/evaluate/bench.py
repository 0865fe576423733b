"""What every trial on one board shares, and how long its steps took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from explorer.config import Experiment
from explorer.datasets.protocols import Dataset
from explorer.device import Built, Device
from explorer.oracle import Foresight
from explorer.pipeline import Pipeline
from explorer.result import Metric, StageTime
from explorer.scale import Limits, Scale

Reference = tuple[Built, Mapping[str, Any]]
# (board, ONNX file, its sha256, deployment) → the engine, on that board.
Builder = Callable[[Device, Path, str, Mapping[str, Any]], Built]


class Hope(Protocol):
    """What is believed of a candidate before it is tried."""

    def chance(self, metrics: Mapping[str, Metric]) -> float:
        """That no candidate known so far dominates it, by what was measured of it until now."""


def on_the_board(board: Device, source: Path, sha256: str, deployment: Mapping[str, Any]) -> Built:
    """The board that is to run an engine builds it."""
    return board.build(source, deployment, sha256=sha256)


@dataclass(frozen=True)
class Bench:
    """What every trial on one device shares."""

    experiment: Experiment
    device: Device
    pipeline: Pipeline
    dataset: Dataset
    inputs: NDArray[Any]  # the dataset's evaluation inputs, read once
    scale: Scale = field(default_factory=Scale)  # how the board's numbers are brought to the first board's
    judging: threading.Lock = field(default_factory=threading.Lock)  # the dataset may be the user's: one at a time
    reference: Reference | None = None  # the engine to measure beside, and how to run it
    level: Metric | None = None  # what that engine yields where the study's scale was set, ms
    limits: Limits | None = None  # and between which its readings have been so far
    always_void: bool = False  # the board throttles whatever it is given: its numbers are flagged, not void
    builder: Builder = on_the_board  # makes the engine
    foresight: Foresight | None = None  # what is known to fail before a board is asked
    windows_s: list[float] = field(default_factory=list)  # how long those of whole measurements took so far
    hope: Hope | None = None  # of the candidate that is tried; None: it is seen through, whatever it turns out to be
    note: Callable[[str], None] = lambda _: None  # hears what a person should know

    def quiet(self) -> AbstractContextManager[None]:
        """Nobody else computes on the measured machine while this lasts."""
        return self.pipeline.standing_still() if self.device.shares_host else nullcontext()


@dataclass
class Clock:
    """How long each step took."""

    times: dict[str, StageTime] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.times[name] = StageTime(time.perf_counter() - started, cached=False)
