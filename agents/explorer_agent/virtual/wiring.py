"""Where a board's kernel shows what: the paths of its sensors, clocks and units below /sys, as each JetPack lays them.

Sources: facts of the Jetson product design guides and device trees; JetPack 4 shows an INA3221 by iio, later ones by
hwmon. Voltages are nominal, and the counts and clocks of processors are those of the data sheets, from memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from explorer_agent.virtual.boards import Board

OVER_CURRENT = "soctherm-oc-event"
ZONES = "sys/class/thermal/thermal_zone{}"
ALARM = "sys/class/thermal/cooling_device0"
EMC = "sys/kernel/debug/bpmp/debug/clk/emc/rate"
DLA_CLOCK = "sys/kernel/debug/bpmp/debug/clk/dla{}_core/rate"
CPU = "sys/devices/system/cpu/cpu{}/cpufreq"
_FIRST_HWMON = 3  # others come first on a real board
_BUS = "sys/devices/platform/bus@0"


@dataclass(frozen=True)
class Channel:
    """One rail's sensor."""

    chip: str
    millivolts: int
    microohms: int = 5000


@dataclass(frozen=True)
class Wiring:
    """What differs from board to board."""

    channels: Mapping[str, Channel]
    gpu: str  # its folder of devfreq
    load: str  # the file of its load; empty where there is none
    carrier: str
    cores: int
    cpu_khz: tuple[int, int]
    host1x: str = ""  # whose devices the DLAs are
    zones: tuple[str, ...] = ("tj-thermal", "cpu-thermal", "gpu-thermal")
    alarm: str = "tj-throttle-alert"
    iio: bool = False

    def amps(self, rail: str) -> str:
        """The file of a rail's milliamperes; of Thor's input, of microwatts."""
        channel = self.channels[rail]
        number = self.channel_number(rail)
        if self.iio:
            return f"{self.folder(channel.chip)}/in_current{number - 1}_input"
        return f"{self.folder(channel.chip)}/" + ("power1_input" if rail == "VIN" else f"curr{number}_input")

    def channel_number(self, rail: str) -> int:
        """Which of its chip's channels a rail is, from 1."""
        chip = self.channels[rail].chip
        return [name for name, channel in self.channels.items() if channel.chip == chip].index(rail) + 1

    def folder(self, chip: str) -> str:
        """The folder of a chip's sensors."""
        if self.iio:
            return f"sys/bus/i2c/drivers/ina3221x/{chip}/iio:device0"
        return f"sys/devices/i2c/{chip}/hwmon/hwmon{_FIRST_HWMON + self.chips.index(chip)}"

    @property
    def chips(self) -> list[str]:
        """Every chip that hwmon shows, the counter of over-current events last."""
        return [*sorted({channel.chip for channel in self.channels.values()}), OVER_CURRENT]

    def dla(self, core: int) -> str:
        """The file that tells whether a DLA is at work."""
        return f"{self.host1x}/158{8 + 4 * core:x}0000.nvdla{core}/power/runtime_status"


def _module_input(chip: str) -> dict[str, Channel]:
    return {name: Channel(chip, 5000) for name in ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")}


_OLD_ZONES = ("GPU-therm", "CPU-therm", "AO-therm")
_ORIN_GPU, _ORIN_LOAD = "sys/class/devfreq/17000000.gpu", f"{_BUS}/17000000.gpu/load"
_XAVIER_GPU, _XAVIER_LOAD = "sys/class/devfreq/17000000.gv11b", "sys/devices/gpu.0/load"
_XAVIER_HOST = "sys/devices/platform/13e10000.host1x"
_XAVIER_RAILS = {name: Channel("1-0040", 19000) for name in ("GPU", "CPU", "SOC")}
_XAVIER_RAILS.update({name: Channel("1-0041", 19000) for name in ("CV", "VDDRQ", "SYS5V")})
_AGX_ORIN_RAILS = {
    "VDD_GPU_SOC": Channel("1-0040", 20000, 2000),
    "VDD_CPU_CV": Channel("1-0040", 20000, 2000),
    "VIN_SYS_5V0": Channel("1-0040", 5000, 2000),
    "VDDQ_VDD2_1V8AO": Channel("1-0041", 4970, 2000),
}
_THOR_RAILS = {
    "VDD_GPU": Channel("2-0040", 12000),
    "VDD_CPU_SOC_MSS": Channel("2-0040", 12000),
    "VIN_SYS_5V0": Channel("2-0040", 5000),
    "VIN": Channel("2-0044", 20000),
}

WIRINGS: dict[str, Wiring] = {
    "nano": Wiring(
        {name: Channel("6-0040", 5000) for name in ("POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU")},
        gpu="sys/devices/gpu.0/devfreq/57000000.gpu",
        load="sys/devices/gpu.0/load",
        carrier="p3449-0000",
        cores=4,
        cpu_khz=(102000, 1479000),
        zones=_OLD_ZONES,
        alarm="gpu-throttle-alert",
        iio=True,
    ),
    "xavier-nx": Wiring(
        _module_input("7-0040"),
        gpu=_XAVIER_GPU,
        load=_XAVIER_LOAD,
        carrier="p3509-0000",
        cores=6,
        cpu_khz=(115200, 1420800),
        host1x=_XAVIER_HOST,
        zones=_OLD_ZONES,
        alarm="gpu-throttle-alert",
    ),
    "agx-xavier": Wiring(
        _XAVIER_RAILS,
        gpu=_XAVIER_GPU,
        load=_XAVIER_LOAD,
        carrier="p2822-0000",
        cores=8,
        cpu_khz=(115200, 2265600),
        host1x=_XAVIER_HOST,
        zones=_OLD_ZONES,
        alarm="gpu-throttle-alert",
    ),
    "orin-nano": Wiring(
        _module_input("1-0040"),
        gpu=_ORIN_GPU,
        load=_ORIN_LOAD,
        carrier="p3768-0000",
        cores=6,
        cpu_khz=(115200, 1728000),
    ),
    "orin-nx-16": Wiring(
        _module_input("1-0040"),
        gpu=_ORIN_GPU,
        load=_ORIN_LOAD,
        carrier="p3768-0000",
        cores=8,
        cpu_khz=(115200, 1984000),
        host1x=f"{_BUS}/13e00000.host1x",
    ),
    "agx-orin-64": Wiring(
        _AGX_ORIN_RAILS,
        gpu=_ORIN_GPU,
        load=_ORIN_LOAD,
        carrier="p3737-0000",
        cores=12,
        cpu_khz=(115200, 2201600),
        host1x=f"{_BUS}/13e00000.host1x",
    ),
    "thor": Wiring(
        _THOR_RAILS,
        gpu="sys/class/devfreq/gpu-gpc-0",
        load="",
        carrier="p3971-0000",
        cores=14,
        cpu_khz=(115200, 2601000),
    ),
}


def of(board: Board) -> Wiring:
    """The wiring of `board`."""
    return WIRINGS[board.name]
