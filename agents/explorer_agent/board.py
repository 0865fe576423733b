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
from typing import Any, Mapping

from explorer_agent import clocks, jetson, sysfs

DESKTOPS = {"Xorg", "Xwayland", "gnome-shell", "kwin_wayland", "kwin_x11", "plasmashell", "weston", "xfwm4", "sway"}
DESKTOPS |= {"lxsession", "cinnamon", "mate-session", "budgie-wm"}


def describe(root: Path = sysfs.ROOT) -> dict[str, Any]:
    """The board as it is built: machine, processor, cores this process may use, memory, and a fingerprint of what an
    engine is bound to; of a Jetson also what `jetson.facts` tells.
    """
    nvidia, modes = jetson.facts(root), jetson.power_modes(root)
    facts = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "cpu": cpu_model(root),
        "cores": cores(),
        "memory_mb": memory_mb(root).get("MemTotal", 0),
        **nvidia,
        **({"power_modes_sha256": modes.sha256} if modes else {}),
        **simulated(root),
        **sysfs.imitation(root).get("machine", {}),
    }
    bound_to = [facts["machine"], facts["cpu"], facts["cores"], cpu_flags(root), *([nvidia] if nvidia else [])]
    return dict(
        facts, fingerprint=hashlib.sha256(json.dumps(bound_to, sort_keys=True).encode("utf-8")).hexdigest()[:16]
    )


def simulated(root: Path = sysfs.ROOT) -> dict[str, str]:
    """{"simulated": the board's name} of a virtual one; nothing of a real one."""
    name = sysfs.imitation(root).get("simulated")
    return {"simulated": str(name)} if name else {}


def state(root: Path = sysfs.ROOT) -> dict[str, Any]:
    """How the board is doing at this moment; what it has no sensor for is None, never zero."""
    zones, memory, modes = zones_c(root), memory_mb(root), jetson.power_modes(root)
    return {
        "load_1m": os.getloadavg()[0],
        "memory_available_mb": memory.get("MemAvailable"),
        "swap_used_mb": swap_used_mb(memory),
        "swapped_pages": swapped_pages(root),
        "cpu_khz": cpu_khz(root) or None,
        "gpu_hz": jetson.gpu_hz(root),
        "gpu_load": jetson.gpu_load(root),
        "emc_hz": jetson.emc_hz(root),
        "dla_hz": jetson.dla_hz(root),
        "governors": governors(root) or None,
        "clocks_free": clocks.loose(root),
        "clocks_held": clocks.held_at(root),
        "power_mode": modes.current if modes else None,
        "temperature_c": zones.get(hottest(zones)),
        "throttling": jetson.throttling(root),
        "throttle_counts": jetson.throttle_counts(root),
        "desktop": desktop(root),
        "busy_s": busy_s(root),
    }


def cpu_khz(root: Path = sysfs.ROOT) -> list[int]:
    """The processors' clocks as their governors know them. cpuinfo_cur_freq would measure, and stop each for 0.5 ms."""
    return sysfs.numbers(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")


def swap_used_mb(memory: Mapping[str, int]) -> int | None:
    """Of `memory_mb`."""
    return memory["SwapTotal"] - memory["SwapFree"] if {"SwapTotal", "SwapFree"} <= set(memory) else None


def swapped_pages(root: Path = sysfs.ROOT) -> int | None:
    """Pages moved to or from the swap since boot."""
    told = re.findall(r"^pswp(?:in|out) (\d+)$", sysfs.text(root / "proc/vmstat") or "", re.MULTILINE)
    return sum(map(int, told)) if told else None


def desktop(root: Path = sysfs.ROOT) -> list[str]:
    """The programs of a desktop that are running."""
    return sorted({name for _, name in sysfs.texts(root, "proc/[0-9]*/comm") if name in DESKTOPS})


def governors(root: Path = sysfs.ROOT) -> list[str]:
    """Who decides on the cores' clocks."""
    return sorted({name for _, name in sysfs.texts(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")})


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0))


def cpu_model(root: Path = sysfs.ROOT) -> str:
    """The processor's name; on ARM, where /proc/cpuinfo has none, its part numbers or the board's model."""
    info = sysfs.text(root / "proc/cpuinfo") or ""
    named = re.search(r"^(?:model name|Hardware|Model)\s*:\s*(.+)$", info, re.MULTILINE)
    if named:
        return named.group(1).strip()
    board = sysfs.text(root / "proc/device-tree/model") or ""
    parts = sorted(set(re.findall(r"^CPU part\s*:\s*(\S+)$", info, re.MULTILINE)))
    return " ".join([board or platform.machine(), *parts])


def cpu_flags(root: Path = sysfs.ROOT) -> str:
    """Instruction sets, which compiled code depends on."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", sysfs.text(root / "proc/cpuinfo") or "", re.MULTILINE)
    return found.group(1).strip() if found else ""


def memory_mb(root: Path = sysfs.ROOT) -> dict[str, int]:
    """/proc/meminfo in MB, by its own names."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", sysfs.text(root / "proc/meminfo") or "", re.MULTILINE)
    return {name: int(kilobytes) // 1024 for name, kilobytes in lines}


def busy_s(root: Path = sysfs.ROOT) -> float | None:
    """Seconds that the cores this process may use have been busy since boot, whoever kept them so; None if not told."""
    lines = (line.split() for line in (sysfs.text(root / "proc/stat") or "").splitlines())
    ticks = {line[0]: [int(number) for number in line[1:]] for line in lines if line and line[0].startswith("cpu")}
    ours = [ticks[name] for name in (f"cpu{core}" for core in os.sched_getaffinity(0)) if name in ticks]
    if not ours:
        return None
    # user, nice, system, idle, iowait, irq, softirq, …: all but the two in which a core has nothing to do
    return sum(sum(core[:3]) + sum(core[5:7]) for core in ours) / os.sysconf("SC_CLK_TCK")


def zones_c(root: Path = sysfs.ROOT) -> dict[str, float]:
    """Temperatures by the names of their zones. One that is powered down answers EAGAIN or −256 °C: no reading."""
    found: dict[str, float] = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        name, millis = sysfs.text(zone / "type") or zone.name, sysfs.number(zone / "temp")
        if millis is not None and millis > -100_000:
            found[name] = max(millis / 1000, found.get(name, -100))
    return found


def hottest(zones: Mapping[str, float]) -> str:
    """The zone that throttling goes by: the junction, which is the highest of a Jetson's own, or else the hottest."""
    # PMIC-Die is a constant 100 °C on JetPack 4
    real = {name: celsius for name, celsius in zones.items() if name != "PMIC-Die"}
    return "tj-thermal" if "tj-thermal" in real else max(real, key=lambda name: real[name], default="")
