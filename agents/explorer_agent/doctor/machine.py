"""What the board is: model, processor, virtual or not, Python, disk, memory, date."""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from pathlib import Path
from typing import Iterator

import explorer_agent
from explorer_agent import board, jetson, sysfs
from explorer_agent.doctor.look import BAD, NOTE, OK, WARN, Finding, Look, finding, session_of

DISK_BAD_GB, DISK_LOW_GB = 0.2, 2.0
MEMORY_LOW_MB = 1000
SWAPPED = 0.1  # of the memory
WRITTEN = "2026-11-01"  # no honest clock is before the day this was written


def model(look: Look) -> Iterator[Finding]:
    facts = look.jetson
    if facts:
        soc = jetson.SOCS.get(facts["soc"], "")
        parts = [f"module {facts['module']}" if facts["module"] else "", f"{soc} ({facts['soc']})" if soc else ""]
        yield finding("board", OK, ", ".join(filter(None, [facts["model"] or "a Jetson", *parts])))
        yield _jetpack(facts["jetpack"], facts["l4t"])
        return
    names = ("proc/device-tree/model", "sys/class/dmi/id/product_name")
    name = next(filter(None, (sysfs.text(look.root / path) for path in names)), "a computer")
    yield finding("board", OK, f"{name}, {platform.machine()}; not a Jetson: no power modes, no DLA")


def _jetpack(jetpack: str, l4t: str) -> Finding:
    if jetpack:
        return finding("jetpack", OK, f"{jetpack}, NVIDIA's system for the board, on its Linux L4T {l4t}")
    if l4t:
        return finding("jetpack", NOTE, f"of NVIDIA's Linux, L4T {l4t}: newer or older than those known here")
    advice = "look for /etc/nv_tegra_release; a container needs it mounted"
    return finding("jetpack", WARN, "which one is not told", advice)


def simulated(look: Look) -> Iterator[Finding]:
    if look.simulated:
        yield finding("simulated", NOTE, "a virtual board: what it tells and measures of time and power is a model's")


def processor(look: Look) -> Iterator[Finding]:
    usable = look.capabilities["cores"] if look.simulated else board.cores()
    there = usable if look.simulated else os.cpu_count() or 0
    cores = f"{usable} of {there} cores usable" if usable < there else f"{there} cores"
    yield finding("processor", OK, f"{board.cpu_model(look.root)}, {cores}")


def virtual(look: Look) -> Iterator[Finding]:
    emulator = emulated_by(look.root)
    if emulator:
        advice = "measure on a real board; here only outputs and sizes mean anything"
        because = "a program emulates this processor, many times slower"
        yield finding("virtual", WARN, f"emulated: programs run in {emulator}", advice, because=because)
    elif re.search(r"\bhypervisor\b", board.cpu_flags(look.root)):
        advice = "compare only what was measured here in one run; measure for real on the board"
        because = "this machine is virtual, and others may share its processor"
        yield finding("virtual", WARN, "a virtual machine (its processor says so)", advice, because=because)
    marks = (".dockerenv", "run/.containerenv", "run/systemd/container")
    found = [mark for mark in marks if (look.root / mark).exists()]
    if found:
        yield finding("virtual", NOTE, f"a container (there is a /{found[0]}): the rest of the board may be hidden")


def emulated_by(root: Path) -> str:
    """The emulator that runs this program, empty when a processor does. QEMU's user mode hides itself from a program's
    own /proc/self, but not from what /proc tells of other programs of the session.
    """
    names = {f"qemu-{platform.machine()}{end}" for end in ("", "-static")}
    for path, command in sysfs.texts(root, "proc/[0-9]*/cmdline"):
        name = os.path.basename(command.partition("\0")[0])
        if name in names and session_of(path.parent) == os.getsid(0):
            return name
    return ""


def python(look: Look) -> Iterator[Finding]:
    bundle = Path(explorer_agent.__file__).parents[1]
    size = f", one file of {bundle.stat().st_size >> 10} kB" if bundle.is_file() else ""
    yield finding("python", OK, f"{platform.python_version()} runs the agent{size}")


def disk(look: Look) -> Iterator[Finding]:
    usage = shutil.disk_usage(look.home)
    free_gb = usage.free / 1e9
    found = f"{free_gb:.1f} of {usage.total / 1e9:.0f} GB free, below {look.home}"
    advice = "free some, or put home: on a larger disk in the board's file"
    state = BAD if free_gb < DISK_BAD_GB else WARN if free_gb < DISK_LOW_GB else OK
    yield finding("disk", state, found, "" if state == OK else advice)


def memory(look: Look) -> Iterator[Finding]:
    found = board.memory_mb(look.root)
    total, free = found.get("MemTotal", 0), found.get("MemAvailable", 0)
    low = free < MEMORY_LOW_MB
    advice = "end other programs, a desktop first" if low else ""
    yield finding("memory", WARN if low else OK, f"{free / 1000:.1f} of {total / 1000:.1f} GB free", advice)
    used = found.get("SwapTotal", 0) - found.get("SwapFree", 0)
    if used > SWAPPED * total:
        advice = "end other programs, then: sudo swapoff -a && sudo swapon -a"
        because = f"{used / 1000:.1f} GB of memory are swapped out"
        yield finding("swap", WARN, f"{used / 1000:.1f} GB of memory swapped out", advice, because=because)
    else:
        yield finding("swap", OK, f"{used / 1000:.1f} GB of memory swapped out")


def date(look: Look) -> Iterator[Finding]:
    now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    if now < WRITTEN:
        found = f"{now} UTC, which cannot be; only dates in logs suffer, times are taken by another clock"
        yield finding("date", NOTE, found, "set it: sudo timedatectl set-ntp true")
    else:
        yield finding("date", OK, f"{now} UTC")
