"""Power rails of a Jetson: which sensors measure what, which of them make the total, and how far a reading lags.

    chip (1-0040)  ──3 channels──►  rail (VDD_IN): mV × mA        JetPack 4: iio, driver ina3221x
                                                                  JetPack 5, 6, 7: hwmon, drivers ina3221, ina238
Found by the driver's name and the rail's label: hwmon numbers move between boots. What cannot be read has no watts.

Sources: the Jetson product design guides and device trees; the INA3221 data sheet, section 8.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

from explorer_agent import sysfs

# A reading of all three channels, bus and shunt, at the chip's reset setting of 1.1 ms a conversion.
CONVERSION_S = 3 * 2 * 1.1e-3
STEP_V = 40e-6  # of an INA3221 across its shunt: what its current sensor can tell apart
# Ohms of that shunt by chip and rail, where the driver does not tell them.
_SHUNTS = {
    **{("1-0040", name): 0.005 for name in ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")},
    **{("1-0040", name): 0.002 for name in ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")},
    ("1-0041", "VDDQ_VDD2_1V8AO"): 0.002,
}


@dataclass(frozen=True)
class Rail:
    """One channel of a sensor."""

    name: str
    chip: str
    millivolts: Path
    milliamps: Path
    microwatts: Path | None = None
    enable: Path | None = None
    microohms: Path | None = None

    def watts(self) -> float | None:
        """What it draws now; None when there is no reading: no answer, switched off, or gated.

        A gated rail answers with no voltage or a current below zero. No current at a voltage is a reading: less than
        the sensor's smallest step.
        """
        if self.enable and sysfs.number(self.enable) == 0:
            return None
        if self.microwatts:
            power = sysfs.number(self.microwatts)
            return power / 1e6 if power is not None and power >= 0 else None
        volts, amps = sysfs.number(self.millivolts), sysfs.number(self.milliamps)
        if volts is None or amps is None or volts <= 0 or amps < 0:
            return None
        return volts * amps / 1e6

    def step_w(self) -> float | None:
        """The smallest change it can tell, at the voltage there is now; None where its shunt is not known."""
        told = sysfs.number(self.microohms) if self.microohms else None
        ohms = told / 1e6 if told else _SHUNTS.get((self.chip, self.name))
        volts = sysfs.number(self.millivolts)
        return STEP_V / ohms * volts / 1e3 if ohms and volts is not None and volts > 0 else None


@dataclass(frozen=True)
class Lag:
    """How a chip smooths: the mean of `samples` readings, a new one every `update_ms`; None where it does not say."""

    chip: str
    samples: int | None
    update_ms: int | None

    @property
    def seconds(self) -> float | None:
        """How far a reading may lie behind, at worst. JetPack's driver leaves `samples` out of its update interval."""
        told = [self.update_ms / 1000] if self.update_ms else []
        told += [self.samples * CONVERSION_S] if self.samples else []
        return max(told) if told else None


@dataclass(frozen=True)
class Total:
    """A named, versioned rule of which rails add up to the total; it is stored with every energy that follows it."""

    policy: str
    rails: tuple[str, ...]
    means: str
    doubt: str = ""
    alone: bool = True  # False: only ever beside another, never what a board is left with when a rail is missing

    def watts(self, readings: Mapping[str, float | None]) -> float | None:
        """The total; None when one of its rails has no reading."""
        parts = [readings.get(name) for name in self.rails]
        return None if None in parts else sum(part for part in parts if part is not None)


_ORIN = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
_DOUBT = "VDDQ_VDD2_1V8AO is fed from 5 V and may be inside VIN_SYS_5V0 already, then it is counted twice"
# The first whose rails are all there is the default, the others are alternatives. A changed rule gets a new number.
TOTALS = (
    Total("carrier_input/1", ("VIN",), "the carrier's input: fan, disk and USB included"),
    Total("module_input/1", ("VDD_IN",), "the module's input: carrier, fan, disk and USB not included"),
    Total("module_input_5v/1", ("POM_5V_IN",), "the module's 5 V input: carrier, fan and USB not included"),
    Total("sum_of_six/1", ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"), "the sum of the module's six rails"),
    Total("sum_all/1", (*_ORIN, "VDDQ_VDD2_1V8AO"), "the sum of the module's four rails", _DOUBT),
    Total("sum_without_vddq/1", _ORIN, "the sum of three of the module's four rails", alone=False),
)


def rails(root: Path = sysfs.ROOT) -> list[Rail]:
    """Every rail there is a sensor for, by chip and channel; channels that are not connected are left out."""
    return sorted([*_iio(root), *_hwmon(root)], key=lambda rail: (rail.chip, str(rail.millivolts)))


def lags(root: Path = sysfs.ROOT) -> list[Lag]:
    """How each chip smooths."""
    chips = {rail.chip: rail.millivolts.parent for rail in rails(root)}
    files = ("samples", "update_interval")
    return [Lag(chip, *(sysfs.number(folder / file) for file in files)) for chip, folder in sorted(chips.items())]


def totals(found: Sequence[Rail]) -> list[Total]:
    """The rules that these rails allow, the default first; none for a board whose rails nobody has described, or of
    which one is not there.
    """
    names = {rail.name for rail in found}
    allowed = [total for total in TOTALS if names.issuperset(total.rails)]
    return allowed if any(total.alone for total in allowed) else []


def _iio(root: Path) -> list[Rail]:
    found = []
    for label, name in sysfs.texts(root, "sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"):
        folder, channel = label.parent, label.name[-1]
        files = [folder / f"in_{kind}{channel}_input" for kind in ("voltage", "current")]
        found += [Rail(name, folder.parent.name, *files)] if name.upper() != "NC" else []
    return found


def _hwmon(root: Path) -> list[Rail]:
    found = []
    for name, driver in sysfs.texts(root, "sys/class/hwmon/hwmon*/name"):
        folder = name.parent.resolve()  # below the chip: under hwmon3 another chip may be found tomorrow
        if driver == "ina3221":
            found += [_channel(folder, channel) for channel in "123"]  # 4 to 6 are shunts, 7 is their sum
        elif driver == "ina238":
            found.append(_input(folder))
    return [rail for rail in found if rail is not None]


def _channel(folder: Path, channel: str) -> Rail | None:
    chip = _chip(folder)
    label = sysfs.text(folder / f"in{channel}_label")
    files = folder / f"in{channel}_input", folder / f"curr{channel}_input"
    if label == "NC" or not files[0].exists():
        return None
    more = {"enable": folder / f"in{channel}_enable", "microohms": folder / f"shunt{channel}_resistor"}
    return Rail(label or f"{chip} channel {channel}", chip, *files, **more)


def _input(folder: Path) -> Rail:
    """The one ina238 of a Jetson measures the carrier's input, with or without a label."""
    name = sysfs.text(folder / "in1_label") or "VIN"
    return Rail(name, _chip(folder), folder / "in1_input", folder / "curr1_input", folder / "power1_input")


def _chip(folder: Path) -> str:
    """Bus and address, `1-0040`: unlike the hwmon number the same after every boot."""
    device = folder / "device"
    return device.resolve().name if device.exists() else folder.name
