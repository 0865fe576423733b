"""The agent's front: takes requests off a byte stream, answers the quick ones at once and hands the others to the
foreman.

stdin and stdout belong to the protocol at the level of file descriptors: they are moved away first, so that whatever
prints (this program, a library, C code) ends on stderr. When the host goes away, running jobs are ended, or finished
within `linger_s` with their reply kept for a host that comes back and asks the same.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Callable

from explorer_agent import board, meters, plugins
from explorer_agent.blobs import Blobs, checked
from explorer_agent.cache import Cache
from explorer_agent.jobs import Foreman, Job
from explorer_agent.lock import Lock
from explorer_agent.messages import (
    BUSY,
    FAILED,
    PROTOCOL_KIND,
    UNSUPPORTED,
    AgentError,
    Build,
    Cancel,
    Deployment,
    Get,
    Has,
    Infer,
    Measure,
    Plan,
    Put,
    decode,
    refuse,
)
from explorer_agent.wire import CHUNK, PROTOCOL, Frame, Message, ProtocolError, Reader, Writer

# What of a deployment changes the engine; threads, streams and power mode are chosen when it is loaded.
BUILD_FIELDS = ("runtime", "precision", "batch", "placement")
# Part of every key in the caches. 1: first; 2: the code of a runtime that a plug-in brings counts.
CACHE_FORMAT = 2


class Session:
    """One host, from hello to the end of its stream."""

    def __init__(
        self, reader: Reader, writer: Writer, *, home: Path, chosen: dict[str, list[str]], agent_sha: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._blobs = Blobs(home)
        self._builds = Cache(home / "builds")
        self._replies = Cache(home / "replies")
        self._host_gone = False
        self._agent_sha = agent_sha
        self._foreman = Foreman(chosen, self._send)
        found = {"runtimes": self._foreman.runtimes, "meters": meters.describe(), "power_modes": []}
        found["plugins"] = plugins.LOADED
        self._capabilities: dict[str, Any] = dict(board.describe(), **found)
        self._requests: dict[str, Callable[[int, Frame], None]] = {
            "has": self._has,
            "put": self._put,
            "get": self._get,
            "build": self._build,
            "measure": self._measure,
            "infer": self._infer,
            "cancel": self._cancel,
        }

    def run(self, *, linger_s: float) -> None:
        """Answer requests until the host's stream ends."""
        self._send(
            {"type": "hello", "protocol": PROTOCOL, "agent_sha": self._agent_sha, "capabilities": self._capabilities}
        )
        try:
            for frame in iter(self._reader.read, None):
                self._answer(frame)
        except ProtocolError as error:
            self._send(AgentError(PROTOCOL_KIND, str(error)).to_wire())
        finally:
            self._host_gone = True
            self._leave(linger_s)

    def _leave(self, linger_s: float) -> None:
        self._foreman.cancel_waiting("the host went away")  # nothing new starts without a host
        deadline = time.monotonic() + linger_s
        while time.monotonic() < deadline and self._foreman.busy():
            time.sleep(0.1)
        self._foreman.cancel(None, "the host went away")
        self._foreman.close()

    def _answer(self, frame: Frame) -> None:
        request_id = frame.message.get("id")
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
            self._refuse(request_id, AgentError(FAILED, str(error), trace=traceback.format_exc()))

    # Quick requests: answered at once, by the thread that reads.

    def _has(self, request_id: int, frame: Frame) -> None:
        wanted = [checked(sha256) for sha256 in decode(Has, frame.message).sha256]
        missing = [sha256 for sha256 in wanted if not self._blobs.path(sha256).is_file()]
        arrived = {sha256: self._blobs.arrived(sha256) for sha256 in missing}
        self._send(
            {"type": "has", "id": request_id, "missing": missing, "arrived": {k: n for k, n in arrived.items() if n}}
        )

    def _put(self, request_id: int, frame: Frame) -> None:
        put = decode(Put, frame.message)
        if not self._blobs.path(put.sha256).is_file():
            self._blobs.receive(put.sha256, frame.body.chunks(), size=put.size, offset=put.offset)
        self._send({"type": "put", "id": request_id, "sha256": put.sha256})

    def _get(self, request_id: int, frame: Frame) -> None:
        path = self._blobs.find(decode(Get, frame.message).sha256, "file")
        with open(path, "rb") as file:
            chunks = iter(lambda: file.read(CHUNK), b"")
            self._writer.write({"type": "get", "id": request_id}, chunks, size=path.stat().st_size)

    def _cancel(self, request_id: int, frame: Frame) -> None:
        cancelled = self._foreman.cancel(decode(Cancel, frame.message).job, "cancelled by the host")
        self._send({"type": "cancel", "id": request_id, "cancelled": cancelled})

    # Jobs: handed to the foreman, answered from its thread.

    def _build(self, request_id: int, frame: Frame) -> None:
        request = decode(Build, frame.message)
        deployment = self._deployment(request.deployment)
        key = [
            CACHE_FORMAT,
            request.source,
            self._bound_to(deployment),
            [getattr(deployment, name) for name in BUILD_FIELDS],
        ]
        known = self._builds.get(key)
        if known is not None and self._blobs.path(known[0]["engine"]).is_file():
            self._send(dict(known[0], type="build", id=request_id, cached=True))
            return
        out = self._blobs.scratch()
        command = {"source": str(self._blobs.find(request.source, "network")), "out": str(out)}

        def finish(facts: Message, _: bytes, log_tail: str) -> None:
            facts = dict(facts, bytes=out.stat().st_size, engine=self._blobs.adopt(out), log_tail=log_tail)
            self._builds.keep(key, facts)
            self._send(dict(facts, type="build", id=request_id, cached=False))

        self._submit(request_id, request, deployment, command, finish, clean=out)

    def _measure(self, request_id: int, frame: Frame) -> None:
        request = decode(Measure, frame.message)
        deployment, plan = self._deployment(request.deployment), decode(Plan, request.plan)
        command: dict[str, Any] = {"plan": asdict(plan), "meter": request.meter}
        command["engine"] = str(self._blobs.find(request.engine, "engine"))
        if plan.inputs:
            command["inputs"] = str(self._blobs.find(plan.inputs, "inputs"))
        key = [CACHE_FORMAT, "measure", request.engine, asdict(deployment), asdict(plan), request.meter]
        self._reply_once(request_id, request, deployment, command, key, keep=False)

    def _infer(self, request_id: int, frame: Frame) -> None:
        request = decode(Infer, frame.message)
        deployment = self._deployment(request.deployment)
        command = {
            "engine": str(self._blobs.find(request.engine, "engine")),
            "inputs": str(self._blobs.find(request.inputs, "inputs")),
        }
        key = [CACHE_FORMAT, "infer", request.engine, request.inputs, self._bound_to(deployment)]
        self._reply_once(request_id, request, deployment, command, key, keep=True)

    def _reply_once(
        self, request_id: int, request: Any, deployment: Deployment, command: dict[str, Any], key: Any, *, keep: bool
    ) -> None:
        """Answer from the kept replies or run the job; the reply is kept if `keep`, or if the host is not there to
        hear it.
        """
        kind = type(request).__name__.lower()
        known = self._replies.get(key)
        if known is not None:
            self._send(dict(known[0], type=kind, id=request_id, cached=True), known[1])
            if not keep:
                self._replies.forget(key)
            return

        def finish(message: Message, body: bytes, log_tail: str) -> None:
            message = dict(message, log_tail=log_tail)
            if keep or self._host_gone:
                self._replies.keep(key, message, body)
            self._send(dict(message, type=kind, id=request_id, cached=False), body)

        self._submit(request_id, request, deployment, command, finish)

    def _submit(
        self,
        request_id: int,
        request: Any,
        deployment: Deployment,
        command: dict[str, Any],
        finish: Callable[[Message, bytes, str], None],
        *,
        clean: Path | None = None,
    ) -> None:
        command = dict(
            command, kind=type(request).__name__.lower(), deployment=asdict(deployment), memory_mb=request.memory_mb
        )

        def fail(error: AgentError) -> None:
            if clean is not None and clean.exists():
                clean.unlink()
            self._refuse(request_id, error)

        self._foreman.submit(Job(request_id, command, request.timeout_s, finish, fail))

    def _deployment(self, given: dict[str, Any]) -> Deployment:
        deployment = Deployment.of(given)
        refuse(deployment, self._capabilities)
        return deployment

    def _bound_to(self, deployment: Deployment) -> list[str]:
        version = self._foreman.runtimes[deployment.runtime]["version"]
        return [version, self._capabilities["fingerprint"], plugins.code_of(deployment.runtime)]

    def _refuse(self, request_id: Any, error: AgentError) -> None:
        self._send(dict(error.to_wire(), id=request_id))

    def _send(self, message: Message, body: bytes = b"") -> None:
        if self._host_gone:
            return
        try:
            self._writer.write(message, body)
        except OSError:  # nobody listens any more; the reader is about to see the end of its stream too
            self._host_gone = True


def claim_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol; what the program itself reads from then on is empty, what it prints
    goes to stderr.
    """
    taken = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    return taken


def serve(home: Path, *, chosen: dict[str, list[str]], wait_s: float, linger_s: float, agent_sha: str) -> int:
    """Serve one host on stdin and stdout; returns the exit status."""
    stdin, stdout = claim_streams()
    writer = Writer(stdout)
    try:
        plugins.load(**chosen)
        home.mkdir(parents=True, exist_ok=True)
        with Lock(home / "lock", wait_s=wait_s):
            session = Session(Reader(stdin), writer, home=home, chosen=chosen, agent_sha=agent_sha)
            session.run(linger_s=linger_s)
    except AgentError as error:
        writer.write(error.to_wire())
        return 3 if error.kind == BUSY else 1
    except OSError as error:
        writer.write(AgentError(FAILED, f"cannot serve from {home}: {error}").to_wire())
        return 1
    return 0
