"""What this board is (once, for `hello`) and how it is doing (before and after every measurement), from /proc and
/sys.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

ROOT = Path("/")


def describe(root: Path = ROOT) -> dict[str, Any]:
    """The board as it is built: machine, processor, cores this process may use, memory, and a fingerprint of what an
    engine is bound to.
    """
    facts = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "cpu": cpu_model(root),
        "cores": cores(),
        "memory_mb": memory_mb(root).get("MemTotal", 0),
    }
    bound_to = [facts["machine"], facts["cpu"], facts["cores"], cpu_flags(root)]
    return dict(facts, fingerprint=hashlib.sha256(json.dumps(bound_to).encode("utf-8")).hexdigest()[:16])


def state(root: Path = ROOT) -> dict[str, Any]:
    """How the board is doing at this moment; what it has no sensor for is None, never zero."""
    return {
        "load_1m": os.getloadavg()[0],
        "memory_available_mb": memory_mb(root).get("MemAvailable"),
        "cpu_khz": _numbers(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"),
        "governors": sorted(set(_texts(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))) or None,
        "temperature_c": _hottest(root),
        "busy_s": busy_s(root),
    }


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0))


def cpu_model(root: Path = ROOT) -> str:
    """The processor's name; on ARM, where /proc/cpuinfo has none, its part numbers or the board's model."""
    info = _read(root / "proc/cpuinfo") or ""
    named = re.search(r"^(?:model name|Hardware|Model)\s*:\s*(.+)$", info, re.MULTILINE)
    if named:
        return named.group(1).strip()
    board = (_read(root / "proc/device-tree/model") or "").strip("\0 \n")
    parts = sorted(set(re.findall(r"^CPU part\s*:\s*(\S+)$", info, re.MULTILINE)))
    return " ".join([board or platform.machine(), *parts])


def cpu_flags(root: Path = ROOT) -> str:
    """Instruction sets, which compiled code depends on."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _read(root / "proc/cpuinfo") or "", re.MULTILINE)
    return found.group(1).strip() if found else ""


def memory_mb(root: Path = ROOT) -> dict[str, int]:
    """/proc/meminfo in MB, by its own names."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", _read(root / "proc/meminfo") or "", re.MULTILINE)
    return {name: int(kilobytes) // 1024 for name, kilobytes in lines}


def busy_s(root: Path = ROOT) -> float | None:
    """Seconds that the cores this process may use have been busy since boot, whoever kept them so; None if not told."""
    lines = (line.split() for line in (_read(root / "proc/stat") or "").splitlines())
    ticks = {line[0]: [int(number) for number in line[1:]] for line in lines if line and line[0].startswith("cpu")}
    ours = [ticks[name] for name in (f"cpu{core}" for core in os.sched_getaffinity(0)) if name in ticks]
    if not ours:
        return None
    # user, nice, system, idle, iowait, irq, softirq, …: all but the two in which a core has nothing to do
    return sum(sum(core[:3]) + sum(core[5:7]) for core in ours) / os.sysconf("SC_CLK_TCK")


def _hottest(root: Path) -> float | None:
    temperatures = _numbers(root, "sys/class/thermal/thermal_zone*/temp")
    return max(temperatures) / 1000 if temperatures else None


def _numbers(root: Path, pattern: str) -> list[float] | None:
    return [float(text) for text in _texts(root, pattern) if re.fullmatch(r"-?\d+", text)] or None


def _texts(root: Path, pattern: str) -> list[str]:
    return [text.strip() for text in map(_read, sorted(root.glob(pattern))) if text]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no such sensor, or one that answers with an I/O error: both mean "not known"
        return None
