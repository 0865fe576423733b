"""One board of a fleet: a thread that evaluates what it is handed, and brings the board back when it is lost.

    connect ──► alike? ──► reference ──► Joined ──► turn, turn, … ──► Lost ──► back-off ──► connect …
                                                                                   └ patience over ──► Left

It decides nothing about candidates: whatever happens becomes an event for the study's thread, which alone writes
records and speaks with the sampler.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from explorer.errors import BadInput, DeviceLost, Dominated, Infeasible, JobFailed, NoDevice
from explorer.fleet.duties import Capabilities, Heat, Turn
from explorer.result import Evaluation
from explorer.scale import Metrics, Scale
from explorer.statistics import Measurement

# Seconds to wait before a lost board is tried again; the last for every further time.
BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
CLOSING_S = 10.0  # for boards' threads to see that it is over, and to end a connection that one was making


Ending = Evaluation | Infeasible | Dominated | JobFailed  # of a turn


class Board(Protocol):
    """What is known of a board: `explorer.device.Device`, or a table in its place."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def agent_sha(self) -> str: ...

    def close(self) -> None: ...


class Work(Protocol):
    """What a study wants of its boards, each of the kind that `connect` gives: `Duties`, or its like for a table."""

    def connect(self, spec: str) -> Board: ...

    def reference(self, device: Any) -> Metrics | None: ...

    def evaluate(self, device: Any, turn: Turn, scale: Scale, *, always_void: bool = False) -> Evaluation: ...

    def race(self, device: Any, heat: Heat) -> Measurement: ...


@dataclass(frozen=True)
class Joined:
    """A board is ready; `reference` is None where boards are not compared, and empty where it could not be had."""

    member: Member
    reference: Metrics | None
    after_s: float = 0.0  # it was away so long


@dataclass(frozen=True)
class Finished:
    """A turn has come to an end on a board."""

    member: Member
    turn: Turn
    ending: Ending
    started: str
    seconds: float


@dataclass(frozen=True)
class Raced:
    """A race has come to an end on a board."""

    member: Member
    heat: Heat
    ending: Measurement | Infeasible | JobFailed
    started: str
    seconds: float


@dataclass(frozen=True)
class Lost:
    """A board went away, with a turn or a race or between them; it is being tried again if it may mend itself."""

    member: Member
    turn: Turn | Heat | None
    loss: DeviceLost


@dataclass(frozen=True)
class Left:
    """A board will not come back in this run."""

    member: Member
    why: str


@dataclass(frozen=True)
class Said:
    """Something worth a line."""

    text: str


@dataclass(frozen=True)
class Broke:
    """A board's thread met what nobody foresaw: the run cannot go on."""

    error: BaseException


Event = Joined | Finished | Raced | Lost | Left | Said | Broke


@dataclass(eq=False)
class Member:
    """A board and its thread. `hand`, `dismiss` and `wait` are for the study's thread.

    Attributes:
        spec: what it is reached by, and its name in records.
        patience_s: how long it is tried again after it was lost.
        scale: how its metrics are brought to the first board's; set by the study's thread before it is handed a turn.
        always_void: it throttles whatever it is given; set by the study's thread.
        mode: the power mode of its last turn; None before the first.
        streak: how many turns in a row it has had in that mode.
    """

    spec: str
    duties: Work
    tell: Callable[[Event], None]
    patience_s: float
    device: Board | None = None  # the latest connection; a lost one still knows what the board can do
    scale: Scale = field(default_factory=Scale)
    always_void: bool = False
    mode: str | None = None
    streak: int = 0
    _turns: queue.SimpleQueue[Turn | Heat | None] = field(default_factory=queue.SimpleQueue)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, *, absent: str = "") -> None:
        """Begin; `absent` says why a first attempt did not reach the board, which is then tried again."""
        self._thread = threading.Thread(target=self._live, args=(absent,), name=f"board {self.spec}", daemon=True)
        self._thread.start()

    def hand(self, turn: Turn | Heat) -> None:
        """Have the board see `turn` through; it must have none under way."""
        self._turns.put(turn)

    def dismiss(self) -> None:
        """Use the board no more; whatever its thread is waiting for ends."""
        self._over.set()
        self._turns.put(None)
        if self.device is not None:
            self.device.close()

    def wait(self, within_s: float) -> None:
        """Wait a while for the end of a dismissed board's thread; one still connecting ends by itself, later."""
        if self._thread is not None:
            self._thread.join(max(0.0, within_s))

    def _live(self, absent: str) -> None:
        try:
            for after_s in self._connections(absent):
                self._serve(after_s)
        except BadInput as error:
            self._report(Left(self, str(error)))
        except Exception as error:  # noqa: BLE001  whatever it is, the study's thread raises it
            self._report(Broke(error))

    def _connections(self, absent: str) -> Iterator[float]:
        """Yield each time the board is connected, with how long it was away; end when it is given up."""
        if not absent:
            yield 0.0
        while not self._over.is_set():
            away = time.monotonic()
            why = self._reconnected(absent, until=away + self.patience_s)
            if why:
                self._report(Left(self, why))
                return
            yield time.monotonic() - away

    def _reconnected(self, why: str, *, until: float) -> str:
        """Try again until `until`; empty when the board is back, else the last reason why not."""
        for pause in itertools.chain(BACK_OFF_S, itertools.repeat(BACK_OFF_S[-1])):
            if self._over.wait(min(pause, max(0.0, until - time.monotonic()))):
                return "closed"
            try:
                self._connect()
            except (NoDevice, DeviceLost) as error:
                why = str(error)
            else:
                return ""
            if time.monotonic() >= until:
                return f"{why}\n(tried for {self.patience_s:.0f} s)"
        raise AssertionError  # the pauses never end

    def _connect(self) -> None:
        if self.device is not None:
            self.device.close()
        self.device = self.duties.connect(self.spec)
        if self._over.is_set():  # closed while it was connecting: nobody else knows of this connection
            self.device.close()

    def _serve(self, after_s: float) -> None:
        """Evaluate what is handed over until the board is lost; one that cannot mend itself is not tried again."""
        turn = None
        try:
            self._report(Joined(self, self._reference(), after_s))
            while (turn := self._turns.get()) is not None:
                self._report(self._raced(turn) if isinstance(turn, Heat) else self._finished(turn))
        except DeviceLost as loss:
            self._report(Lost(self, turn, loss))
            if not loss.mends_itself:  # the study's thread will dismiss us: there is nothing to try again
                self._over.wait()

    def _reference(self) -> Metrics | None:
        assert self.device is not None
        for last in (False, True):
            try:
                return self.duties.reference(self.device)
            except (Infeasible, JobFailed) as error:
                if last:
                    self._report(Said(f"{self.spec}: no reference, its numbers are taken as they are: {error}"))
        return {}

    def _finished(self, turn: Turn) -> Finished:
        assert self.device is not None
        started, clock = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
        ending: Ending
        try:
            ending = self.duties.evaluate(self.device, turn, self.scale, always_void=self.always_void)
        except (Infeasible, Dominated, JobFailed) as verdict:
            ending = verdict
        return Finished(self, turn, ending, started, time.monotonic() - clock)

    def _raced(self, heat: Heat) -> Raced:
        assert self.device is not None
        started, clock = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
        ending: Measurement | Infeasible | JobFailed
        try:
            ending = self.duties.race(self.device, heat)
        except (Infeasible, JobFailed) as verdict:
            ending = verdict
        return Raced(self, heat, ending, started, time.monotonic() - clock)

    def _report(self, event: Event) -> None:
        """Tell the study's thread, unless it has closed this board: then nobody listens any more."""
        if not self._over.is_set():
            self.tell(event)
