"""libcudart without a GPU: device memory is host memory, streams do at once what they are given.

Functions are real foreign functions, made of the runtime's own table of argument types: a call with a wrong number or
kind of arguments fails here as it would there.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_int, c_void_p
from typing import Any

from explorer_agent.runtimes.tensorrt.cuda import DRIVER_TOO_OLD, MEMORY, SIGNATURES

INVALID, CAPTURE_SPOILED = 1, 901
WORDS = {
    0: b"no error",
    INVALID: b"invalid argument",
    MEMORY: b"out of memory",
    DRIVER_TOO_OLD: b"CUDA driver version is insufficient for CUDA runtime version",
    CAPTURE_SPOILED: b"operation failed due to a previous error during capture",
    100: b"no CUDA-capable device is detected",
    700: b"an illegal memory access was encountered",
}
Work = Callable[[], None]


class FakeCudart:
    """What ``ctypes.CDLL("libcudart.so")`` would give."""

    def __init__(self, *, room: int = 1 << 30) -> None:
        self.sm = 87
        self.room = room  # bytes on the device
        self.no_device = 0  # the error that every question for a device gets
        self.no_capture = False
        self.launches = 0  # of graphs
        self.alive: dict[int, Any] = {}  # whatever was made and not given back, by its handle
        self._next = 0x1000
        self._recording: dict[int, list[Work]] = {}
        self._strings = {number: ctypes.create_string_buffer(words) for number, words in WORDS.items()}
        for name, arguments in SIGNATURES.items():
            act = self._gone if name.endswith(("Destroy", "Free", "FreeHost")) else getattr(self, "_" + name)
            setattr(self, name, CFUNCTYPE(c_int, *arguments)(act))
        words = CFUNCTYPE(c_void_p, c_int)(lambda number: ctypes.addressof(self._strings[number]))
        self.cudaGetErrorString = words

    def enqueue(self, stream: int, work: Work) -> bool:
        """Into the graph that is being captured, or done at once."""
        if stream in self._recording:
            self._recording[stream].append(work)
            return True
        assert stream in self.alive, "a stream that is none"
        work()
        return True

    def is_held(self, address: int) -> bool:
        return address in self.alive

    def _made(self, out: Any, what: Any) -> int:
        self._next += 0x10
        self.alive[self._next] = what
        out[0] = self._next
        return 0

    def _gone(self, handle: int) -> int:
        return 0 if self.alive.pop(handle, None) is not None else INVALID

    def _memory(self, out: Any, size: int) -> int:
        buffer = ctypes.create_string_buffer(size)
        self.alive[ctypes.addressof(buffer)] = buffer
        out[0] = ctypes.addressof(buffer)
        return 0

    def _cudaGetDeviceCount(self, out: Any) -> int:
        out[0] = 1
        return self.no_device

    def _cudaSetDevice(self, device: int) -> int:
        return 0 if device == 0 else INVALID

    def _cudaDeviceGetAttribute(self, out: Any, attribute: int, device: int) -> int:
        out[0] = {75: self.sm // 10, 76: self.sm % 10}[attribute]
        return self.no_device

    def _cudaRuntimeGetVersion(self, out: Any) -> int:
        out[0] = 12020
        return 0

    def _cudaGetLastError(self) -> int:
        return 0

    def _cudaMalloc(self, out: Any, size: int) -> int:
        used = sum(ctypes.sizeof(each) for each in self.alive.values() if isinstance(each, ctypes.Array))
        return MEMORY if used + size > self.room else self._memory(out, size)

    def _cudaHostAlloc(self, out: Any, size: int, flags: int) -> int:
        return self._memory(out, size)

    def _cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> int:
        if not {target, source} <= set(self.alive) or kind not in (1, 2):
            return INVALID
        self.enqueue(stream, lambda: ctypes.memmove(target, source, size))
        return 0

    def _cudaStreamCreateWithFlags(self, out: Any, flags: int) -> int:
        return self._made(out, "stream")

    def _cudaStreamSynchronize(self, stream: int) -> int:
        return 0 if stream in self.alive else INVALID

    def _cudaStreamBeginCapture(self, stream: int, mode: int) -> int:
        self._recording[stream] = []
        return 0

    def _cudaStreamEndCapture(self, stream: int, out: Any) -> int:
        works = self._recording.pop(stream)
        return CAPTURE_SPOILED if self.no_capture else self._made(out, works)

    def _cudaGraphInstantiateWithFlags(self, out: Any, graph: int, flags: int) -> int:
        return self._made(out, self.alive[graph])

    def _cudaGraphLaunch(self, executable: int, stream: int) -> int:
        self.launches += 1
        for work in self.alive[executable]:
            self.enqueue(stream, work)
        return 0

    def _cudaEventCreateWithFlags(self, out: Any, flags: int) -> int:
        return self._made(out, [0])

    def _cudaEventRecord(self, event: int, stream: int) -> int:
        self.alive[event][0] = time.perf_counter_ns()
        return 0 if stream in self.alive else INVALID

    def _cudaEventSynchronize(self, event: int) -> int:
        return 0 if self.alive[event][0] else INVALID

    def _cudaEventElapsedTime(self, out: Any, start: int, end: int) -> int:
        out[0] = (self.alive[end][0] - self.alive[start][0]) / 1e6
        return 0
