"""The boards of a study: equal ones, reached together, each with a thread of its own and one queue of events for all.

    study's thread ── hand(turn) ──►  board's thread    (explorer.fleet.member)
                   ◄── next event ──
At the start the boards are reached one after the other, so that a password can be asked for. One that is not there is
tried again in the background; the others begin without it.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from explorer.errors import BadInput, NoDevice, Problem
from explorer.fleet.duties import Heat, Turn
from explorer.fleet.member import CLOSING_S, Board, Event, Member, Work

# A board that is lost with so many different candidates in a row, or so often in a row at all, is itself at fault; one
# that has never finished anything is so the sooner.
LOST_WITH, LOST_IN_A_ROW, LOST_FROM_THE_START = 3, 8, 3


@dataclass
class Fleet:
    """Get one from `gather`; `start` lets the boards' threads begin.

    Attributes:
        members: boards that may work, or come back to work.
        free: those that wait for a turn, the longest waiting first.
    """

    members: list[Member] = field(default_factory=list)
    free: deque[Member] = field(default_factory=deque)
    left: dict[str, str] = field(default_factory=dict)  # who has left, and why
    _gone: list[Member] = field(default_factory=list)  # they may still be connecting, or closing a connection
    _any: Board | None = None
    _events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)
    _absent: dict[str, str] = field(default_factory=dict)
    # Board → trials (None: the reference) with which it was lost since it last finished one.
    _losses: dict[str, list[int | None]] = field(default_factory=dict)
    _proven: set[str] = field(default_factory=set)  # boards that have finished something

    @classmethod
    def gather(cls, specs: Sequence[str], duties: Work, *, patience_s: Mapping[str, float]) -> Fleet:
        """Reach all boards.

        Raises:
            NoDevice: none of them can be reached.
            BadInput: they are not equal, or a description cannot be used.
        """
        fleet = cls()
        try:
            problems = [p for spec in specs for p in fleet._reach(spec, duties, patience_s[spec])]
            if problems:
                raise BadInput(problems)
            if len(fleet._absent) == len(specs):
                reasons = list(fleet._absent.values())
                raise NoDevice("\n".join(["no board of the fleet can be reached"] * (len(specs) > 1) + reasons))
        except BaseException:
            fleet.close()
            raise
        return fleet

    @property
    def any(self) -> Board:
        """A board to ask what all of them can do; it may be away at the moment."""
        assert self._any is not None  # gather found one
        return self._any

    @property
    def absent(self) -> list[str]:
        """Boards that were not there at the start, each with the reason."""
        return list(self._absent.values())

    def start(self) -> None:
        """Let every board begin."""
        for member in self.members:
            member.start(absent=self._absent.get(member.spec, ""))

    def hand(self, turn: Turn | Heat) -> None:
        """Have the board that waits longest see `turn` through."""
        self.free.popleft().hand(turn)

    def hear(self, *, within_s: float | None = None) -> Event | None:
        """The next thing that happens; None when nothing does within `within_s` seconds."""
        try:
            return self._events.get(timeout=within_s)
        except queue.Empty:
            return None

    def join(self, member: Member) -> None:
        """The board is ready for a turn; one that was dismissed meanwhile is not."""
        if member in self.members:
            self.free.append(member)

    def finished(self, member: Member) -> None:
        """The board has seen a turn through."""
        self._proven.add(member.spec)
        self._losses.pop(member.spec, None)
        self.join(member)

    def lost(self, member: Member, trial: int | None) -> bool:
        """The board was lost with this trial, or with its reference; True if it is itself at fault."""
        losses = self._losses.setdefault(member.spec, [])
        losses.append(trial)
        enough = LOST_IN_A_ROW if member.spec in self._proven else LOST_FROM_THE_START
        if member in self.free:
            self.free.remove(member)
        return len(losses) >= enough or len(set(losses)) >= LOST_WITH

    def leave(self, member: Member, why: str) -> None:
        """The board will not be used again in this run.

        Raises:
            NoDevice: it was the last one.
        """
        if member not in self.members:
            return
        self.left[member.spec] = why
        member.dismiss()
        self.members.remove(member)
        self._gone.append(member)
        if not self.members:
            reasons = "\n".join(self.left.values())
            raise NoDevice(f"{reasons}\nno board is left; the study is saved and can be continued")

    def close(self) -> None:
        """Let go of every board; what is under way on one is cancelled, and none is being reached afterwards."""
        for member in self.members:
            member.dismiss()
        until = time.monotonic() + CLOSING_S
        for member in [*self.members, *self._gone]:
            member.wait(until - time.monotonic())

    def _reach(self, spec: str, duties: Work, patience_s: float) -> tuple[Problem, ...]:
        member = Member(spec, duties, self._events.put, patience_s)
        self.members.append(member)
        try:
            member.device = duties.connect(spec)
            self._any = self._any or member.device
        except NoDevice as error:
            self._absent[spec] = str(error)
        except BadInput as error:
            return error.problems
        return ()
