"""One host, from hello to the end of its stream: quick requests are answered at once, by the thread that reads; those
that take a child go to `work`.

    reader thread    has put get cancel lease       ──► answered here
                     build measure infer verify     ──► work ──► foreman thread
    pulse thread     a request that takes longer than a second is told to be alive
"""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator

from explorer_agent import board, disk, doctor, meters, plugins, sysfs
from explorer_agent.blobs import Blobs
from explorer_agent.clocks import Held, loose
from explorer_agent.cooling import Cooler
from explorer_agent.jobs import HEARTBEAT_S, Foreman
from explorer_agent.messages import (
    FAILED,
    PROTOCOL_KIND,
    UNSUPPORTED,
    AgentError,
    Cancel,
    Get,
    Has,
    Lease,
    Put,
    decode,
)
from explorer_agent.modes import Modes
from explorer_agent.readiness import Readiness
from explorer_agent.streams import Link
from explorer_agent.wire import CHUNK, PROTOCOL, Frame, Message, ProtocolError, Reader, Writer
from explorer_agent.work import Work

LEASE_MOST_S = 86400.0
HANG_S = 60.0  # this long after all that was to be waited for, the watchdog takes it that this process hangs


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    home: Path
    chosen: dict[str, list[str]] = field(default_factory=lambda: {"plugins": [], "only": []})
    wait_s: float = 5.0
    linger_s: float = 0.0
    lease_s: float = 0.0
    room_gb: float = 0.0  # 0: see `disk.room_bytes`
    holder: str = ""
    clocks: str = "leave"
    reboot: str = "never"
    root: Path = sysfs.ROOT  # of the board: another only in tests
    agent_sha: str = ""


class Session:
    """What one host may ask, and what it is told."""

    def __init__(self, reader: Reader, writer: Writer, link: Link, settings: Settings, held: Held) -> None:
        self._reader = reader
        self._writer = writer
        self._link = link
        self._settings = settings
        self._held = held
        self._blobs = Blobs(settings.home, room_gb=settings.room_gb)
        self._modes = Modes(held, home=settings.home, reboot=settings.reboot, root=settings.root)
        ready = Readiness(held, self._modes, Cooler(settings.root), link, self._send)
        self._foreman = Foreman(settings.chosen, self._send, home=settings.home, prepare=ready.prepare)
        self._work = Work(settings.home, self._blobs, self._foreman, say=self._send, gone=lambda: bool(link.why))
        self._requests: dict[str, Callable[[int, Frame], None]] = {
            "has": self._has,
            "put": self._put,
            "get": self._get,
            "cancel": self._cancel,
            "lease": self._lease,
            "check": lambda number, _: doctor.answer(
                number, self._send, home=settings.home, capabilities=self._capabilities
            ),
            **self._work.requests,
        }
        self._answering: Any = None
        self._work.capabilities = self._capabilities = dict(
            board.describe(settings.root),
            runtimes=self._foreman.runtimes,
            meters=meters.describe(),
            power_modes=list(self._modes.offered),
            power_mode={"current": self._modes.current(), "lasting": self._modes.lasting},
            clocks=dict(held.report, asked=held.asked, free=loose(settings.root)),
            plugins=plugins.LOADED,
            requests=sorted(self._requests),
            measures=["beside", "arrival", "streams"],
        )

    def run(self) -> None:
        """Say hello and answer requests until the host is gone."""
        agent = {"protocol": PROTOCOL, "agent_sha": self._settings.agent_sha}
        self._link.heard_s, self._link.lease_s = time.monotonic(), self._settings.lease_s
        self._send({"type": "hello", **agent, "capabilities": self._capabilities})
        threading.Thread(target=self._pulse, name="pulse", daemon=True).start()
        try:
            for frame in iter(self._reader.read, None):
                self._answer(frame)
        except ProtocolError as error:
            self._send(AgentError(PROTOCOL_KIND, str(error)).to_wire())
        finally:
            self._link.hang_up("its stream ended")
            self._leave()

    def _leave(self) -> None:
        self._foreman.cancel_waiting("the host went away")  # nothing new starts without a host
        deadline = time.monotonic() + self._settings.linger_s
        while time.monotonic() < deadline and self._foreman.busy() and not self._link.hurry:
            time.sleep(0.05)
        self._foreman.cancel(None, "the host went away")
        self._foreman.close()

    def _answer(self, frame: Frame) -> None:
        self._answering = request_id = frame.message.get("id")
        try:
            if type(request_id) is not int:
                raise ProtocolError("a request needs a whole number as its id")
            handler = self._requests.get(frame.message["type"])
            if handler is None:
                raise AgentError(
                    UNSUPPORTED,
                    "unknown request {!r}".format(frame.message["type"][:80]),
                    hint="known: " + ", ".join(self._requests),
                )
            handler(request_id, frame)
        except ProtocolError as error:
            self._refuse(request_id, AgentError(PROTOCOL_KIND, str(error)))
        except AgentError as error:
            self._refuse(request_id, error)
        except OSError as error:
            self._refuse(request_id, disk.as_error(error))
        except Exception as error:  # noqa: BLE001  one request, however odd, never ends a night's run
            text = f"{type(error).__name__}: {error}"
            self._refuse(request_id, AgentError(FAILED, text[:2000], trace=traceback.format_exc()))
        finally:
            self._answering = None

    def _has(self, request_id: int, frame: Frame) -> None:
        missing = [sha256 for sha256 in decode(Has, frame.message).sha256 if not self._blobs.here(sha256)]
        arrived = {sha256: self._blobs.arrived(sha256) for sha256 in missing}
        self._send(
            {"type": "has", "id": request_id, "missing": missing, "arrived": {k: n for k, n in arrived.items() if n}}
        )

    def _put(self, request_id: int, frame: Frame) -> None:
        put, arrived = decode(Put, frame.message), 0
        if self._blobs.here(put.sha256):
            arrived = put.size
        else:
            arrived = self._blobs.receive(put.sha256, frame.body.chunks(), size=put.size, offset=put.offset)
        self._send({"type": "put", "id": request_id, "sha256": put.sha256, "arrived": arrived})

    def _get(self, request_id: int, frame: Frame) -> None:
        get = decode(Get, frame.message)
        with self._blobs.borrow((get.sha256, "file")) as loan, open(loan.paths[0], "rb") as file:
            size = loan.paths[0].stat().st_size
            if get.offset > size:
                raise ProtocolError(f"get from {get.offset} of a file of {size} bytes")
            file.seek(get.offset)
            reply = {"type": "get", "id": request_id, "size": size, "offset": get.offset}
            try:
                self._writer.write(reply, _exactly(file, size - get.offset), size=size - get.offset)
            except OSError as error:  # a frame was begun: nothing can follow it on this link
                self._link.hang_up(str(error))

    def _cancel(self, request_id: int, frame: Frame) -> None:
        cancelled = self._foreman.cancel(decode(Cancel, frame.message).job, "cancelled by the host")
        self._send({"type": "cancel", "id": request_id, "cancelled": cancelled})

    def _lease(self, _: int, frame: Frame) -> None:
        seconds = decode(Lease, frame.message).seconds
        if seconds > LEASE_MOST_S:
            raise ProtocolError(f"a lease is at most {LEASE_MOST_S:.0f} s, not {seconds:.0f}")
        self._link.lease_s = seconds

    def _pulse(self) -> None:
        """Tell the host that a file is still being written or hashed (jobs have a pulse of their own), and the watchdog
        that the host is there.
        """
        before = None
        while not self._link.why:
            if self._link.left_s() != 0.0:
                self._held.at_most(self._settings.linger_s + HANG_S)
            time.sleep(HEARTBEAT_S)
            now = self._answering
            if now is not None and now == before:
                self._send({"type": "note", "job": now, "kind": "heartbeat"})
            before = now

    def _refuse(self, request_id: Any, error: AgentError) -> None:
        self._send(dict(error.to_wire(), id=request_id))

    def _send(self, message: Message, body: bytes = b"") -> None:
        if self._link.why:
            return
        try:
            self._writer.write(message, body)
        except OSError as error:  # nobody listens any more: the end for the reader too
            self._link.hang_up(str(error))


def _exactly(file: Any, size: int) -> Iterator[bytes]:
    """The next `size` bytes of a file, in pieces."""
    while size:
        piece = file.read(min(CHUNK, size))
        if not piece:
            raise OSError(f"{file.name} ends {size} bytes too early")
        size -= len(piece)
        yield piece
