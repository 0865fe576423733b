"""What CUDA and TensorRT say of this board, asked in a process of its own.

    agent, nursery          neither ever touches CUDA: its context would not survive the fork of a job
       └─ probe             1. libcudart: is there a device?     2. TensorRT: its version, its DLA cores

In this order, since TensorRT 8.6.0 crashes the interpreter that asks it for a runtime where there is no driver. What
dies in the course has a reason too: the signal, and how far it came.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any, Callable

from explorer_agent.runtimes.tensorrt.api import Api
from explorer_agent.runtimes.tensorrt.cuda import DRIVER_TOO_OLD, NO_DEVICE, Cuda, CudaError

PATIENCE_S = 50  # less than a nursery has
_MARK = "explorer-probe:"
_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from explorer_agent.runtimes.tensorrt import probe
probe.main()
"""


def ask(code: str = _CHILD, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """What a process of its own finds: {"why_not"}, and where that is empty "version", "sm", "dla_cores", "cuda"."""
    command = [sys.executable, "-I", "-c", code, json.dumps([place or os.getcwd() for place in sys.path])]
    try:
        done = subprocess.run(command, capture_output=True, timeout=patience_s, check=False)
    except subprocess.TimeoutExpired:
        return {"why_not": f"asking CUDA and TensorRT took longer than {patience_s:.0f} s"}
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    told = [json.loads(line[len(_MARK) :]) for line in lines if line.startswith(_MARK)]
    if told and "why_not" in told[-1]:
        return dict(told[-1])
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["without a word"]
    stage = told[-1]["stage"] if told else "starting Python"
    return {"why_not": f"{stage} ended {_ended(done.returncode)}: {last[0][:300]}"}


def _ended(code: int) -> str:
    if code >= 0:
        return f"with exit status {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"by signal {-code} ({names.get(-code, 'unknown')})"


def main() -> None:
    """The probe's own process."""
    _tell({"stage": "asking CUDA"})
    _tell(look(lambda: Cuda(), lambda: _tell({"stage": "asking TensorRT"})))


def look(cuda: Callable[[], Cuda], reached: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """What there is, by what is asked in this very process; `reached` is called between CUDA and TensorRT."""
    try:
        found = cuda()
        count, sm, version = found.devices(), found.compute_capability(), found.version()
    except OSError as error:
        return {"why_not": str(error)}
    except CudaError as error:
        return {"why_not": _no_device(error)}
    if not count:
        return {"why_not": "CUDA sees no device"}
    reached()
    return _asked(sm, version)


def _no_device(error: CudaError) -> str:
    hints = {
        NO_DEVICE: "; CUDA sees no device",
        DRIVER_TOO_OLD: "; no NVIDIA driver, or one older than this libcudart: in a container, was it run with "
        "--runtime nvidia?",
    }
    return f"{error}{hints.get(error.number, '')}"


def _asked(sm: int, cuda: str) -> dict[str, Any]:
    try:
        import tensorrt
    except ImportError as error:
        return {"why_not": f"importing tensorrt: {error}"}
    api = Api.of(tensorrt)
    if api.why_not():
        return {"why_not": api.why_not()}
    try:
        builder = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))
    except (TypeError, RuntimeError) as error:  # pybind's: the factory returned nothing
        return {"why_not": f"TensorRT {api.version} makes no builder: {error}"}
    return {"why_not": "", "version": api.version, "sm": sm, "dla_cores": int(builder.num_DLA_cores), "cuda": cuda}


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{_MARK}{json.dumps(what)}\n")
    sys.stdout.flush()
