"""From a candidate to what a roofline foretells of it.

prune_ratio, round_to ──► layers ─┐
precision, placement, batch ──────┼──► an engine on each unit ──► streams share them ──► inferences a second
power_mode, threads ──► units ────┘                                                       └──► latency, power, energy
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from explorer.oracle import Graph, Target, channel_multiple, concerns, reach
from explorer.oracle.placement import ON_DLA
from explorer.roofline import units
from explorer.roofline.network import Layer, layers, totals
from explorer.roofline.sheet import Share, Sheet, sheet_of
from explorer.roofline.units import Effort, Engine
from explorer.space import Candidate, Value

LATENCIES = ("latency_ms", "latency_p90_ms", "latency_p95_ms", "latency_p99_ms")
SUBJECTS = "subjects_25ips"
ENERGIES = ("power_w", "energy_mj", "energy_net_mj")
# What is foretold; the names are those of `explorer.config.metrics`.
METRICS = ("throughput_ips", *LATENCIES, *ENERGIES, SUBJECTS, "macs", "params", "model_mb")

# "assumed": what a board draws whatever it does, by the most it is made for and by its mode's watts; and its processor
# while it feeds a unit.
IDLE_OF_MOST, IDLE_OF_MODE, FEEDING = 0.1, 0.1, 0.02
OF_THE_GPU = 0.6  # of the most that a board is made for, while its GPU computes all the time; "assumed"
AWAKE = 0.3  # of what a unit draws that computes all the time, for being awake; "assumed"
BYTE_J = 60e-12  # of LPDDR, with the way there; "assumed"
DLA_PER_WATT = 4.0  # times a GPU's int8 rate a watt: "dlasw" tells of 3 to 5
IDLE_W, CORE_W = 10.0, 8.0  # of a machine that declares none; "assumed"

Multiple = Callable[[Candidate], Value]


@dataclass(frozen=True)
class Load:
    """Engines at work.

    Attributes:
        rate: inferences a second, all together.
        power_w: of the whole board.
        net_w: beyond idling.
    """

    rate: float
    power_w: float
    net_w: float


@dataclass(frozen=True, eq=False)
class Roofline:
    """What is foretold of candidates of one network on one kind of board; a modelled figure, for a search alone.

    Attributes:
        graph: the uncompressed network.
        capabilities: what a board said in its hello.
        round_to: of how many channels a candidate's pruned widths are multiples.
        meter: declared watts of a machine without a meter, ``idle_w`` and ``busy_core_w``.
        rate_hz: of samples that one subject brings.
        deadline_ms: that a batch of them has.
    """

    graph: Graph
    capabilities: Mapping[str, Any]
    round_to: Multiple
    meter: Mapping[str, Any]
    rate_hz: float = 25.0
    deadline_ms: float = 40.0

    def __call__(self, candidate: Candidate) -> dict[str, float]:
        """Metric → value, of `METRICS`, all of them positive."""
        asked = _Asked.of(candidate.all)
        found = layers(self.graph, asked.ratio, int(self.round_to(candidate)))
        load = self._on_jetson(found, asked) if concerns(candidate.deployment) else self._on_processor(found, asked)
        throughput = load.rate * asked.batch
        latency_ms = 1e3 * asked.streams / load.rate  # Little's law
        sums = totals(found)
        return {
            "throughput_ips": throughput,
            **dict.fromkeys(LATENCIES, latency_ms),
            "power_w": load.power_w,
            "energy_mj": 1e3 * load.power_w / throughput,
            "energy_net_mj": 1e3 * load.net_w / throughput,
            # Where the deadline lies is as uncertain as the level of all this: there is no edge.
            SUBJECTS: throughput / self.rate_hz / (1 + latency_ms / self.deadline_ms),
            **sums,
            "model_mb": 1e-6 * sums["params"] * units.BYTES.get(asked.precision, 1),
        }

    @cached_property
    def _target(self) -> Target:
        return Target.of_capabilities(self.capabilities)

    @cached_property
    def _sheet(self) -> Sheet:
        return sheet_of(self._target)

    def _on_processor(self, found: Sequence[Layer], asked: _Asked) -> Load:
        cores = int(self.capabilities.get("cores", 1))
        threads = min(asked.threads or max(1, cores // asked.streams), cores)
        busy = min(threads * asked.streams, cores)
        one = units.engine(found, asked.batch, units.processor(asked.precision, threads))
        rate = min(asked.streams, busy / threads) / one.seconds
        idle_w, net_w = self._declared("idle_w", usual=IDLE_W), busy * self._declared("busy_core_w", usual=CORE_W)
        return Load(rate, idle_w + net_w, net_w)

    def _declared(self, name: str, *, usual: float) -> float:
        told = self.meter.get(name)
        return float(told) if isinstance(told, (int, float)) and told > 0 else usual

    def _on_jetson(self, found: Sequence[Layer], asked: _Asked) -> Load:
        mode = asked.mode or str(self.capabilities.get("power_mode", {}).get("current", ""))
        share = self._sheet.share(mode)
        rates = list(self._rates(found, asked, share))
        moved = sum(rate * one.bytes for one, rate in rates)
        room = min(1.0, self._sheet.bandwidth_gbs * 1e9 * share.rest / moved)  # all units read the same memory
        rates = [(one, rate * room) for one, rate in rates]
        return self._drawing(rates, share)

    def _rates(self, found: Sequence[Layer], asked: _Asked, share: Share) -> Iterator[tuple[Engine, float]]:
        """Each engine with its inferences a second; those on DLAs first, which leave some layers to the GPU."""
        cores = self._target.dla_cores or 0
        on_dla = asked.placement.rstrip("0123456789") in ON_DLA and cores > 0 and self._sheet.dla_tops > 0
        both = asked.placement == "gpu+dla"
        taken, streams = 0.0, asked.streams
        if on_dla:
            engine, used = self._on_dla(found, asked, share), cores if both else 1
            of_dla = max(1, streams * used // (used + 1)) if both else streams
            left = 1.0 / used  # of the GPU, for each
            for _ in range(used):
                rate = engine.rate(max(1, of_dla // used), gpu_left=left)
                taken += rate * engine.gpu.busy_s
                yield engine, rate
            streams -= of_dla
        if both or not on_dla:
            engine = units.engine(found, asked.batch, self._gpu(asked.precision, share))
            yield engine, engine.rate(max(1, streams), gpu_left=max(0.05, 1.0 - taken))

    def _gpu(self, precision: str, share: Share) -> units.Unit:
        align = 1 if precision == "fp32" else channel_multiple(precision, "gpu", self._target).channels
        return units.gpu(self._sheet, share, precision, align)

    def _on_dla(self, found: Sequence[Layer], asked: _Asked, share: Share) -> Engine:
        align = channel_multiple(asked.precision, "dla", self._target).channels
        core = units.dla(self._sheet, share, asked.precision, cores=self._target.dla_cores or 1, align=align)
        limits = reach(self.graph, asked.batch, self._target)
        off_dla = frozenset(name for names in limits.barred.values() for name in names)
        gpu = self._gpu(asked.precision, share)
        return units.engine(found, asked.batch, gpu, dla=core, off_dla=off_dla, cuts=2 * limits.loadables)

    def _drawing(self, rates: Sequence[tuple[Engine, float]], share: Share) -> Load:
        """Units draw while they are awake, and more by the arithmetic they do; memory by what is moved.

        The form is that of Choi, Bedard, Fowler, Vuduc, "A Roofline Model of Energy", IPDPS 2013.
        """
        sheet, cores = self._sheet, max(1, self._target.dla_cores or 0)
        idle_w = IDLE_OF_MOST * sheet.most_w + IDLE_OF_MODE * share.watts
        most_w = OF_THE_GPU * sheet.most_w
        gpu_w = most_w * share.gpu * share.rest  # a clock's share times the square of its voltage's
        dla_w = most_w * sheet.dla_macs("int8") / sheet.gpu_macs("int8") / DLA_PER_WATT * share.dla * share.rest
        on_gpu, on_dlas = ([(getattr(one, unit), rate) for one, rate in rates] for unit in ("gpu", "dla"))
        net_w = gpu_w * _drawn(on_gpu, 1) + dla_w / cores * _drawn(on_dlas, cores)
        net_w += BYTE_J * sum(rate * one.bytes for one, rate in rates) + FEEDING * share.watts
        return Load(sum(rate for _, rate in rates), idle_w + net_w, net_w)


def _drawn(efforts: Sequence[tuple[Effort, float]], many: int) -> float:
    """Of the watts of a unit that computes all the time; of `many` of them together."""
    awake = min(float(many), sum(rate * one.awake_s for one, rate in efforts))
    return AWAKE * awake + (1 - AWAKE) * sum(rate * one.computing_s for one, rate in efforts)


@dataclass(frozen=True)
class _Asked:
    """A candidate's values, with the agent's defaults for what it does not say."""

    ratio: float
    precision: str
    placement: str
    batch: int
    streams: int
    threads: int
    mode: str

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> _Asked:
        return cls(
            ratio=float(values.get("prune_ratio", 0.0)),
            precision=str(values.get("precision", "fp32")),
            placement=str(values.get("placement", "gpu")),
            batch=int(values.get("batch", 1)),
            streams=int(values.get("streams", 1)),
            threads=int(values.get("threads", 0)),
            mode=str(values.get("power_mode", "")),
        )
