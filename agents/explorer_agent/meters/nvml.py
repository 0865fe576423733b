"""NVML: what NVIDIA's driver tells of the power of desktop and server GPUs, by ctypes on the driver's own library.

    total-energy counter (mJ since the driver was loaded; Volta and newer)     ──► "J", exact over any window
    else power (mW; a mean over a second on Ampere and newer, GA100 excepted)  ──► "W", and it lags

A GPU's board is measured whole, memory and fan included, and nothing else of the machine. So it is asked only for what
runs on the GPU. On a Jetson NVML names the GPU and tells neither energy nor power.

Source: NVIDIA, "NVML API Reference Guide": nvmlDeviceGetTotalEnergyConsumption, nvmlDeviceGetPowerUsage, nvmlReturn_t.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

# Found as the loader finds libraries, LD_LIBRARY_PATH included; the second is where Windows puts it for its Linux.
LIBRARIES = ("libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1")
NAME_BYTES = 96
POWER_LAG_S = 1.0
COUNTER_LAG_S = 0.1  # GPUs sample their sensor every 20 to 100 ms (Yang et al., arXiv:2312.02741, table 1)
_HINTS = {  # nvmlReturn_t → what to do; the library itself says in English what each means
    3: "so it is on every Jetson, whose own sensors ina3221 reads",
    4: "log in as a user who may open /dev/nvidiactl",
    9: "the kernel's driver is not loaded; see nvidia-smi",
    18: "driver and library are of different versions: reboot",
}


class NvmlError(OSError):
    """A call that NVML refused: its number, and its own words."""

    def __init__(self, status: int, text: str) -> None:
        hint = _HINTS.get(status, "")
        super().__init__(status, f"{text} ({hint})" if hint else text)

    def __str__(self) -> str:
        return f"NVML says: {self.strerror}"


@dataclass(frozen=True)
class _Gpu:
    """One GPU: what it can tell, or why it tells nothing."""

    handle: ctypes.c_void_p
    name: str
    counts: bool
    why_not: str
    mig: bool


class Nvml:
    """GPUs as rails, `gpu0 NVIDIA H200` each; ``meter: {name: nvml, gpus: [0]}`` leaves the others out."""

    name = "nvml"
    what = "NVIDIA GPUs of PCs and servers, for what runs on them"
    units = ("gpu",)

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._only = wanted.get("gpus")
        self._library: _Library | None = None
        self._process = 0
        self._gpus: list[_Gpu] = []
        self._deaf: list[_Gpu] = []
        self.quantity = "J"
        self.mendable = False

    def available(self) -> str:
        try:
            self._open()
        except (OSError, AttributeError) as error:  # no such library, or one without the functions
            self.mendable = getattr(error, "errno", None) in _HINTS
            return _why_not(error)
        except LookupError as error:
            return str(error)
        if self._gpus:
            return ""
        deaf = "; ".join(f"{gpu.name}: {gpu.why_not}" for gpu in self._deaf)
        return f"no GPU tells its energy or power ({deaf})" if deaf else "NVML finds no GPU"

    def rails(self) -> Sequence[str]:
        return [gpu.name for gpu in self._gpus]

    def read(self) -> Sequence[float]:
        if self._process != os.getpid():  # a fork: the driver's library is to be opened by whoever uses it
            self._open()
        library = self._library
        assert library is not None
        if self.quantity == "J":
            return [library.millijoules(gpu.handle) / 1e3 for gpu in self._gpus]
        return [library.milliwatts(gpu.handle) / 1e3 for gpu in self._gpus]

    def facts(self) -> dict[str, Any]:
        counted = self.quantity == "J"
        told: dict[str, Any] = {
            "estimated": False,
            "policy": "gpu_boards/1",
            "means": "the GPUs' boards, their memory and fans included; processor, disks and supply are not",
            "lag_s": COUNTER_LAG_S if counted else POWER_LAG_S,
            "lag_means": "the energy counter moves in steps of up to 0.1 s"
            if counted
            else "NVML's own mean over the last second",
        }
        doubts = [f"{gpu.name} is divided (MIG): its energy is that of all its parts" for gpu in self._gpus if gpu.mig]
        doubts += [f"{gpu.name} is not in it: {gpu.why_not}" for gpu in self._deaf]
        return dict(told, doubt="; ".join(doubts)) if doubts else told

    def close(self) -> None:
        if self._library is not None and self._process == os.getpid():
            self._library.shutdown()
        self._library = None

    def _open(self) -> None:
        self._library, self._process = _Library(_load()), os.getpid()
        there = range(self._library.count())
        if self._only is not None and not set(self._only) <= set(there):
            raise LookupError(f"gpus: {self._only}: NVML finds {', '.join(f'gpu{index}' for index in there) or 'none'}")
        found = [self._library.gpu(index) for index in (there if self._only is None else self._only)]
        self._gpus = [gpu for gpu in found if not gpu.why_not]
        self._deaf = [gpu for gpu in found if gpu.why_not]
        self.quantity = "J" if all(gpu.counts for gpu in self._gpus) else "W"


class _Library:
    """The few functions of NVML that are needed, each raising NvmlError."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.nvmlErrorString.restype = ctypes.c_char_p
        self._call("nvmlInit_v2")

    def shutdown(self) -> None:
        self._call("nvmlShutdown")

    def count(self) -> int:
        found = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(found))
        return found.value

    def gpu(self, index: int) -> _Gpu:
        handle, name = ctypes.c_void_p(), ctypes.create_string_buffer(NAME_BYTES)
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
        self._call("nvmlDeviceGetName", handle, name, ctypes.c_uint(NAME_BYTES))
        no_counter = self._refusal(self.millijoules, handle)
        no_power = self._refusal(self.milliwatts, handle) if no_counter else ""
        named = f"gpu{index} {name.value.decode('utf-8', 'replace')}"
        return _Gpu(handle, named, not no_counter, no_power, self._divided(handle))

    def millijoules(self, handle: ctypes.c_void_p) -> int:
        """Since the driver was loaded."""
        found = ctypes.c_ulonglong()
        self._call("nvmlDeviceGetTotalEnergyConsumption", handle, ctypes.byref(found))
        return found.value

    def milliwatts(self, handle: ctypes.c_void_p) -> int:
        found = ctypes.c_uint()
        self._call("nvmlDeviceGetPowerUsage", handle, ctypes.byref(found))
        return found.value

    def _divided(self, handle: ctypes.c_void_p) -> bool:
        now, pending = ctypes.c_uint(), ctypes.c_uint()
        try:
            self._call("nvmlDeviceGetMigMode", handle, ctypes.byref(now), ctypes.byref(pending))
        except (NvmlError, AttributeError):  # GPUs and drivers that know of no such thing
            return False
        return now.value == 1

    def _refusal(self, ask: Any, handle: ctypes.c_void_p) -> str:
        try:
            ask(handle)
        except (NvmlError, AttributeError) as error:
            return _why_not(error)
        return ""

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise NvmlError(status, (self._library.nvmlErrorString(status) or b"").decode("utf-8", "replace"))


def _load() -> ctypes.CDLL:
    """The driver's library.

    Raises:
        OSError: there is none.
    """
    first, *others = LIBRARIES
    try:
        return ctypes.CDLL(first)
    except OSError:
        there = [name for name in others if os.path.exists(name)]
        if not there:
            raise
        return ctypes.CDLL(there[0])


def _why_not(error: Exception) -> str:
    if isinstance(error, NvmlError):
        return str(error)
    if isinstance(error, AttributeError):
        return f"the driver's library is too old: it has no {str(error).rpartition(' ')[2]}"
    return f"no NVIDIA driver for GPUs: {error}"
