"""RAPL: the energy counters of x86 processors, as the kernel's powercap shows them (`energy_uj`, world-readable only
since root says so).

Only the packages are read: cores and memory controller ("core", "uncore") lie inside them and would be counted twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence

from explorer_agent import sysfs

POWERCAP = sysfs.ROOT / "sys/class/powercap"


class Rapl:
    """Joules since the meter was made, one counter a processor package; a counter that wraps around is unwrapped."""

    name = "rapl"
    quantity = "J"

    def __init__(self, wanted: Mapping[str, Any], *, root: Path = POWERCAP) -> None:
        self._root = root
        self._zones: list[_Zone] = []

    def available(self) -> str:
        packages = self._packages()
        if not packages:
            return f"no package counter below {self._root} (no RAPL on this machine, or hidden by virtualisation)"
        try:
            self._zones = [_Zone(folder) for folder in packages]
        except (OSError, ValueError) as error:
            return f"{error} (root can allow it: chmod a+r .../energy_uj)"
        return ""

    def rails(self) -> Sequence[str]:
        return [zone.name for zone in self._zones]

    def read(self) -> Sequence[float]:
        return [zone.joules() for zone in self._zones]

    def facts(self) -> dict[str, Any]:
        return {"estimated": False, "total": "sum of processor packages; memory, board and supply are not included"}

    def _packages(self) -> list[Path]:
        names = sorted(self._root.glob("intel-rapl:*/name"))
        return [path.parent for path in names if path.read_text(encoding="ascii").startswith("package")]


class _Zone:
    """One counter, unwrapped."""

    def __init__(self, folder: Path) -> None:
        self.name = (folder / "name").read_text(encoding="ascii").strip()
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
