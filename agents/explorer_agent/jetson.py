"""What makes a Jetson one: its module and JetPack, power modes, DLA cores, and the marks that throttling
leaves. Everything is read below a root; nothing is decided from a board's name.

Sources: NVIDIA's Jetson Linux developer guides for L4T 32 to 39, and the kernel's own files.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from explorer_agent import sysfs

SOCS = {"tegra210": "Tegra X1", "tegra186": "Tegra X2", "tegra194": "Xavier", "tegra234": "Orin", "tegra264": "Thor"}
# The GPUs of Jetsons (17000000.gpu, .gp10b, .gv11b, .ga10b, gpu-gpc-0) and other boards' (mali, panfrost's and
# Adreno's *.gpu, v3d); devfreq also holds memories and buses, which are nobody's to pin.
GPU = re.compile(r"gpu|mali|v3d|\.g[pva]\d+b$")
DEVFREQ = ("sys/class/devfreq/*", "sys/devices/gpu.0/devfreq/*")
# L4T, the board's Linux, and the JetPack it belongs to.
JETPACKS = {
    "32.6.1": "4.6",
    **{f"32.7.{n}": f"4.6.{n}" for n in range(1, 7)},
    **{"35.2.1": "5.1", "35.3.1": "5.1.1", "35.4.1": "5.1.2", "35.5.0": "5.1.3", "35.6.0": "5.1.4"},
    **{"35.6.1": "5.1.5", "35.6.2": "5.1.5", "35.6.3": "5.1.5", "35.6.4": "5.1.6"},
    **{"36.2.0": "6.0 preview", "36.3.0": "6.0", "36.4.0": "6.1", "36.4.2": "6.1", "36.4.3": "6.2"},
    **{"36.4.4": "6.2.1", "36.4.7": "6.2.1", "36.5.0": "6.2.2", "36.5.2": "6.2.3"},
    **{"38.2.0": "7.0", "38.2.1": "7.0", "38.2.2": "7.0", "38.4.0": "7.1"},
    **{"39.0.0": "7.2 early access", "39.2.0": "7.2", "39.2.1": "7.2.1", "39.2.2": "7.2.2"},
}


def facts(root: Path = sysfs.ROOT) -> dict[str, str]:
    """{"model", "module", "soc", "l4t", "jetpack"}, "" for what is not told; empty on anything but a Jetson."""
    compatible = (sysfs.text(root / "proc/device-tree/compatible") or "").split("\0")
    soc = next((name[7:] for name in compatible if re.fullmatch(r"nvidia,tegra\d+", name)), "")
    release = re.match(
        r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", sysfs.text(root / "etc/nv_tegra_release") or ""
    )
    if not soc and not release:
        return {}
    l4t = ".".join(release.groups()) if release else ""
    return {
        "model": sysfs.text(root / "proc/device-tree/model") or "",
        "module": _module(compatible),
        "soc": soc,
        "l4t": l4t,
        "jetpack": JETPACKS.get(l4t, ""),
    }


def _module(compatible: list[str]) -> str:
    """`p3701-0005` of ``nvidia,p3737-0000+p3701-0005``: carrier, then module."""
    numbers = (re.findall(r"p\d{4}-\d{4}", name) for name in compatible)
    return next((found[-1] for found in numbers if found), "")


@dataclass(frozen=True)
class PowerModes:
    """What nvpmodel offers, by name: numbers mean other things on other modules and JetPacks."""

    numbers: Mapping[str, int]
    current: str  # "" when it is not told
    sha256: str  # of the file they are in, whose figures an update may change

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.numbers)


def power_modes(root: Path = sysfs.ROOT) -> PowerModes | None:
    """The modes in /etc/nvpmodel.conf; None where there is no such file."""
    conf = sysfs.text(root / "etc/nvpmodel.conf")
    if conf is None:
        return None
    found = re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", conf, re.MULTILINE)
    numbers = {name: int(number) for number, name in found}
    status = re.search(r"pmode:(\d+)", sysfs.text(root / "var/lib/nvpmodel/status") or "")
    current = next((name for name, number in numbers.items() if status and number == int(status.group(1))), "")
    return PowerModes(numbers, current, hashlib.sha256(conf.encode("utf-8")).hexdigest())


def gpu_load(root: Path = sysfs.ROOT) -> float | None:
    """The share of time that the GPU is busy now, 0 to 1."""
    places = ("sys/devices/gpu.0/load", "sys/devices/platform/*.gpu/load", "sys/devices/platform/bus@0/*.gpu/load")
    found = [load for place in places for load in sysfs.numbers(root, place)]
    return max(found) / 1000 if found else None


def gpu_hz(root: Path = sysfs.ROOT) -> int | None:
    """The GPU's clock now; the fastest of several units."""
    found = [sysfs.number(folder / "cur_freq") for folder in gpus(root)]
    return max((hertz for hertz in found if hertz is not None), default=None)


def gpus(root: Path = sysfs.ROOT) -> list[Path]:
    """The folders of the GPU in devfreq, each once: it has several names."""
    folders = {os.path.realpath(path) for pattern in DEVFREQ for path in root.glob(pattern) if GPU.search(path.name)}
    return [Path(folder) for folder in sorted(folders)]


def emc_hz(root: Path = sysfs.ROOT) -> int | None:
    """The clock of the memory; told to root only."""
    return sysfs.number(root / "sys/kernel/debug/bpmp/debug/clk/emc/rate")


def dla_hz(root: Path = sysfs.ROOT) -> int | None:
    """The clock of the fastest DLA; told to root only."""
    return max(sysfs.numbers(root, "sys/kernel/debug/bpmp/debug/clk/*dla*/rate"), default=None)


def dla_cores(root: Path = sysfs.ROOT) -> tuple[str, ...]:
    """The DLAs that the kernel has made devices of: ("dla0", "dla1")."""
    hosts = ("sys/devices/*.host1x", "sys/devices/platform/*.host1x", "sys/devices/platform/bus@0/*.host1x")
    nodes = [node for host in hosts for node in root.glob(f"{host}/*.nvdla[0-9]")]
    nodes += root.glob("dev/nvhost-*nvdla[0-9]")
    return tuple(sorted({f"dla{node.name[-1]}" for node in nodes}))


def throttling(root: Path = sysfs.ROOT) -> list[str]:
    """The alarms that hold clocks back at this moment."""
    return sorted(kind for kind, held in alarms(root).items() if held)


def alarms(root: Path = sysfs.ROOT) -> dict[str, bool]:
    """Each alarm that can hold clocks back, and whether it does."""
    devices = sysfs.texts(root, "sys/class/thermal/cooling_device*/type")
    alerts = [(path, kind) for path, kind in devices if re.search(r"-throttle-alert$|^hot-surface-alert$", kind)]
    return {kind: (sysfs.number(path.parent / "cur_state") or 0) > 0 for path, kind in alerts}


def throttle_counts(root: Path = sysfs.ROOT) -> dict[str, int]:
    """Events since boot: over-current of a Jetson (oc1 under-voltage, oc2 mean current, oc3 peak current), heat of an
    x86 core. Only their growth between two looks says anything.
    """
    found = {}
    for name, driver in sysfs.texts(root, "sys/class/hwmon/hwmon*/name"):
        if driver == "soctherm_oc":
            files = sorted(name.parent.glob("oc[0-9]_event_cnt"))
            counts = {path.name[:3]: sysfs.number(path) for path in files}
            found.update({event: count for event, count in counts.items() if count is not None})
    heat = sysfs.numbers(root, "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    return dict(found, heat=sum(heat)) if heat else found
