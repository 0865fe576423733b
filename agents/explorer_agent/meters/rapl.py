"""RAPL: the energy counters of x86 processors, as the kernel's powercap shows them (`energy_uj`, readable by root until
root allows more: the counters have been used to spy on other people's keys, CVE-2020-8694).

    intel-rapl:0      package-0         ─┐
    intel-rapl:0:0    core               │ inside the package: not read, it would be counted twice
    intel-rapl:0:1    dram              ─┴► total "package_dram/1"; without memory's counter "package/1"
    intel-rapl:1      psys              ──► all of the machine that its maker has wired to it: another total, in doubt

Sources: Linux, Documentation/power/powercap; Intel SDM, volume 3B, section "RAPL Interfaces": a counter moves about
every millisecond, and wraps around.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence

from explorer_agent import sysfs

POWERCAP = "sys/class/powercap"
LAG_S = 0.001
_MEANS = {
    True: "the sum of the processor packages and their memory; board, disks and supply are not included",
    False: "the sum of the processor packages; memory, board, disks and supply are not included",
}
_PSYS = "the whole machine as its maker wired it, or as much of it as was wired"
_DOUBT = "what psys measures, and whether it was ever calibrated, is known to the machine's maker alone"


class Rapl:
    """Joules since the meter was made, a counter a rail; one that wraps around is unwrapped."""

    name = "rapl"
    quantity = "J"
    what = "x86 processors and their memory"

    def __init__(self, wanted: Mapping[str, Any], *, root: Path = sysfs.ROOT) -> None:
        self._root = root
        self._zones: list[_Zone] = []
        self.mendable = False

    def available(self) -> str:
        folders = _folders(self._root / POWERCAP)
        if not any(name.startswith("package") for name, _ in folders):
            return f"no package counter below {self._root / POWERCAP} (no RAPL here, or hidden by virtualisation)"
        try:
            self._zones = [_Zone(name, folder) for name, folder in folders]
        except PermissionError as error:
            self.mendable = True
            return f"{error}; until the next boot: sudo chmod a+r /{POWERCAP}/intel-rapl:*/energy_uj"
        except (OSError, ValueError) as error:
            return str(error)
        return ""

    def rails(self) -> Sequence[str]:
        return [zone.name for zone in self._zones]

    def read(self) -> Sequence[float]:
        return [zone.joules() for zone in self._zones]

    def facts(self) -> dict[str, Any]:
        rails = self.rails()
        psys = [number for number, name in enumerate(rails) if name.startswith("psys")]
        own = [number for number in range(len(rails)) if number not in psys]
        dram = any(name.endswith("dram") for name in rails)
        told: dict[str, Any] = {
            "estimated": False,
            "policy": "package_dram/1" if dram else "package/1",
            "means": _MEANS[dram],
            "total": own,
            "lag_s": LAG_S,
            "lag_means": "the counters move about every millisecond",
        }
        others = [{"policy": "psys/1", "rails": psys, "means": _PSYS, "doubt": _DOUBT}]
        return dict(told, totals=others) if psys else told


class _Zone:
    """One counter, unwrapped."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._counter = folder / "energy_uj"
        self._range_uj = int((folder / "max_energy_range_uj").read_text(encoding="ascii"))
        self._last_uj = self._now_uj()
        self._total_uj = 0

    def joules(self) -> float:
        now = self._now_uj()
        self._total_uj += (now - self._last_uj) % (self._range_uj + 1)
        self._last_uj = now
        return self._total_uj / 1e6

    def _now_uj(self) -> int:
        return int(self._counter.read_text(encoding="ascii"))


def _folders(root: Path) -> list[tuple[str, Path]]:
    """(name, folder) of the counters that do not lie inside others, named apart: package-0, package-0 dram, psys."""
    found = []
    for file, name in sysfs.texts(root, "intel-rapl:*/name"):
        inside = file.parent.name.count(":") > 1
        if name.startswith(("package", "psys")) and not inside:
            found.append((name, file.parent))
        elif name == "dram" and inside:
            package = sysfs.text(root / file.parent.name.rpartition(":")[0] / "name") or "package"
            found.append((f"{package} dram", file.parent))
    return found
