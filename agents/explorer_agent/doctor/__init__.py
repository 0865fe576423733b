"""The doctor: what was looked for on this board, what was found, and what to do; answers the request `check`.

    machine   software   power   now        four rooms of checks, each a function from a look to its findings
        └────────┴────┬────┴──────┘
              findings ──► {"type": "check", "findings": [{"topic", "state", "found", "advice"[, "because"]}, …]}

Nothing is changed and nothing is decided here; a check that itself fails is a finding too.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from explorer_agent.doctor import machine, now, power, software
from explorer_agent.doctor.look import WARN, Finding, Look, finding
from explorer_agent.messages import BUSY, AgentError
from explorer_agent.wire import Message

HEARTBEAT_S = 1.0
_AT_WORK = threading.Lock()
CHECKS: tuple[Callable[[Look], Iterator[Finding]], ...] = (
    *(
        machine.simulated,
        machine.model,
        machine.processor,
        machine.virtual,
        machine.python,
        machine.disk,
        machine.memory,
        machine.date,
    ),
    *(software.runtimes, software.nvidia),
    *(power.sensors, power.meters, power.power_mode, power.clocks, power.sudo),
    *(now.temperature, now.throttling, now.desktop, now.others),
)


def findings(look: Look) -> list[Finding]:
    """All there is to say; takes a second or two, in which counters are watched."""
    return [found for check in CHECKS for found in _guarded(check, look)]


def answer(number: int, send: Callable[[Message], None], *, home: Path, capabilities: Mapping[str, Any]) -> None:
    """Answer the request `number` from a thread of its own, saying every second that it is still at it.

    Raises:
        AgentError: busy: the last such question is not answered yet.
    """
    if not _AT_WORK.acquire(blocking=False):
        raise AgentError(BUSY, "the board is being looked at already", hint="ask again when that is answered")
    done = threading.Event()

    def examine() -> None:
        try:
            found = findings(Look(home, capabilities))
        finally:
            done.set()
            _AT_WORK.release()
        send({"type": "check", "id": number, "findings": found})

    def pulse() -> None:
        while not done.wait(HEARTBEAT_S):
            send({"type": "note", "job": number, "kind": "heartbeat"})

    for target in (examine, pulse):
        threading.Thread(target=target, name="doctor", daemon=True).start()


def _guarded(check: Callable[[Look], Iterator[Finding]], look: Look) -> list[Finding]:
    try:
        return list(check(look))
    except Exception as error:  # noqa: BLE001  a doctor who stumbles over one thing still tells of the others
        return [
            finding(check.__name__.replace("_", " "), WARN, f"could not be looked at: {type(error).__name__}: {error}")
        ]
