"""The agent's front door: takes the two byte streams, waits for its turn, and serves one host.

    streams taken ──► plug-ins ──► lock of the home ──► session: hello … end of the stream ──► linger ──► lock released
                                    │ held: notes "waiting" until it is ours, or busy

stdin and stdout belong to the protocol at the level of file descriptors: they are moved away first, so that whatever
prints (this program, a library, C code) ends on stderr. SIGHUP means that the host has gone (it may have come back
through another connection); SIGTERM and SIGINT mean that, and that nothing is waited for.
"""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType

from explorer_agent import disk, places, plugins
from explorer_agent.clocks import board_settings
from explorer_agent.lock import Lock
from explorer_agent.messages import BUSY, AgentError
from explorer_agent.session import Session, Settings
from explorer_agent.streams import Incoming, Link, claim
from explorer_agent.wire import Reader, Writer

WAITING_EVERY_S = 1.0


def serve(settings: Settings) -> int:
    """Serve one host on stdin and stdout; returns the exit status."""
    sys.stdout.flush()
    link = Link()
    incoming, buffered, outgoing = claim(link)
    writer = Writer(outgoing)
    heed_signals(link)
    try:
        plugins.load(**settings.chosen)
        places.own(settings.home)
        board = board_settings(settings.home, clocks=settings.clocks, root=settings.root)
        with _lock(settings, _Waiting(incoming, writer if settings.holder else None)), board as held:
            Session(Reader(buffered), writer, link, settings, held).run()
    except EOFError:  # the host went away while it waited
        return 0
    except AgentError as error:
        return _last_word(writer, error, 3 if error.kind == BUSY else 1)
    except OSError as error:
        return _last_word(writer, disk.as_error(error, f"cannot serve from {settings.home}"), 1)
    return 0


def heed_signals(link: Link) -> None:
    """Turn signals into the end of the link."""

    def hear(number: int, _: FrameType | None) -> None:
        link.hurry = link.hurry or number != signal.SIGHUP
        link.hang_up(f"asked to end by {signal.Signals(number).name}")

    link.wake_on_signals()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)


class _Waiting:
    """Tells a host that it waits, if it is one that knows of that, and notices when it does not wait any more."""

    def __init__(self, incoming: Incoming, writer: Writer | None) -> None:
        self._incoming = incoming
        self._writer = writer
        self._told_s = float("-inf")

    def __call__(self, text: str) -> None:
        if self._incoming.ended():
            raise EOFError
        if self._writer is not None and time.monotonic() - self._told_s >= WAITING_EVERY_S:
            self._told_s = time.monotonic()
            try:
                self._writer.write({"type": "note", "kind": "waiting", "text": text})
            except OSError as error:
                raise EOFError from error


def _lock(settings: Settings, waiting: _Waiting) -> Lock:
    return Lock(
        settings.home / "lock",
        wait_s=settings.wait_s,
        holder=settings.holder,
        promise_s=settings.linger_s,
        waiting=waiting,
    )


def _last_word(writer: Writer, error: AgentError, status: int) -> int:
    try:
        writer.write(error.to_wire())
    except OSError as deaf:  # nobody is there to be told; whoever reads stderr is
        print(f"{error.text} ({deaf})", file=sys.stderr)
    return status
