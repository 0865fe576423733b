"""The requests that take a child: build, measure, infer, verify; and the replies that are kept of them.

    question ──► kept? ──yes──► the kept reply, cached: true
                   │ no
                   ▼
                foreman ──► child ──► reply onto the disk ──► reply to the host

An engine is kept under what made it, outputs under engine and inputs, a measurement under its question if the host gave
that a name (`once`). So a reply that the link swallowed is neither lost nor worked out twice. A measurement without a
name is kept only if its host was gone, and handed out once: whoever asks again wants a new one. A verification is
never kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Sequence

from explorer_agent import disk, places, plugins
from explorer_agent.blobs import Blobs, checked
from explorer_agent.cache import Cache
from explorer_agent.jobs import Foreman, Job
from explorer_agent.messages import (
    FAILED,
    AgentError,
    Beside,
    Build,
    Deployment,
    Infer,
    Measure,
    Plan,
    Verify,
    decode,
    refuse,
)
from explorer_agent.wire import Frame, Message, ProtocolError

# What of a deployment changes the engine, beside the power mode: a compiler may time kernels. Threads and streams are
# chosen when it is loaded.
BUILD_FIELDS = ("runtime", "precision", "batch", "placement")
# Part of every key in the caches. 1: first; 2: the code of a runtime that a plug-in brings counts.
CACHE_FORMAT = 2
BESIDE_MOST = 15  # engines are all in memory at once
COMMAND_BYTES = 100_000  # of a job's parameters; they travel in one packet

Finish = Callable[[Message, bytes, str], None]


class Work:
    """Turns requests into jobs and outcomes into replies."""

    def __init__(
        self,
        home: Path,
        blobs: Blobs,
        foreman: Foreman,
        *,
        say: Callable[..., None],
        gone: Callable[[], bool],
    ) -> None:
        """Do nothing yet.

        Args:
            home: builds/ and replies/ lie below.
            blobs: where sources, engines and inputs are.
            foreman: runs the jobs.
            say: sends a message and a body to the host.
            gone: whether nobody is there to hear.
        """
        self._blobs = blobs
        self._foreman = foreman
        self._builds = Cache(home / "builds")
        self._replies = Cache(home / "replies")
        self._say = say
        self._gone = gone
        self.capabilities: dict[str, Any] = {}
        self.requests: dict[str, Callable[[int, Frame], None]] = {
            "build": self._build,
            "measure": self._measure,
            "infer": self._infer,
            "verify": self._verify,
        }

    def _build(self, request_id: int, frame: Frame) -> None:
        request = decode(Build, frame.message)
        deployment = self._deployment(request.deployment)
        fields = [getattr(deployment, name) for name in BUILD_FIELDS]
        fields += [deployment.power_mode] if deployment.power_mode else []
        key = [CACHE_FORMAT, checked(request.source), self._bound_to(deployment), fields]
        known = self._builds.get(key)
        if known is not None and self._blobs.here(known[0]["engine"]):
            self._say(dict(known[0], type="build", id=request_id, cached=True))
            return
        size = places.size(self._blobs.path(request.source)) or 0
        self._blobs.free_disk(2 * size + disk.SLACK_BYTES)  # engines are about as large as their source
        out = self._blobs.scratch()

        def finish(facts: Message, _: bytes, log_tail: str) -> None:
            size = out.stat().st_size
            facts = dict(facts, bytes=size, engine=self._blobs.adopt(out), log_tail=log_tail)
            facts = self._kept(self._builds, key, facts)
            self._say(dict(facts, type="build", id=request_id, cached=False))

        self._submit(
            request_id, request, deployment, {"out": str(out)}, finish, needs={"source": request.source}, out=out
        )

    def _measure(self, request_id: int, frame: Frame) -> None:
        request = decode(Measure, frame.message)
        deployment, plan = self._deployment(request.deployment), decode(Plan, request.plan)
        beside = self._beside(request.beside)
        needs = {"engine": request.engine, **({"inputs": plan.inputs} if plan.inputs else {})}
        needs.update((f"beside_{number}", other["engine"]) for number, other in enumerate(beside))
        key = [CACHE_FORMAT, "measure", request.engine, asdict(deployment), asdict(plan), request.meter]
        key += ([beside] if beside else []) + ([request.once] if request.once else [])
        command = {"plan": asdict(plan), "meter": request.meter, "beside": beside, "engine_sha256": request.engine}
        self._reply_once(request_id, request, deployment, command, key, needs=needs, keep=bool(request.once))

    def _beside(self, asked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Engines that take turns with the one that is measured, each with its deployment in full."""
        if len(asked) > BESIDE_MOST:
            raise ProtocolError(f"at most {BESIDE_MOST} engines beside another, not {len(asked)}")
        others = [decode(Beside, other) for other in asked]
        return [
            {"engine": checked(other.engine), "deployment": asdict(self._deployment(other.deployment))}
            for other in others
        ]

    def _infer(self, request_id: int, frame: Frame) -> None:
        request = decode(Infer, frame.message)
        deployment = self._deployment(request.deployment)
        key = [CACHE_FORMAT, "infer", request.engine, request.inputs, self._bound_to(deployment)]
        needs = {"engine": request.engine, "inputs": request.inputs}
        self._reply_once(request_id, request, deployment, {}, key, needs=needs, keep=True)

    def _verify(self, request_id: int, frame: Frame) -> None:
        request = decode(Verify, frame.message)
        deployment, plan = self._deployment(request.deployment), decode(Plan, request.plan)
        self._blobs.free_disk((places.size(self._blobs.path(request.engine)) or 0) + disk.SLACK_BYTES)
        out = self._blobs.scratch()  # for the plan, as trtexec reads it
        command = {"plan": asdict(plan), "no_graph": request.no_graph, "out": str(out)}

        def finish(message: Message, _: bytes, log_tail: str) -> None:
            places.remove(out)
            self._say(dict(message, type="verify", id=request_id, log_tail=log_tail))

        self._submit(request_id, request, deployment, command, finish, needs={"engine": request.engine}, out=out)

    def _reply_once(
        self,
        request_id: int,
        request: Any,
        deployment: Deployment,
        command: dict[str, Any],
        key: Any,
        *,
        needs: dict[str, str],
        keep: bool,
    ) -> None:
        """Answer from the kept replies or run the job; the reply is kept if `keep`, or if the host is not there to
        hear it.
        """
        kind = type(request).__name__.lower()
        known = self._replies.get(key)
        if known is not None:
            self._say(dict(known[0], type=kind, id=request_id, cached=True), known[1])
            if not keep:
                self._replies.forget(key)
            return

        def finish(message: Message, body: bytes, log_tail: str) -> None:
            message = dict(message, log_tail=log_tail)
            if keep or self._gone():
                message = self._kept(self._replies, key, message, body)
            self._say(dict(message, type=kind, id=request_id, cached=False), body)

        self._submit(request_id, request, deployment, command, finish, needs=needs)

    def _kept(self, cache: Cache, key: Any, message: Message, body: bytes = b"") -> Message:
        """Keep a reply before it is sent. Where even that finds no room it is sent all the same, and says so: a
        measurement that is not kept is worth more than none.
        """
        try:
            self._blobs.free_disk(len(body) + disk.SLACK_BYTES)
            cache.keep(key, message, body)
        except (OSError, AgentError) as error:
            return dict(message, not_kept=str(error))
        return message

    def _submit(
        self,
        request_id: int,
        request: Any,
        deployment: Deployment,
        command: dict[str, Any],
        finish: Finish,
        *,
        needs: dict[str, str],
        out: Path | None = None,
    ) -> None:
        kind = type(request).__name__.lower()
        command = dict(command, kind=kind, deployment=asdict(deployment), memory_mb=request.memory_mb)
        if len(json.dumps(command)) > COMMAND_BYTES:
            raise ProtocolError(f"the parameters of a {kind} are at most {COMMAND_BYTES} bytes")
        try:
            loan = self._blobs.borrow(*((sha256, name) for name, sha256 in needs.items()))
        except AgentError:
            if out is not None:
                places.remove(out)
            raise
        command.update(zip(needs, map(str, loan.paths)))

        def close(message: Message, body: bytes, log_tail: str) -> None:
            finish(message, body, log_tail)
            loan.back()

        def fail(error: AgentError) -> None:
            loan.back()
            if out is not None:
                places.remove(out)
            if error.kind == FAILED and not error.cause and disk.is_full(self._blobs.place):
                error.cause = "disk"
            self._say(dict(error.to_wire(), id=request_id))

        try:
            self._foreman.submit(Job(request_id, command, request.timeout_s, close, fail))
        except AgentError as error:
            fail(error)

    def _deployment(self, given: dict[str, Any]) -> Deployment:
        deployment = Deployment.of(given)
        refuse(deployment, self.capabilities)
        return deployment

    def _bound_to(self, deployment: Deployment) -> list[str]:
        version = self._foreman.runtimes[deployment.runtime]["version"]
        return [version, self.capabilities["fingerprint"], plugins.code_of(deployment.runtime)]
