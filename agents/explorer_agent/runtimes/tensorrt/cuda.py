"""CUDA by ctypes: what of libcudart a runner needs, and nothing else. No pycuda, no cuda-python, no numpy.

    library() ──► Cuda ──► Buffer (pinned, or on the device)   Stream   Event   Graph

Any libcudart serves that is not newer than the driver: all of them share the one context of the device. Nothing here
may be called before the process forks: a CUDA context does not survive that.

Source: CUDA Runtime API 11.4, 12.2 and 13.0, driver_types.h and cuda_runtime_api.h. Of the two ways to instantiate a
graph only cudaGraphInstantiateWithFlags (since 11.4) has the same arguments in all three.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from pathlib import Path
from typing import Any, Callable, Iterator

_HANDLE = POINTER(c_void_p)
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cudaGetDeviceCount": (POINTER(c_int),),
    "cudaSetDevice": (c_int,),
    "cudaDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cudaRuntimeGetVersion": (POINTER(c_int),),
    "cudaGetLastError": (),
    "cudaMalloc": (_HANDLE, c_size_t),
    "cudaFree": (c_void_p,),
    "cudaHostAlloc": (_HANDLE, c_size_t, c_uint),
    "cudaFreeHost": (c_void_p,),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
    "cudaStreamCreateWithFlags": (_HANDLE, c_uint),
    "cudaStreamSynchronize": (c_void_p,),
    "cudaStreamDestroy": (c_void_p,),
    "cudaStreamBeginCapture": (c_void_p, c_int),
    "cudaStreamEndCapture": (c_void_p, _HANDLE),
    "cudaEventCreateWithFlags": (_HANDLE, c_uint),
    "cudaEventRecord": (c_void_p, c_void_p),
    "cudaEventSynchronize": (c_void_p,),
    "cudaEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cudaEventDestroy": (c_void_p,),
    "cudaGraphInstantiateWithFlags": (_HANDLE, c_void_p, c_ulonglong),
    "cudaGraphLaunch": (c_void_p, c_void_p),
    "cudaGraphExecDestroy": (c_void_p,),
    "cudaGraphDestroy": (c_void_p,),
}
NAMES = (
    "libcudart.so",
    "/usr/local/cuda/lib64/libcudart.so",
    "libcudart.so.13",
    "libcudart.so.12",
    "libcudart.so.11.0",
)
MEMORY, NO_DEVICE, DRIVER_TOO_OLD = 2, 100, 35  # cudaError
_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyKind
_NON_BLOCKING = 1  # cudaStreamNonBlocking: does not wait for the default stream
_BLOCKING_SYNC = 1  # cudaEventBlockingSync: whoever waits sleeps, and no core burns power meanwhile
_RELAXED = 2  # cudaStreamCaptureModeRelaxed: what other threads do meanwhile spoils no capture
_MAJOR, _MINOR = 75, 76  # cudaDevAttrComputeCapability…


class CudaError(RuntimeError):
    """A call that failed: its name, number and words."""

    def __init__(self, call: str, number: int, words: str) -> None:
        super().__init__(f"{call}: CUDA error {number} ({words})")
        self.number = number


def library(names: Callable[[], Iterator[str]] | None = None) -> Any:
    """libcudart, the first that sees a device; if none does, the first there is.

    Raises:
        OSError: there is none.
    """
    found = []
    for name in (names or candidates)():
        with contextlib.suppress(OSError):
            loaded = ctypes.CDLL(name)
            found.append(loaded)
            if loaded.cudaGetDeviceCount(byref(c_int())) == 0:
                return loaded
    if not found:
        raise OSError("no libcudart on this machine (looked for {})".format(", ".join(NAMES)))
    return found[0]


def candidates() -> Iterator[str]:
    """Where a libcudart may be: where the loader looks, in CUDA's own folder, and beside Python's packages."""
    yield from NAMES
    for folder in sys.path:
        for inside in ("nvidia/cuda_runtime/lib", "nvidia/cu13/lib"):
            yield from map(str, sorted(Path(folder).glob(f"{inside}/libcudart.so.*")))


class Cuda:
    """The calls of one libcudart; each raises CudaError where the library returns a number."""

    def __init__(self, loaded: Any = None) -> None:
        """Take a library.

        Raises:
            OSError: there is none, or only one that is too old.
        """
        self._library = library() if loaded is None else loaded
        for name, arguments in SIGNATURES.items():
            function = getattr(self._library, name, None)
            if function is None:
                raise OSError(f"this libcudart has no {name}: CUDA 11.4 (JetPack 5) is the oldest that serves")
            function.argtypes, function.restype = arguments, c_int
        self._library.cudaGetErrorString.argtypes = (c_int,)
        self._library.cudaGetErrorString.restype = c_char_p

    def call(self, name: str, *arguments: Any) -> None:
        number = getattr(self._library, name)(*arguments)
        if number:
            self._library.cudaGetLastError()  # else the next call would be blamed for it
            raise CudaError(name, number, self._library.cudaGetErrorString(number).decode("ascii", "replace"))

    def _number(self, name: str, *arguments: Any) -> int:
        number = c_int()
        self.call(name, byref(number), *arguments)
        return number.value

    def handle(self, name: str, *arguments: Any) -> c_void_p:
        """The pointer or handle that the call `name` makes."""
        made = c_void_p()
        self.call(name, byref(made), *arguments)
        return made

    def devices(self) -> int:
        return self._number("cudaGetDeviceCount")

    def use(self, device: int = 0) -> None:
        """Work on this device from here on, in this thread."""
        self.call("cudaSetDevice", device)

    def compute_capability(self, device: int = 0) -> int:
        """87 for sm_87."""
        read = "cudaDeviceGetAttribute"
        return 10 * self._number(read, _MAJOR, device) + self._number(read, _MINOR, device)

    def version(self) -> str:
        """As in "12.2"."""
        number = self._number("cudaRuntimeGetVersion")
        return f"{number // 1000}.{number % 1000 // 10}"


class _Held:
    """Something of CUDA's that is given back when nobody holds it any more."""

    _gives_back = ""

    def __init__(self, cuda: Cuda, handle: c_void_p) -> None:
        self._cuda = cuda
        self.handle = handle

    def __del__(self) -> None:
        with contextlib.suppress(CudaError, AttributeError, TypeError):  # the interpreter or the driver is going down
            self._cuda.call(self._gives_back, self.handle)


class Device(_Held):
    """Memory on the device."""

    _gives_back = "cudaFree"

    def __init__(self, cuda: Cuda, size: int) -> None:
        super().__init__(cuda, cuda.handle("cudaMalloc", max(size, 1)))
        self.size = size


class Pinned(_Held):
    """Host memory that is never paged out, so that copies need not wait."""

    _gives_back = "cudaFreeHost"

    def __init__(self, cuda: Cuda, size: int) -> None:
        super().__init__(cuda, cuda.handle("cudaHostAlloc", max(size, 1), 0))
        self.size = size
        self.view = memoryview((ctypes.c_ubyte * size).from_address(self.handle.value or 0)).cast("B")


class Event(_Held):
    """A mark in a stream."""

    _gives_back = "cudaEventDestroy"

    def __init__(self, cuda: Cuda) -> None:
        super().__init__(cuda, cuda.handle("cudaEventCreateWithFlags", _BLOCKING_SYNC))

    def record(self, stream: Stream) -> None:
        self._cuda.call("cudaEventRecord", self.handle, stream.handle)

    def wait(self) -> None:
        """Sleep until everything before the mark is done."""
        self._cuda.call("cudaEventSynchronize", self.handle)

    def ms_since(self, earlier: Event) -> float:
        """Milliseconds of the device's clock between two marks that are passed."""
        elapsed = c_float()
        self._cuda.call("cudaEventElapsedTime", byref(elapsed), earlier.handle, self.handle)
        return elapsed.value


class Graph(_Held):
    """Work of a stream that was captured once and is launched as a whole."""

    _gives_back = "cudaGraphExecDestroy"

    def launch(self, stream: Stream) -> None:
        self._cuda.call("cudaGraphLaunch", self.handle, stream.handle)


class Stream(_Held):
    """Work in order, beside that of other streams."""

    _gives_back = "cudaStreamDestroy"

    def __init__(self, cuda: Cuda) -> None:
        super().__init__(cuda, cuda.handle("cudaStreamCreateWithFlags", _NON_BLOCKING))

    def to_device(self, target: Device, source: Pinned) -> None:
        self._copy(target, source, _TO_DEVICE)

    def to_host(self, target: Pinned, source: Device) -> None:
        self._copy(target, source, _TO_HOST)

    def _copy(self, target: _Held, source: Any, kind: int) -> None:
        self._cuda.call("cudaMemcpyAsync", target.handle, source.handle, source.size, kind, self.handle)

    def wait(self) -> None:
        """Until everything in the stream is done."""
        self._cuda.call("cudaStreamSynchronize", self.handle)

    def captured(self, work: Callable[[], None]) -> Graph:
        """`work`, which puts something into this stream, as a graph; nothing of it is run.

        Raises:
            CudaError: something in it cannot be captured. The stream can be used again.
        """
        self._cuda.call("cudaStreamBeginCapture", self.handle, _RELAXED)
        try:
            work()
        except BaseException:
            with contextlib.suppress(CudaError):
                self._cuda.call("cudaGraphDestroy", self._end_capture())
            raise
        graph = self._end_capture()
        try:
            return Graph(self._cuda, self._cuda.handle("cudaGraphInstantiateWithFlags", graph, 0))
        finally:
            self._cuda.call("cudaGraphDestroy", graph)

    def _end_capture(self) -> c_void_p:
        graph = c_void_p()
        self._cuda.call("cudaStreamEndCapture", self.handle, byref(graph))
        return graph
