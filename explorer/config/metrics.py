"""The metrics the program itself yields, by the names that objectives and constraints call them by.

A dataset's ``score`` may return more of them: those named ``accuracy_…`` are taken as they are, any other has to be
listed under ``dataset: {metrics: […]}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from explorer.result import Direction


@dataclass(frozen=True)
class MetricSpec:
    """One metric: what it is, which way is better, and what an experiment must have to yield it."""

    summary: str
    better: Direction
    needs: Literal["", "dataset", "no dataset", "module"] = ""
    share: bool = False  # a fraction between 0 and 1
    positive: bool = True  # more than 0


@dataclass(frozen=True)
class Yields:
    """What decides which metrics an experiment can yield.

    Attributes:
        dataset: there is one to score outputs by.
        bare: the network is an ONNX file.
        extra: further metrics of the dataset, as the file lists them.
        columns: of a recorded table, which yields those and no others; None where something is measured.
    """

    dataset: bool
    bare: bool = False
    extra: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None

    @property
    def names(self) -> list[str]:
        """The known metrics that can be had."""
        if self.columns is not None:
            return list(self.columns)
        possible = {"": True, "dataset": self.dataset, "no dataset": not self.dataset, "module": not self.bare}
        return [*(name for name, spec in METRICS.items() if possible[spec.needs]), *self.extra]


METRICS: Mapping[str, MetricSpec] = {
    "accuracy": MetricSpec(
        "share of right answers by the dataset's protocol, 0 to 1", "max", "dataset", share=True, positive=False
    ),
    "output_error": MetricSpec(
        "relative RMS error of the outputs against fp32, for a network without data",
        "min",
        "no dataset",
        positive=False,
    ),
    "throughput_ips": MetricSpec("samples per second", "max"),
    "latency_ms": MetricSpec("median time of one batch, ms", "min"),
    "latency_p90_ms": MetricSpec("time that 90 % of the batches keep, ms; only where enough were timed", "min"),
    "latency_p95_ms": MetricSpec("time that 95 % of the batches keep, ms; only where enough were timed", "min"),
    "latency_p99_ms": MetricSpec("time that 99 % of the batches keep, ms; only where enough were timed", "min"),
    "energy_mj": MetricSpec("energy per sample, gross, mJ", "min"),
    "energy_net_mj": MetricSpec("energy per sample above the idle machine's, mJ", "min", positive=False),
    "power_w": MetricSpec("mean power while running, W", "min"),
    "subjects_25ips": MetricSpec(
        "people recognised at once, 25 samples a second each, none of them late", "max", positive=False
    ),
    "model_mb": MetricSpec("size of the engine on the device, MB", "min"),
    "params": MetricSpec("parameters of the network", "min", "module"),
    "macs": MetricSpec("multiply-accumulates per sample", "min", "module"),
}
