"""A line to an agent: questions, answers, notes, and everything that can end them.

    study's thread   ── request, body ──►  agent
                     ◄──── queue ────    reader thread   ◄── notes, reply, error
    lease thread     ── "I am here" ──►  agent          (four times as often as it must)

The host times out on silence, not on length: while a job runs the agent says so every second, and every byte of a long
body counts as a word. The agent does the same with us, by the lease: a link that died tells neither side.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from explorer.device import replies
from explorer.errors import DeviceLost, NoDevice, on_board
from explorer.transports import Transport
from explorer_agent.messages import AgentError
from explorer_agent.wire import PROTOCOL, Frame, Message, ProtocolError, Reader, Writer

START_S = 120.0  # until hello: a slow board imports its libraries first
SILENCE_S = 30.0
WAITING_S = 3600.0  # for what an earlier session of ours still has under way on the board
LEASE_S = 20.0
OLDEST_PROTOCOL = 1
REPLY_BYTES = 2 << 30  # no reply is larger; one that says so is not read
ARRIVALS = 32  # frames that wait to be looked at; beyond them the agent has to wait
WITH_BODY = ("get", "measure", "infer")  # replies that carry one
QUICK_S = 600.0  # for what is answered without a job, and for a job beyond the time it was given: however much is told

Note = Callable[[Mapping[str, Any]], None]
Reply = tuple[Message, bytes]


class Line:
    """Questions and answers over a transport. One thread at a time may ask; `cancel` and `close` may come from others.

    Attributes:
        on_note: hears what the agent tells while it works.
        sent_bytes: how much the bodies of our requests held.
    """

    def __init__(self, name: str, transport: Transport, *, on_note: Note | None = None) -> None:
        self._name = name
        self._transport = transport
        self._writer = Writer(transport.outgoing)
        self._ids = itertools.count(1)
        self._unanswered = 0  # the id of the request that waits for its reply
        self._doing = "start"
        self._lost = ""
        self._closed = threading.Event()
        self._arrivals: queue.Queue[Reply | str] = queue.Queue(ARRIVALS)
        self._heard = time.monotonic()
        self.on_note: Note = on_note or (lambda _: None)
        self.sent_bytes = 0
        threading.Thread(target=self._read, name=f"reader of {name}", daemon=True).start()

    def hello(self) -> Message:
        """The agent's first words; before them it may say that it waits for our own earlier session.

        Raises:
            NoDevice: they do not come, or cannot be understood.
        """
        deadline = time.monotonic() + WAITING_S
        try:
            hello, _ = self._next(START_S)
            while hello["type"] == "note" and time.monotonic() < deadline:
                self._tell(hello)
                hello, _ = self._next(START_S)
        except DeviceLost as error:
            self.close()
            raise NoDevice(str(error)) from error
        problem = _objection_to(hello)
        if problem:
            self.close()
            raise NoDevice(on_board(self._name, str(problem)))
        return hello

    def keep_lease(self) -> None:
        """From now on tell the agent that we are here, until the line is closed."""
        threading.Thread(target=self._renew, name=f"lease of {self._name}", daemon=True).start()

    def ask(
        self, request: str, body: bytes | Iterable[bytes] = b"", *, length: int | None = None, **fields: Any
    ) -> Reply:
        """The reply to one request, its notes having been told.

        Args:
            request: its type.
            body: the raw bytes that go with it, in pieces if they are many.
            length: of the body in bytes, when it comes in pieces.
            fields: its parameters.

        Raises:
            AgentError: the agent refused, or failed.
            DeviceLost: the agent went away, does not listen, or is silent.
        """
        if self._lost:
            raise DeviceLost(self._lost)
        number, self._doing = next(self._ids), request
        self._unanswered = number
        try:
            self._writer.write({"type": request, "id": number, **fields}, body, size=length)
        except (OSError, ValueError) as error:  # ValueError: closed by another thread
            raise self._gone(f"does not listen any more ({error})") from error
        self.sent_bytes += length if length is not None else len(body)  # type: ignore[arg-type]  # pieces come with a length
        self._heard = time.monotonic()
        return self._reply_to(number, within_s=fields.get("timeout_s", 0.0) + QUICK_S)

    def cancel(self) -> None:
        """End the job under way."""
        with contextlib.suppress(OSError, ValueError):  # nobody there to cancel anything: whoever waits is told so
            self._writer.write({"type": "cancel", "id": next(self._ids), "job": self._unanswered})

    def close(self) -> None:
        """End the line; a job under way is ended too, unless it is the link that was lost: then it may finish."""
        if self._unanswered and not self._lost and not self._closed.is_set():
            self.cancel()
        self._lost = self._lost or f"{self._name} was closed"
        self._closed.set()
        self._transport.close()

    def _reply_to(self, number: int, *, within_s: float) -> Reply:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            message, body = self._next(SILENCE_S)
            if message["type"] == "note":
                self._tell(message)
            elif message.get("id") == number or (message["type"] == "error" and message.get("id") is None):
                self._unanswered = 0
                if message["type"] == "error":
                    raise AgentError.from_wire(message)
                if message["type"] != self._doing:
                    raise self._gone(f"answered {message['type'][:80]!r}")
                return message, body
        raise self._gone(f"goes on talking, but has not answered within {within_s:.0f} s")

    def _tell(self, message: Message) -> None:
        try:
            heard = replies.note(message)
        except ProtocolError as error:
            raise self._gone(f"does not keep to the protocol: {error}") from error
        self.on_note(heard)

    def _next(self, patience_s: float) -> Reply:
        """The next frame; `patience_s` is how long nothing at all may be heard."""
        while True:
            left_s = self._heard + patience_s - time.monotonic()
            try:
                arrived = self._arrivals.get(timeout=max(left_s, 0.0))
            except queue.Empty:
                if time.monotonic() - self._heard < patience_s:  # bytes of a long body came in
                    continue
                raise self._gone(f"has been silent for {patience_s:.0f} s") from None
            if isinstance(arrived, str):
                raise self._gone(f"went away: {arrived}")
            return arrived

    def _gone(self, why: str) -> DeviceLost:
        self._lost = on_board(self._name, f"{self._doing}: the device {why}")
        words = replies.clean_text(self._transport.last_words())
        self.close()
        return DeviceLost(f"{self._lost}\n{words}" if words else self._lost, job=self._doing)

    def _renew(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(OSError, ValueError):  # a dead link is told to whoever waits for a reply
                self._writer.write({"type": "lease", "id": next(self._ids), "seconds": LEASE_S})
            self._closed.wait(LEASE_S / 4)

    def _read(self) -> None:
        """The reader thread: frames into the queue until the stream ends; a str says why it did."""
        reader = Reader(self._transport.incoming)
        try:
            while (frame := reader.read()) is not None:
                self._arrive((replies.clean(frame.message), self._whole(frame)))
            self._arrive("its stream ended")
        except (ProtocolError, OSError, ValueError) as error:  # ValueError: closed under our eyes
            self._arrive(replies.clean_text(str(error)))

    def _whole(self, frame: Frame) -> bytes:
        self._heard = time.monotonic()
        message = frame.message
        if frame.body.size and (message["type"] not in WITH_BODY or message.get("id") != self._unanswered):
            raise ProtocolError(f"a body of {frame.body.size} bytes that nobody asked for")
        if frame.body.size > REPLY_BYTES:
            raise ProtocolError(f"a reply of {frame.body.size >> 20} MB; at most {REPLY_BYTES >> 20} MB are read")
        pieces = []
        for piece in frame.body.chunks():
            self._heard = time.monotonic()
            pieces.append(piece)
        return b"".join(pieces)

    def _arrive(self, what: Reply | str) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._arrivals.put(what, timeout=1)
                return


def _objection_to(hello: Message) -> str:
    """Why we cannot talk to this agent; empty when we can."""
    if hello["type"] == "error":
        error = AgentError.from_wire(hello)
        return f"{error.text}. {error.hint}".strip()
    if hello["type"] != "hello" or type(hello.get("protocol")) is not int:
        return f"expected hello, heard {hello['type'][:80]!r}"
    if not OLDEST_PROTOCOL <= hello["protocol"] <= PROTOCOL:
        return f"the agent speaks protocol {hello['protocol']}, this explorer {OLDEST_PROTOCOL} to {PROTOCOL}"
    return ""
