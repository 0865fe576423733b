"""The libcudart of ``cudart.c``: a real shared library, which the loader finds by its name like the real one."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_int, c_void_p
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("cudart.c")
_Called = CFUNCTYPE(None)


def compiled(folder: Path) -> str:
    """Make ``libcudart.so`` in `folder`; returns why it cannot be made, empty when it is."""
    compiler = shutil.which("cc")
    if compiler is None:
        return "no C compiler (cc) on this machine"
    target = str(folder / "libcudart.so")
    subprocess.run([compiler, "-Wall", "-Werror", "-shared", "-fPIC", "-o", target, str(SOURCE)], check=True)
    return ""


class CompiledCudart:
    """What a face asks of the library that the runner has loaded: the same seam as `FakeCudart` has."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL("libcudart.so")
        self._library.cudart_enqueue.argtypes = (c_void_p, _Called)
        self._library.cudart_is_held.argtypes = (c_void_p,)
        self._library.cudaGetDeviceCount.argtypes = (ctypes.POINTER(c_int),)
        self._kept: dict[Callable[[], None], Any] = {}  # the library calls them whenever a graph is launched

    @property
    def no_device(self) -> int:
        return int(self._library.cudaGetDeviceCount(ctypes.byref(c_int())))

    def is_held(self, address: int) -> bool:
        return bool(self._library.cudart_is_held(address))

    def enqueue(self, stream: int, work: Callable[[], None]) -> bool:
        call = self._kept.setdefault(work, _Called(work))
        return bool(self._library.cudart_enqueue(stream, call) == 0)
