"""Whatever the board has to be before a job starts: in its power mode, with its clocks held, cool.

It is the agent that sees to it, not the job's child: what is changed on the board is undone by whoever outlives jobs.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Mapping

from explorer_agent.clocks import Held
from explorer_agent.cooling import Cooler
from explorer_agent.messages import FAILED, INFEASIBLE, AgentError
from explorer_agent.modes import Modes
from explorer_agent.streams import Link
from explorer_agent.wire import Message


class Readiness:
    """Makes the board ready for one job after the other."""

    def __init__(self, held: Held, modes: Modes, cooler: Cooler, link: Link, say: Callable[[Message], None]) -> None:
        self._held, self._modes, self._cooler = held, modes, cooler
        self._link, self._say = link, say

    def prepare(self, command: dict[str, Any], stop: Callable[[], bool]) -> dict[str, Any]:
        """Make the board ready for `command`, and tell it how the clocks are meant to be.

        Returns:
            What is to be said of it in the reply: the power mode and how long setting it took, the cooling down.

        Raises:
            AgentError: infeasible: the board cannot be had like that.
        """
        kind, mode = command["kind"], command["deployment"]["power_mode"]
        if kind == "build" and mode:  # compilers that time kernels do it in the mode they will run in
            self._reach(mode, stop)
        if kind not in ("measure", "verify"):
            return {}
        _one_mode(mode, command.get("beside", ()))
        facts = self._reach(mode, stop)
        command["clocks"] = self._held.asked
        return dict(facts, cooldown=self._cooler.wait(command["plan"]["cooldown_s"], stop=stop))

    def _reach(self, mode: str, stop: Callable[[], bool]) -> dict[str, Any]:
        facts = self._modes.reach(mode, goodbye=self._goodbye, stop=stop)
        if self._link.why:  # it restarts, or the host is gone: nothing is begun any more
            raise AgentError(FAILED, self._link.why)
        return facts

    def _goodbye(self, why: str) -> None:
        print(why, file=sys.stderr)
        self._say({"type": "note", "kind": "goodbye", "text": why})
        self._link.hurry = True
        self._link.hang_up(why)


def judged(reply: Message, facts: Mapping[str, Any]) -> Message:
    """`reply` with what making the board ready came to. Heat that was there before the job, and would not go, is no
    reason to throw the job's numbers away: they are doubtful.
    """
    if not facts:
        return reply
    flags = list(reply.get("flags", ()))
    if facts["cooldown"]["gave_up"]:
        flags = [flag for flag in flags if flag not in ("throttled", "too-warm")] + ["too-warm"]
    return dict(reply, **facts, flags=flags)


def _one_mode(mode: str, beside: Any) -> None:
    others = {str(entrant.get("deployment", {}).get("power_mode", "")) for entrant in beside} - {mode}
    if others:
        text = f"engines take turns in one power mode: {mode or 'the present one'}, not {', '.join(sorted(others))}"
        raise AgentError(INFEASIBLE, text)
