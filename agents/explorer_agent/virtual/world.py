"""One virtual board as one process sees it: which board, what is wrong with it, and the time of the job at hand.

root/imitation.json   {"simulated": "agx-orin-64", "virtual": {"seed": 0, "faults": {…}}, …}
root/asked.json       {question: how often it was asked}: noise follows from the seed, the question (which engine, how
                      deployed) and that number, and so from nothing that was measured before it
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Callable

from explorer_agent import jetson, sysfs
from explorer_agent.messages import INFEASIBLE, UNSUPPORTED, AgentError
from explorer_agent.virtual import MODEL
from explorer_agent.virtual.boards import BOARDS, Board, Mode
from explorer_agent.virtual.course import BEGIN_S, Course, gone
from explorer_agent.virtual.faults import HELD_BY_CURRENT, Faults
from explorer_agent.virtual.panel import Panel

FILE, ASKED = sysfs.IMITATION, "asked.json"


class World:
    """A board and what happens to it.

    Attributes:
        course: of the job at hand.
    """

    def __init__(self, board: Board, *, seed: int, faults: Faults, root: Path,
                 restart: Callable[[], None] = gone) -> None:  # fmt: skip
        self.board, self.seed, self.faults, self.root = board, seed, faults, root
        self._restart = restart
        self._panel = Panel(root, board)
        self._measuring = False
        self.course = self._course()

    @classmethod
    def below(cls, root: Path, *, restart: Callable[[], None] = gone) -> World:
        """The board that the files below `root` describe.

        Raises:
            AgentError: unsupported: they describe none, or one that nobody knows.
        """
        facts = sysfs.imitation(root)
        try:
            name, told = str(facts["simulated"]), facts["virtual"]
            seed, faults = int(told.get("seed", 0)), dict(told.get("faults", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise AgentError(UNSUPPORTED, f"{root / FILE} describes no virtual board: {error!r}") from error
        board = known(name)
        return cls(board, seed=seed, faults=Faults.of(faults, board), root=root, restart=restart)

    @property
    def mode_name(self) -> str:
        """The power mode now, as nvpmodel left it."""
        modes = jetson.power_modes(self.root)
        return modes.current if modes is not None and modes.current in self.board.modes else self.board.default_mode

    def mode(self, wanted: str = "") -> Mode:
        """The power mode `wanted`, or the present one.

        Raises:
            AgentError: infeasible: the board has no such mode.
        """
        if wanted and wanted not in self.board.modes:
            text = f"power mode {wanted!r}: {self.board.name} offers {', '.join(self.board.modes)}"
            raise AgentError(INFEASIBLE, text)
        return self.board.modes[wanted or self.mode_name]

    def begin(self) -> Course:
        """A measurement, on a board that has cooled down."""
        self.course, self._measuring = self._course(), True
        self._panel.close()
        return self.course

    def ask(self, question: str) -> None:
        """From here on there is the noise of this question; when it was asked before, other noise than then."""
        digest = hashlib.sha256(question.encode("utf-8")).hexdigest()[:32]
        number = self._counted(digest) if self._measuring else 0
        self.course.chance.seed(f"{self.seed}/{digest}/{number}")
        self.course.sensor_chance.seed(f"{self.seed}/{digest}/{number}/sensors")

    def facts(self) -> dict[str, Any]:
        """What every result says of where it comes from."""
        given = sysfs.imitation(self.root)["virtual"].get("faults", {})
        return {"board": self.board.name, "model": MODEL, "seed": self.seed, "faults": given}

    def show(self, second: float = math.nan) -> None:
        """Have the files tell what sensors and counters showed at that moment on the course's clock; NaN: now."""
        course, faults = self.course, self.faults
        second = course.now_s if math.isnan(second) else second
        moment, names = course.at(second), [rail.name for rail in self.board.rails]
        watts = course.mean_rails(second, faults.lag_s)
        seen = [faults.reading_w(its, course.sensor_chance) for its in watts]
        self._panel.watts([math.nan if name in faults.dead_rails else its for name, its in zip(names, seen)])
        self._panel.heat(moment.heat.celsius, throttled=moment.heat.throttled)
        self._panel.events({1: 0, 2: course.exceeded, 3: faults.events(second - BEGIN_S)})
        clocks = moment.heat.clocks * (HELD_BY_CURRENT if moment.held_by_current else 1.0)
        self._panel.units(course.mode, clocks=clocks, busy=[part for part, its in moment.parts.items() if its])

    def rest(self) -> None:
        """Have the files tell of a board that idles, as it is left between jobs."""
        self.course = self._course()
        self.show()
        self._panel.close()

    def _course(self) -> Course:
        return Course(self.board, self.mode(), self.faults, self.seed, restart=self._restart)

    def _counted(self, digest: str) -> int:
        """How often this was asked, this time included."""
        path = self.root / ASKED
        asked = json.loads(path.read_text(encoding="ascii")) if path.exists() else {}
        asked[digest] = int(asked.get(digest, 0)) + 1
        path.write_text(json.dumps(asked), encoding="ascii")
        return int(asked[digest])


def known(name: str) -> Board:
    """The board called `name`.

    Raises:
        AgentError: unsupported: there is none.
    """
    if name not in BOARDS:
        raise AgentError(UNSUPPORTED, f"unknown virtual board {name!r}", hint="known: " + ", ".join(BOARDS))
    return BOARDS[name]
