"""Turns that wait for a board, and which of them comes next: power modes change rarely, and nobody waits for ever.

    waiting   15W  MAXN  15W  30W  MAXN …       a board that is at MAXN
              └──────┬──────────────┘
                     └► MAXN first; after `STREAK` turns in one mode the front of the queue, whatever its mode

Changing the mode takes a board seconds, settling its temperature minutes, and some modes need a reboot. So with modes
to choose from more is asked ahead, and a board takes what fits its present mode. The front of the queue is passed over
at most `STREAK` times by each board.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from explorer.config import Experiment
from explorer.fleet.duties import Turn
from explorer.fleet.member import Member

STREAK = 12  # turns in a row for which a board may stay in one mode while others wait
AHEAD = 4  # candidates more that are asked ahead, for each mode


def modes_of(experiment: Experiment) -> int:
    """Between how many power modes the candidates of a study vary."""
    return max((len(axis.values) for axis in experiment.space.axes if axis.name == "power_mode"), default=1)


@dataclass
class Waiting:
    """The queue of turns.

    Attributes:
        modes: between how many power modes they vary.
    """

    modes: int = 1
    _turns: deque[Turn] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def ahead(self) -> int:
        """How many turns more than can be under way are worth asking for."""
        return AHEAD * self.modes if self.modes > 1 else 0

    def add(self, turn: Turn) -> None:
        """The last in the queue."""
        self._turns.append(turn)

    def put_in_front(self, turn: Turn) -> None:
        """The first in the queue."""
        self._turns.appendleft(turn)

    def withdraw(self, covers: Callable[[Turn], bool]) -> list[Turn]:
        """Take out the turns that are covered."""
        out = [turn for turn in self._turns if covers(turn)]
        for turn in out:
            self._turns.remove(turn)
        return out

    def take(self, member: Member, *, alone: bool) -> Turn:
        """The next turn for a board.

        Args:
            member: the board.
            alone: it is the only one: then the order does not depend on whose network is made first.
        """
        ready = [turn for turn in self._turns if alone or turn.network is None or turn.network.done()]
        turn = next(self._suiting(member, ready), ready[0] if ready else self._turns[0])
        self._turns.remove(turn)
        mode = _mode(turn)
        member.streak = member.streak + 1 if mode == member.mode else 1
        member.mode = mode
        return turn

    def _suiting(self, member: Member, ready: list[Turn]) -> Iterator[Turn]:
        """Those that need no other mode, while the board may stay in its own."""
        if self.modes > 1 and member.mode is not None and member.streak < STREAK:
            yield from (turn for turn in ready if _mode(turn) == member.mode)


def _mode(turn: Turn) -> str:
    return str(turn.candidate.deployment.get("power_mode", ""))
