"""The control chart of a study: the reference engine whenever it was measured, and when it left its limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from explorer.report import wording
from explorer.report.view import View
from explorer.result import Metric
from explorer.scale import limits


@dataclass(frozen=True)
class Point:
    """One reading of the reference engine."""

    time: str
    trial: int | None
    board: str
    metric: str
    value: float
    out: bool


@dataclass(frozen=True)
class Chart:
    """The readings of one board, in the order of time, with their centre and limits."""

    centre: float
    low: float
    high: float
    points: tuple[Point, ...]


def charts(view: View) -> tuple[Chart, ...]:
    """A chart a board and power mode; none where the reference engine was never measured beside a trial."""
    boards: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in view.data.boards:
        if "latency_ms" in line:
            boards.setdefault((str(line["board"]), str(line.get("power_mode", ""))), []).append(line)
    return tuple(_chart(" ".join(filter(None, key)), lines) for key, lines in boards.items())


def _chart(board: str, lines: Sequence[Mapping[str, Any]]) -> Chart:
    readings = [Metric.from_json(line["latency_ms"]) for line in lines]
    within = limits(readings)
    points = [
        Point(str(line["time"]), line.get("trial"), board, "latency_ms", reading.value, within.leaves_out(reading))
        for line, reading in zip(lines, readings, strict=True)
    ]
    return Chart(within.centre, within.low, within.high, tuple(points))


def about_the_reference(view: View) -> Iterator[str]:
    """``reference: 56 readings, centre 12.3 ms, 2 out of control (trials 14, 15)``, a line a chart."""
    found = charts(view)
    for one in found:
        board, metric = one.points[0].board, one.points[0].metric
        unit = wording.title(metric)[1]
        where = f" on {board}" if len({other.points[0].board for other in found}) > 1 else ""
        readings = f"{len(one.points)} reading{'s' * (len(one.points) > 1)}"
        limits = f"limits {wording.number(one.low)} to {wording.number(one.high)}"
        yield f"reference{where}: {readings}, centre {wording.number(one.centre)} {unit}, {limits}, {_out(one)}"


def _out(one: Chart) -> str:
    """How many readings left the limits, and beside which trials."""
    out = [point for point in one.points if point.out]
    trials = [point.trial for point in out if point.trial is not None]
    return f"{len(out)} out of control{f' ({wording.trials(trials)})' if trials else ''}" if out else "in control"


def to_json(one: Chart) -> dict[str, Any]:
    """A chart for scripts and for the page."""
    board, metric = one.points[0].board, one.points[0].metric
    points = [{"time": p.time, "trial": p.trial, "value": p.value, "out": p.out} for p in one.points]
    limits = {"centre": one.centre, "low": one.low, "high": one.high}
    return {"board": board, "metric": metric, **limits, "points": points}
