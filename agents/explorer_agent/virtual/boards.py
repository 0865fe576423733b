"""The boards there are: what their units do a second in each power mode, and what that costs.

Every figure carries its source. Three kinds of it are no publication, and say so: what is told from memory of a data
sheet (UNVERIFIED), what was fitted so that published ratios come out (FITTED), and what is a guess (ASSUMED). Rates are
dense; published sparse ones are halved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

DLASW = "NVIDIA/Deep-Learning-Accelerator-SW README: Jetson AGX Orin 64GB, TOPS by power mode (sparse, halved here)"
CLOCKS = "in proportion to clock and multiprocessors of the same GPU in MAXN"
L4T = "NVIDIA Jetson Linux developer guide, supported modes"
FACTS = "tegra module data sheet, from memory: UNVERIFIED"
UNVERIFIED = "from memory of a data sheet or of nvpmodel's file: UNVERIFIED"
FITTED = "FITTED to the published performance and performance per watt of ResNet-50, DLASW README; not measured"
NX_DLA = "DLASW README: at most as much as AGX Orin 64GB in its 15W mode; for this mode UNVERIFIED"
ASSUMED = "ASSUMED: no publication known"
# Operations a clock of one multiprocessor, in the precision that `Mode.gpu_tops` counts.
OPERATIONS = {"5.3": 512, "7.2": 2048, "8.7": 4096, "11.0": 16384}

# TensorRT → the highest opset that its parser is documented to read: onnx-tensorrt's operators.md, by release.
PARSERS = {(8, 0): 13, (8, 5): 17, (10, 0): 20, (10, 15): 24}
DLA_HZ = 1.6e9  # the most: tegrastats of an Orin shows NVDLA0_FREQ @1600; taken for the older ones too


class Figure(float):
    """A number that knows where it comes from."""

    source: str

    def __new__(cls, value: float, source: str) -> Figure:
        figure = super().__new__(cls, value)
        figure.source = source
        return figure

    def __getnewargs__(self) -> Any:  # a copy keeps the source
        return float(self), self.source


@dataclass(frozen=True)
class Mode:
    """One power mode. Rates of a unit are those of int8 (of fp16 where there is no int8), all its cores together."""

    number: int  # nvpmodel's
    gpu_tops: Figure
    dla_tops: Figure  # of all cores; 0 without a DLA
    bandwidth_gbs: Figure  # of the memory, for all units together
    multiprocessors: Figure
    gpu_w: Figure  # more than idle, computing all the time
    dla_w: Figure  # of all cores, likewise
    idle_w: Figure  # of the whole board
    budget_w: Figure  # beyond which over-current events begin
    launch_us: Figure  # of one kernel, by the processor as it is clocked in this mode


@dataclass(frozen=True)
class Rail:
    """What one sensor sees: its share of the idle watts, and the parts that it feeds."""

    name: str
    idle: float
    feeds: tuple[str, ...]  # of "gpu", "dla", "cpu", "memory"


@dataclass(frozen=True)
class Board:
    """A module with its software."""

    name: str
    model: str
    module: str
    soc: str
    l4t: str
    tensorrt: str
    compute_capability: str
    memory_mb: int
    gpu_rates: Mapping[str, Figure]  # precision → share of the rate in `Mode.gpu_tops`; what is missing cannot be run
    dla_rates: Mapping[str, Figure]  # the same of the DLA
    dla_cores: int
    rails: tuple[Rail, ...]
    modes: Mapping[str, Mode]
    default_mode: str
    heat_c_per_w: Figure
    heat_s: Figure  # time constant
    throttle_c: Figure
    gpu_of_peak: Figure  # of the rate that the best kernels reach
    dla_of_peak: Figure

    def gpu_hz(self, mode: Mode) -> float:
        """The GPU's clock, as its rate tells it."""
        return mode.gpu_tops * 1e12 / (mode.multiprocessors * OPERATIONS[self.compute_capability])

    def dla_hz(self, mode: Mode) -> float:
        """The DLAs' clock, as their rate tells it; 0 without any."""
        most = max(its.dla_tops for its in self.modes.values())
        return DLA_HZ * mode.dla_tops / most if most else 0.0

    @property
    def units(self) -> tuple[str, ...]:
        return ("gpu",) + tuple(f"dla{core}" for core in range(self.dla_cores))

    @property
    def placements(self) -> tuple[str, ...]:
        """As the runtime of a real board words them."""
        on_dla = [f"{word}{core or ''}" for core in range(self.dla_cores) for word in ("dla", "dla_only")]
        return ("gpu", *on_dla, *(["gpu+dla"] if on_dla else []))

    @property
    def opset(self) -> int:
        """The highest that its ONNX parser is documented to read."""
        version = tuple(int(number) for number in self.tensorrt.split(".")[:2])
        return max(opset for first, opset in PARSERS.items() if first <= version)


def _rates(source: str, **shares: float) -> dict[str, Figure]:
    return {precision: Figure(share, source) for precision, share in shares.items()}


def _mode(
    number: int,
    *,
    rates: str,
    gpu: float,
    gpu_rate: str = "",
    dla: float = 0.0,
    memory: str = UNVERIFIED,
    gbs: float,
    sms: int,
    watts: tuple[float, float],
    idle: float,
    budget: float,
    power: str = ASSUMED,
    launch_us: float = 5.0,
) -> Mode:
    return Mode(
        number,
        gpu_tops=Figure(gpu, gpu_rate or rates),
        dla_tops=Figure(dla, rates),
        bandwidth_gbs=Figure(gbs, memory),
        multiprocessors=Figure(sms, UNVERIFIED),
        gpu_w=Figure(watts[0], power),
        dla_w=Figure(watts[1], power),
        idle_w=Figure(idle, ASSUMED),
        budget_w=Figure(budget, UNVERIFIED if number else ASSUMED),
        launch_us=Figure(launch_us, ASSUMED),
    )  # fmt: skip


_AMPERE = {"int8": 1.0, "fp16": 0.5, "bf16": 0.5, "tf32": 0.25, "fp32": 0.0625}
_VOLTA = {"int8": 1.0, "fp16": 0.5, "fp32": 0.0625}
_DLA_V1 = _rates(FACTS + "; 5 TOPS int8 and 2.5 TFLOPS fp16 a core", int8=1.0, fp16=0.5)
_DLA_V2 = _rates(ASSUMED + "; DLASW README says only that version 2 is made for int8", int8=1.0, fp16=0.2)

_GPU_OF_PEAK, _DLA_OF_PEAK = Figure(0.75, ASSUMED), Figure(0.97, FITTED)
_OLD = "FITTED to ResNet-50 on Xavier NX, NVIDIA-AI-IOT/jetson_benchmarks README: 824 images a second, GPU and DLAs"
_GPU_OF_PEAK_OLD, _DLA_OF_PEAK_OLD = Figure(0.38, _OLD), Figure(0.42, _OLD)

_NX_RAILS = (
    Rail("VDD_IN", 1.0, ("gpu", "dla", "cpu", "memory")),
    Rail("VDD_CPU_GPU_CV", 0.2, ("gpu", "dla", "cpu")),
    Rail("VDD_SOC", 0.3, ()),
)
_ORIN_RAILS = (
    Rail("VDD_GPU_SOC", 0.36, ("gpu",)),
    Rail("VDD_CPU_CV", 0.12, ("dla", "cpu")),
    Rail("VIN_SYS_5V0", 0.4, ()),
    Rail("VDDQ_VDD2_1V8AO", 0.12, ("memory",)),
)

AGX_ORIN_64 = Board(
    name="agx-orin-64", model="NVIDIA Jetson AGX Orin Developer Kit", module="p3701-0005", soc="tegra234",
    l4t="36.4.3", tensorrt="10.3.0.30", compute_capability="8.7", memory_mb=62841,
    gpu_rates=_rates(FACTS, **_AMPERE), dla_rates=_DLA_V2, dla_cores=2,
    rails=_ORIN_RAILS,
    modes={
        "MAXN": _mode(0, rates=DLASW, gpu=85.5, dla=52.5, gbs=204.8, sms=16, watts=(36.0, 7.1), idle=9.0, budget=75,
                      power=FITTED, launch_us=4.0),
        "MODE_15W": _mode(1, rates=DLASW, gpu=7.0, dla=20.0, gbs=136.5, sms=4, watts=(2.4, 1.76), idle=6.0, budget=16,
                          power=FITTED, launch_us=8.0),
        "MODE_30W": _mode(2, rates=DLASW, gpu=20.5, dla=45.0, gbs=204.8, sms=8, watts=(6.5, 5.2), idle=7.5, budget=32,
                          power=FITTED, launch_us=5.0),
        "MODE_50W": _mode(3, rates=DLASW, gpu=54.5, dla=46.0, gbs=204.8, sms=16, watts=(19.0, 5.8), idle=8.5,
                          budget=53, power=FITTED, launch_us=5.0),
    },
    default_mode="MODE_30W",
    heat_c_per_w=Figure(0.8, ASSUMED), heat_s=Figure(120.0, ASSUMED), throttle_c=Figure(99.0, UNVERIFIED),
    gpu_of_peak=_GPU_OF_PEAK, dla_of_peak=_DLA_OF_PEAK,
)  # fmt: skip

ORIN_NX_16 = Board(
    name="orin-nx-16", model="NVIDIA Jetson Orin NX Engineering Reference Developer Kit", module="p3767-0000",
    soc="tegra234", l4t="36.4.0", tensorrt="10.3.0.30", compute_capability="8.7", memory_mb=15656,
    gpu_rates=_rates(FACTS, **_AMPERE), dla_rates=_DLA_V2, dla_cores=2,
    rails=_NX_RAILS,
    modes={
        "MAXN": _mode(0, rates=NX_DLA, gpu=30.1, gpu_rate=CLOCKS, dla=20.0, gbs=102.4, sms=8, watts=(12.5, 1.9),
                      idle=6.0, budget=30),
        "10W": _mode(1, rates=NX_DLA, gpu=10.0, gpu_rate=CLOCKS, dla=5.0, gbs=68.2, sms=4, watts=(3.2, 0.5),
                     idle=4.0, budget=11, launch_us=8.0),
        "15W": _mode(2, rates=NX_DLA, gpu=20.1, gpu_rate=CLOCKS, dla=20.0, gbs=102.4, sms=8, watts=(6.5, 1.8),
                     idle=4.8, budget=16, launch_us=6.0),
        "25W": _mode(3, rates=NX_DLA, gpu=13.4, gpu_rate=CLOCKS, dla=20.0, gbs=102.4, sms=8, watts=(4.0, 1.8),
                     idle=5.5, budget=27, launch_us=5.0),
    },
    default_mode="15W",
    heat_c_per_w=Figure(1.6, ASSUMED), heat_s=Figure(80.0, ASSUMED), throttle_c=Figure(99.0, UNVERIFIED),
    gpu_of_peak=_GPU_OF_PEAK, dla_of_peak=_DLA_OF_PEAK,
)  # fmt: skip

ORIN_NANO_8 = Board(
    name="orin-nano", model="NVIDIA Jetson Orin Nano Developer Kit Super", module="p3767-0005", soc="tegra234",
    l4t="36.4.4", tensorrt="10.3.0.30", compute_capability="8.7", memory_mb=7620,
    gpu_rates=_rates(FACTS, **_AMPERE), dla_rates={}, dla_cores=0,
    rails=_NX_RAILS,
    modes={
        "15W": _mode(0, rates=CLOCKS, gpu=20.5, gbs=68.0, sms=8, watts=(6.5, 0), idle=4.2, budget=16, launch_us=6.0),
        "25W": _mode(1, rates=CLOCKS, gpu=30.1, gbs=102.0, sms=8, watts=(12.5, 0), idle=5.0, budget=27),
        "MAXN_SUPER": _mode(2, rates=CLOCKS, gpu=33.5, gbs=102.0, sms=8, watts=(15.5, 0), idle=5.5, budget=32),
        "7W": _mode(3, rates=CLOCKS, gpu=6.7, gbs=68.0, sms=4, watts=(1.9, 0), idle=3.4, budget=8, launch_us=10.0),
    },
    default_mode="25W",
    heat_c_per_w=Figure(1.8, ASSUMED), heat_s=Figure(70.0, ASSUMED), throttle_c=Figure(99.0, UNVERIFIED),
    gpu_of_peak=_GPU_OF_PEAK, dla_of_peak=_DLA_OF_PEAK,
)  # fmt: skip

AGX_XAVIER = Board(
    name="agx-xavier", model="NVIDIA Jetson AGX Xavier Developer Kit", module="p2888-0004", soc="tegra194",
    l4t="35.4.1", tensorrt="8.5.2.2", compute_capability="7.2", memory_mb=31010,
    gpu_rates=_rates(FACTS, **_VOLTA), dla_rates=_DLA_V1, dla_cores=2,
    rails=(Rail("GPU", 0.1, ("gpu",)), Rail("CPU", 0.1, ("cpu",)), Rail("SOC", 0.25, ()), Rail("CV", 0.03, ("dla",)),
           Rail("VDDRQ", 0.12, ("memory",)), Rail("SYS5V", 0.4, ())),
    modes={
        "MAXN": _mode(0, rates=FACTS, gpu=22.0, dla=10.0, gbs=136.5, sms=8, watts=(22.0, 4.5), idle=8.0, budget=45),
        "MODE_10W": _mode(1, rates=UNVERIFIED, gpu=4.2, dla=3.9, gbs=68.2, sms=4, watts=(2.8, 1.3), idle=4.5,
                          budget=11, launch_us=10.0),
        "MODE_15W": _mode(2, rates=UNVERIFIED, gpu=10.7, dla=5.4, gbs=85.3, sms=8, watts=(6.8, 1.8), idle=5.0,
                          budget=16, launch_us=8.0),
        "MODE_30W_ALL": _mode(3, rates=UNVERIFIED, gpu=14.4, dla=7.5, gbs=102.4, sms=8, watts=(11.0, 2.8), idle=6.0,
                              budget=32, launch_us=7.0),
    },
    default_mode="MODE_15W",
    heat_c_per_w=Figure(1.1, ASSUMED), heat_s=Figure(120.0, ASSUMED), throttle_c=Figure(95.0, UNVERIFIED),
    gpu_of_peak=_GPU_OF_PEAK_OLD, dla_of_peak=_DLA_OF_PEAK_OLD,
)  # fmt: skip

XAVIER_NX = Board(
    name="xavier-nx", model="NVIDIA Jetson Xavier NX Developer Kit", module="p3668-0000", soc="tegra194",
    l4t="35.4.1", tensorrt="8.5.2.2", compute_capability="7.2", memory_mb=6857,
    gpu_rates=_rates(FACTS, **_VOLTA), dla_rates=_DLA_V1, dla_cores=2,
    rails=_NX_RAILS,
    modes={
        "MODE_15W_6CORE": _mode(2, rates=FACTS, gpu=12.3, dla=9.0, gbs=59.7, sms=6, watts=(8.0, 3.2), idle=4.0,
                                budget=17, launch_us=6.0),
        "MODE_10W_2CORE": _mode(3, rates=UNVERIFIED, gpu=8.9, dla=7.4, gbs=51.2, sms=6, watts=(4.8, 2.3), idle=3.2,
                                budget=11, launch_us=8.0),
        "MODE_20W_6CORE": _mode(8, rates=UNVERIFIED, gpu=12.3, dla=9.0, gbs=59.7, sms=6, watts=(8.0, 3.2), idle=4.5,
                                budget=22, launch_us=6.0),
    },
    default_mode="MODE_15W_6CORE",
    heat_c_per_w=Figure(2.0, ASSUMED), heat_s=Figure(70.0, ASSUMED), throttle_c=Figure(95.0, UNVERIFIED),
    gpu_of_peak=_GPU_OF_PEAK_OLD, dla_of_peak=_DLA_OF_PEAK_OLD,
)  # fmt: skip

NANO = Board(
    name="nano", model="NVIDIA Jetson Nano Developer Kit", module="p3448-0000", soc="tegra210",
    l4t="32.7.6", tensorrt="8.2.1.8", compute_capability="5.3", memory_mb=3955,
    gpu_rates=_rates(FACTS + "; it has no int8", fp16=1.0, fp32=0.5), dla_rates={}, dla_cores=0,
    rails=(Rail("POM_5V_IN", 1.0, ("gpu", "cpu", "memory")), Rail("POM_5V_GPU", 0.05, ("gpu",)),
           Rail("POM_5V_CPU", 0.2, ("cpu",))),
    modes={
        "MAXN": _mode(0, rates=L4T + ": 921.6 MHz, 128 cores", gpu=0.472, gbs=25.6, sms=1, watts=(4.0, 0), idle=1.6,
                      budget=10, launch_us=12.0, memory=L4T + ": 1600 MHz"),
        "5W": _mode(1, rates=L4T + ": 640 MHz, 128 cores", gpu=0.328, gbs=25.6, sms=1, watts=(2.0, 0), idle=1.3,
                    budget=5, launch_us=18.0, memory=L4T + ": 1600 MHz"),
    },
    default_mode="MAXN",
    heat_c_per_w=Figure(4.0, ASSUMED), heat_s=Figure(90.0, ASSUMED), throttle_c=Figure(97.0, UNVERIFIED),
    gpu_of_peak=_GPU_OF_PEAK_OLD, dla_of_peak=_DLA_OF_PEAK_OLD,
)  # fmt: skip

THOR = Board(
    name="thor", model="NVIDIA Jetson AGX Thor Developer Kit", module="p3834-0008", soc="tegra264",
    l4t="38.4.0", tensorrt="10.13.3.9", compute_capability="11.0", memory_mb=125700,
    gpu_rates=_rates(FACTS, fp8=1.0, int8=1.0, fp16=0.5, bf16=0.5, tf32=0.25, fp32=0.0156), dla_rates={}, dla_cores=0,
    rails=(Rail("VDD_GPU", 0.08, ("gpu",)), Rail("VDD_CPU_SOC_MSS", 0.35, ("cpu", "memory")),
           Rail("VIN_SYS_5V0", 0.3, ()), Rail("VIN", 1.0, ("gpu", "cpu", "memory"))),
    modes={
        "MAXN": _mode(0, rates=FACTS, gpu=517.0, gbs=273.0, sms=20, watts=(70.0, 0), idle=25.0, budget=140,
                      launch_us=3.0),
        "120W": _mode(1, rates=ASSUMED, gpu=450.0, gbs=273.0, sms=20, watts=(55.0, 0), idle=24.0, budget=125,
                      launch_us=3.0),
        "90W": _mode(2, rates=ASSUMED, gpu=330.0, gbs=273.0, sms=20, watts=(36.0, 0), idle=22.0, budget=95,
                     launch_us=4.0),
        "70W": _mode(3, rates=ASSUMED, gpu=240.0, gbs=273.0, sms=20, watts=(24.0, 0), idle=20.0, budget=75,
                     launch_us=4.0),
    },
    default_mode="120W",
    heat_c_per_w=Figure(0.45, ASSUMED), heat_s=Figure(150.0, ASSUMED), throttle_c=Figure(99.0, UNVERIFIED),
    gpu_of_peak=_GPU_OF_PEAK, dla_of_peak=_DLA_OF_PEAK,
)  # fmt: skip

BOARDS: dict[str, Board] = {
    board.name: board for board in (NANO, XAVIER_NX, AGX_XAVIER, ORIN_NANO_8, ORIN_NX_16, AGX_ORIN_64, THOR)
}
