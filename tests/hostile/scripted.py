"""An agent that says what a script wants it to say, at the other end of a pair of sockets."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from explorer_agent.wire import Message, ProtocolError, Reader

# What is said to a request, and whether that is noise: if the host does not go on then, the stream ends.
Answer = Callable[[Message], tuple[bytes, bool]]
PAUSE_S = 0.02

SHA = "ab" * 32
RUNTIME = {
    **{"available": True, "why_not": "", "version": "1", "placements": ["cpu"], "streams_max": 1},
    "precisions": {"fp32": "", "int8": "not here"},
}
CAPABILITIES: Message = {
    **{"python": "3.8.10", "machine": "aarch64", "cpu": "a core", "cores": 4, "memory_mb": 4000, "fingerprint": "f1"},
    **{"power_modes": ["15W"], "runtimes": {"fake": RUNTIME, "gone": {**RUNTIME, "available": False, "why_not": "x"}}},
    **{
        "meters": {"rapl": {"available": True, "why_not": ""}},
        "plugins": {"mine": {"from": "bundle", "sha256": SHA, "runtimes": []}},
        "requests": ["has", "put", "check", "verify"],
        "measures": ["beside"],
    },
}
HELLO: Message = {"type": "hello", "protocol": 1, "agent_sha": SHA, "capabilities": CAPABILITIES}
RUNS = {"transfers": "included", "streams": [{"unit": "gpu", "no_graph": ""}]}
COUNTS = {
    **{"latency_s": 6, "window_start_s": 2, "window_end_s": 2, "window_count": 2, "window_cpu_s": 2},
    **{"idle_s": 2, "idle_after_s": 2, "meter_time_s": 3, "meter_0": 3},
    **{"block_latency_s": 5, "block_start_s": 4, "block_end_s": 4, "block_count": 4, "block_cpu_s": 4},
    **{"block_round": 4, "block_entrant": 4, "state_time_s": 2, "state_0": 2},
    **{"arrival_subjects": 2, "arrival_seconds": 2, "arrival_count": 2, "arrival_latency_s": 3},
}
NUMBERS = (
    [0.1] * 6 + [0.0, 1.0] + [0.9, 2.0] + [3.0, 3.0] + [0.5, 0.5] + [-1.0, -0.1] + [3.0, 4.0] + [-1.0, 0.5, 4.0]
) + [0.0, 1.0, 9.0]
NUMBERS += [0.1] * 5 + [2.0, 2.1, 2.2, 2.3] + [2.1, 2.2, 2.3, 2.5] + [1.0, 1.0, 1.0, 2.0] + [0.1] * 4
NUMBERS += [0.0, 0.0, 1.0, 1.0] + [0.0, 1.0, 1.0, 0.0] + [-1.0, 4.0] + [50.0, 51.0]
NUMBERS += [1.0, 2.0] + [0.5, 0.5] + [1.0, 2.0] + [0.01] * 3
MEASURE_BODY = struct.pack(f"<{len(NUMBERS)}d", *NUMBERS)


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


# What a good agent would answer, by request: the message without its id, and its body.
ANSWERS: dict[str, tuple[Message, bytes]] = {
    "has": ({"type": "has", "missing": [], "arrived": {}}, b""),
    "put": ({"type": "put", "sha256": SHA}, b""),
    "build": (
        {
            **{"type": "build", "engine": SHA, "seconds": 1.5, "cached": False, "bytes": 9},
            **{"layers": {"fp32": 3}, "log_tail": "built\n"},
        },
        b"",
    ),
    "measure": (
        {
            **{"type": "measure", "byte_order": "little", "flags": ["unstable"], "estimated": False, "windows": 2},
            **{"series": [{"name": name, "unit": "s", "count": count} for name, count in COUNTS.items()]},
            **{"meter": {"name": "rapl", "quantity": "J", "rails": ["all"]}, "sampler_failure": "", "log_tail": ""},
            **{"entrants": [{"engine": SHA, "runs": RUNS}, {"engine": SHA}], "plan": {"deadline_ms": 40.0}},
        },
        MEASURE_BODY,
    ),
    "verify": (
        {
            **{"type": "verify", "tool_version": "10.3.0", "command": ["trtexec", "--x"], "conditions": {"a": "--x"}},
            **{"exit": 0, "passed": True, "why": "", "throughput_ips": 9.5, "latency_ms": 1.5, "flags": ["too-warm"]},
        },
        b"",
    ),
    "infer": ({"type": "infer", "cached": False}, npz(out=np.ones((5, 3), np.float32))),
    "get": ({"type": "get"}, b"an engine"),
    "check": ({"type": "check", "findings": [dict.fromkeys(("topic", "state", "found", "advice"), "ok")]}, b""),
}


class Scripted:
    """The transport to such an agent; a thread of its own plays it."""

    def __init__(self, hello: bytes, answer: Answer) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self._ours, self._theirs = ours, theirs
        self.incoming, self.outgoing = ours.makefile("rb"), ours.makefile("wb")
        self._answer = answer
        self._thread = threading.Thread(target=self._play, args=(hello,), daemon=True)
        self._thread.start()

    def last_words(self) -> str:
        return "\x1b[31mlast words\x1b[0m"

    def close(self) -> None:
        for end in (self._ours, self._theirs):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        assert not self._thread.is_alive()
        for stream in (self.outgoing, self.incoming, self._ours):
            with contextlib.suppress(OSError):  # what nobody took cannot be flushed
                stream.close()

    def _play(self, hello: bytes) -> None:
        with self._theirs, self._theirs.makefile("rb") as incoming, contextlib.suppress(OSError, ProtocolError):
            self._theirs.sendall(hello)
            reader = Reader(incoming)
            while (frame := reader.read()) is not None:
                said, noise = self._answer(frame.message)
                self._theirs.sendall(said)
                self._theirs.settimeout(PAUSE_S if noise else None)
