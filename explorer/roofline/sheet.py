"""What is published of boards, as far as a roofline needs it; every table names its source.

Peaks are those of data sheets, told from memory where the source is "sheets", and no kernel reaches them. That is no
harm: a search looks at what they foretell standardised, and learns what it is worth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from explorer.oracle import Target

SOURCES = {
    "sheets": "data sheets of the modules, from memory: UNVERIFIED",
    "dlasw": "https://github.com/NVIDIA/Deep-Learning-Accelerator-SW/blob/main/README.md, Jetson AGX Orin 64GB: TOPS "
    "of GPU and DLA by power mode; a DLA does 3 to 5 times as much a watt",
    "assumed": "ASSUMED: no publication known",
}


@dataclass(frozen=True)
class Sheet:
    """One module in the mode in which it draws most. Peaks are dense; a MAC counts as two operations.

    Attributes:
        gpu_tops: in the fastest precision up to 8 bits that it has arithmetic for.
        dla_tops: of int8, all cores together.
        dla_half: how fast a DLA's fp16 is, by its int8.
        bandwidth_gbs: of the memory.
        most_w: that it is made for.
        int8: the GPU has arithmetic for it.
        tensor_cores: fp16 is that much faster than fp32.
        modes: watts in a mode's name → shares of `gpu_tops` and of `dla_tops`, where they are published.
        source: of the rates, one of `SOURCES`.
    """

    gpu_tops: float
    bandwidth_gbs: float
    most_w: float
    dla_tops: float = 0.0
    dla_half: float = 0.5
    int8: bool = True
    tensor_cores: bool = True
    modes: Mapping[float, tuple[float, float]] = field(default_factory=dict)
    source: str = "sheets"

    def gpu_macs(self, precision: str) -> float:
        """Multiply-accumulates a second of the GPU at its peak."""
        eighth = self.gpu_tops * 1e12 / 2
        half = eighth / 2 if self.int8 else eighth
        single = eighth / 16 if self.tensor_cores else half / 2
        rates = {"fp16": half, "bf16": half, "tf32": half / 2 if self.tensor_cores else single, "fp32": single}
        return rates.get(precision, eighth)

    def dla_macs(self, precision: str) -> float:
        """Of all DLA cores."""
        return self.dla_tops * 1e12 / 2 * (1.0 if precision in ("int8", "best") else self.dla_half)

    def share(self, mode: str) -> Share:
        """What of it is left in a power mode."""
        told = re.search(r"(\d+(?:\.\d+)?)W", mode)
        watts = min(float(told.group(1)), self.most_w) if told else self.most_w
        part = watts / self.most_w
        gpu, dla = self.modes.get(watts, (part**_GPU_BY_WATTS, part**_DLA_BY_WATTS))
        return Share(watts, gpu, dla, part**_REST_BY_WATTS)


@dataclass(frozen=True)
class Share:
    """A power mode: its watts, and the shares of what units do in the largest; `rest`: memory and processor."""

    watts: float
    gpu: float
    dla: float
    rest: float


# "assumed": how rates go with a mode's watts. AGX Orin's own, "dlasw", go with the power 1.7 (GPU) and 0.7 (DLA); those
# of older modules, which switch cores off rather than clocks down, with less.
_GPU_BY_WATTS, _DLA_BY_WATTS, _REST_BY_WATTS = 1.2, 0.7, 0.3

# "dlasw": sparse TOPS of GPU and DLA, 171 + 105 in MAXN (60 W), 109 + 92 at 50, 41 + 90 at 30, 14 + 40 at 15.
_ORIN = {60.0: (171.0, 105.0), 50.0: (109.0, 92.0), 30.0: (41.0, 90.0), 15.0: (14.0, 40.0)}
_ORIN_MODES = {watts: (gpu / 171.0, dla / 105.0) for watts, (gpu, dla) in _ORIN.items()}

# "assumed": Orin's DLA is documented to be made for int8, with an fp16 that is far slower.
_SECOND_DLA = 0.2

# Sparse figures are halved. What is published as one sum for GPU and DLAs is split by what the DLAs are said to do.
SHEETS: Mapping[str, Sheet] = {
    "nano": Sheet(0.47, 25.6, 10, int8=False, tensor_cores=False),
    "tx2": Sheet(1.33, 59.7, 15, int8=False, tensor_cores=False),
    "xavier-nx": Sheet(12.3, 59.7, 20, dla_tops=9.0),
    "agx-xavier": Sheet(22.0, 136.5, 30, dla_tops=10.0),
    "orin-nano": Sheet(20.0, 68.0, 15),
    "orin-nx-8": Sheet(25.0, 102.4, 20, dla_tops=10.0, dla_half=_SECOND_DLA),
    "orin-nx-16": Sheet(30.0, 102.4, 25, dla_tops=20.0, dla_half=_SECOND_DLA),
    "agx-orin-32": Sheet(54.0, 204.8, 40, dla_tops=46.0, dla_half=_SECOND_DLA),
    "agx-orin-64": Sheet(85.5, 204.8, 60, 52.5, dla_half=_SECOND_DLA, modes=_ORIN_MODES, source="dlasw"),
    "thor": Sheet(517.0, 273.0, 130),
}
_LIKE = {"tegra210": "nano", "tegra186": "tx2", "tegra194": "agx-xavier", "tegra234": "agx-orin-64", "tegra264": "thor"}


def sheet_of(target: Target) -> Sheet:
    """The module's; of one that is not known that of its SoC's best known one, and of any other GPU an Orin's."""
    return SHEETS[target.module if target.module in SHEETS else _LIKE.get(target.soc, "agx-orin-64")]
