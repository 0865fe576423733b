"""trtexec on the very plan of an engine of ours, under the conditions of our figure.

    engine ──► its plan ──► a scratch file ──┐
    trtexec --help ──► which TensorRT's? ────┴─► trtexec, in the job's own process group ──► its medians

It runs one engine on one unit, so what several units yield together it cannot tell. It is a child of the job: whatever
ends the job ends it and what it has started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any, Sequence

from explorer_agent.messages import FAILED, UNSUPPORTED, AgentError, Deployment, Plan
from explorer_agent.runtimes.tensorrt import trtexec
from explorer_agent.runtimes.tensorrt.units import DLA, Unit

USUAL = Path("/usr/src/tensorrt/bin/trtexec")  # of NVIDIA's Debian packages; not at $PATH
LINES_MOST = 2000  # of its output; the summary is at the end
_PACKAGE = "sudo apt install libnvinfer-bin (JetPack's nvidia-jetpack brings it), or put trtexec's folder at $PATH"


def one_unit(placement: str, found: Sequence[Unit]) -> Unit:
    """The unit of a placement.

    Raises:
        AgentError: unsupported: there are several.
    """
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise AgentError(
            UNSUPPORTED, f"trtexec runs one engine on one unit, and {placement} is {len(found)} together ({names})"
        )
    return found[0]


def tool() -> str:
    """Where trtexec is: at $PATH, or where NVIDIA's packages put it.

    Raises:
        AgentError: unsupported: nowhere.
    """
    found = shutil.which("trtexec") or (str(USUAL) if os.access(str(USUAL), os.X_OK) else "")
    if not found:
        raise AgentError(UNSUPPORTED, f"there is no trtexec at $PATH or at {USUAL}", hint=_PACKAGE)
    return found


def run(plan: bytes, unit: Unit, deployment: Deployment, asked: Plan, *, file: Path, library: str, graph: bool) -> Any:
    """Run trtexec on a plan.

    Args:
        plan: what TensorRT serialised.
        unit: where.
        deployment: batch and streams count; the rest is in the plan.
        asked: how long ours warmed up and measured.
        file: where the plan is put for it.
        library: the version of the TensorRT that built it, such as "10.3.0.30".
        graph: whether ours runs as CUDA graphs.

    Returns:
        {"tool", "tool_version", "command", "conditions", "exit", "why"} and what `trtexec.told` finds; "why" is the
        first of its errors. "tool_version" is empty where it does not say: its switches then go by `library`.

    Raises:
        AgentError: unsupported: there is no trtexec, or it is another TensorRT's; failed: it does not start.
    """
    where = tool()
    its = trtexec.version_in(_output([where, "--help"])[1])
    version = _fitting(its, trtexec.version_of(library), where)
    file.write_bytes(plan)
    how = _conditions(unit, deployment, asked, graph=graph)
    command = trtexec.running(version, unit, file, how, tool=where)
    exit_status, output = _output(command)
    facts = {"tool": where, "tool_version": trtexec.dotted(its), "command": command, "exit": exit_status}
    told = dict(trtexec.told(output, deployment.batch), why=trtexec.complaint(output))
    return dict(facts, conditions=trtexec.conditions(version, how), **told)


def _conditions(unit: Unit, deployment: Deployment, asked: Plan, *, graph: bool) -> trtexec.Conditions:
    return trtexec.Conditions(
        graph=graph and unit.kind != DLA,
        streams=deployment.streams,
        seconds=asked.budget_s or trtexec.SECONDS,
        warm_up_ms=max(round(asked.warmup_s * 1e3), 1),
    )


def _fitting(its: trtexec.Version, ours: trtexec.Version, where: str) -> trtexec.Version:
    """The version by which its switches go; a plan can only be read by the TensorRT that wrote it."""
    if its and its != ours[: len(its)]:
        text = f"{where} is TensorRT {trtexec.dotted(its)}'s, and the engine was built by {trtexec.dotted(ours)}"
        raise AgentError(UNSUPPORTED, text, hint="have the trtexec of the same TensorRT first at $PATH")
    return its or ours


def _output(command: Sequence[str]) -> tuple[int, str]:
    """How a command ended, and the last of what it printed, which goes into the job's log as well."""
    kept: deque[str] = deque(maxlen=LINES_MOST)
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise AgentError(FAILED, f"{command[0]} does not start: {error.strerror or error}", hint=_PACKAGE) from error
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            kept.append(line.decode("ascii", "backslashreplace"))
            sys.stdout.write(kept[-1])
            sys.stdout.flush()
    return process.wait(), "".join(kept)
