"""Results folders with plausible numbers, made through the real store."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from explorer import store
from explorer.result import Evaluation, Metric, Record, StageTime

OBJECTIVES = (
    {"accuracy": "max", "throughput_ips": "max", "energy_mj": "min"},
    {"accuracy": "max", "latency_ms": "min"},
)
SPEED = {"fp32": 1.0, "bf16": 1.3, "int8": 2.4}
LOSS = {"fp32": 0.0, "bf16": 0.001, "int8": 0.012}
AXES = {
    "prune_ratio": (0, 0.2, 0.4, 0.6),
    "precision": ("fp32", "bf16", "int8"),
    "runtime": ("onnxruntime", "openvino"),
    "batch": (1, 4, 8),
    "threads": (1, 2),
}


def record(number: int, metrics: Mapping[str, Metric] | None = None, **changes: Any) -> Record:
    """A complete record; `changes` replace fields of the record or of its evaluation."""
    of_evaluation = (
        "estimated",
        "simulated",
        "flags",
        "scaled",
        "stages",
        "artifacts",
        "raw",
        "score",
        "calibration",
        "verified",
        "units",
        "previewed",
    )
    evaluation = {k: changes.pop(k) for k in of_evaluation if k in changes}
    fields: dict[str, Any] = {
        "state": "complete",
        "params": {"batch": number},
        "device": "local:",
        "started": f"2026-11-21T08:{number % 60:02d}:00+00:00",
        "seconds": 4.2,
    }
    return Record(number=number, evaluation=Evaluation(metrics=metrics or {}, **evaluation), **(fields | changes))


def walk(count: int = 60, seed: int = 3) -> list[Record]:
    """`count` trials over `AXES`, most complete, energy estimated, a few infeasible, one failed, one doubtful."""
    rng = random.Random(seed)
    points = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]
    rng.shuffle(points)
    points.insert(0, {"prune_ratio": 0, "precision": "fp32", "runtime": "onnxruntime", "batch": 1, "threads": 1})
    return [_trial(number, params, rng) for number, params in enumerate(points[:count])]


def _trial(number: int, params: dict[str, Any], rng: random.Random) -> Record:
    if params["precision"] == "bf16" and params["runtime"] == "onnxruntime":
        reason = "onnxruntime has no bf16 on this CPU"
        return record(number, state="infeasible", params=params, reason=reason, constraints={"feasible": 1.0})
    if number == 17:
        return record(number, state="failed", params=params, reason="the build took longer than 60 s")
    return record(
        number,
        _metrics(params, rng),
        params=params,
        estimated=("energy_mj", "power_w"),
        flags=("unstable",) if number == 9 else (),
        stages={"prune": StageTime(1.31, number > 5), "finetune": StageTime(8.4, number > 5)},
        artifacts={"onnx": f"{number:064x}"},
    )


def _metrics(params: dict[str, Any], rng: random.Random) -> dict[str, Metric]:
    prune, precision, batch, threads = (params[name] for name in ("prune_ratio", "precision", "batch", "threads"))
    openvino = params["runtime"] == "openvino"
    accuracy = 0.957 - 0.16 * prune**2.6 - LOSS[precision] * (1 + 2 * prune) + rng.gauss(0, 0.002)
    speed = 210 * SPEED[precision] * (1 + 1.6 * prune) * (1 + 0.35 * math.log2(batch)) * threads**0.8
    speed *= (1.25 if openvino else 1.0) * rng.gauss(1, 0.03)
    power = 6 + 9 * threads * rng.gauss(1, 0.01)
    return {
        "accuracy": Metric(accuracy, accuracy - 0.014, accuracy + 0.012),
        "throughput_ips": _around(speed, 0.015),
        "latency_ms": _around(1000 * batch / speed, 0.012),
        "energy_mj": _around(1000 * power / speed, 0.03),
        "power_w": _around(power, 0.01),
        "model_mb": Metric(2.6 * (1 - prune) / SPEED[precision]),
        "params": Metric(round(648_000 * (1 - prune) ** 1.8)),
    }


def _around(value: float, relative: float) -> Metric:
    return Metric(value, value * (1 - relative), value * (1 + relative))


def over_time(count: int = 40, *, out: Iterable[int] = (20, 21)) -> list[dict[str, Any]]:
    """Lines of ``boards.jsonl``: the reference engine beside each trial, slower beside those that are `out`."""
    rng = random.Random(5)
    values = [12.3 * rng.gauss(1, 0.01) * (1.15 if number in out else 1.0) for number in range(count)]
    return [
        {
            "board": "local:",
            "time": f"2026-11-21T08:{number:02d}:00+00:00",
            "trial": number,
            "power_mode": "",
            "latency_ms": _around(value, 0.01).to_json(),
            "reference": {"latency_ms": _around(value, 0.01).to_json()},
        }
        for number, value in enumerate(values)
    ]


def race(number: int, means: Mapping[int, float], *, metric: str = "latency_ms", sd: float = 0.003) -> dict[str, Any]:
    """A line of ``races.jsonl``: the logarithms of what each trial yielded, up to what all have in common."""
    cov = [[sd**2 if one == other else 0.0 for other in means] for one in means]
    readings = {metric: {"trials": list(means), "mean": list(means.values()), "cov": cov}}
    line = {"race": number, "device": "local:", "trials": list(means), "started": "2026-11-21T09:00:00+00:00"}
    return {**line, "seconds": 2.0, "flags": [], "readings": readings}


def write(
    folder: Path,
    records: Iterable[Record] = (),
    *,
    objectives: Mapping[str, str] = OBJECTIVES[0],
    study: str = "walkers-cpu",
    boards: Iterable[Mapping[str, Any]] = (),
    races: Iterable[Mapping[str, Any]] = (),
    **more: Any,
) -> Path:
    """A results folder holding `records`."""
    content = {
        "study": study,
        "objectives": [{"metric": name, "direction": direction} for name, direction in objectives.items()],
        "experiment": {"fixed": {}, "constraints": ["accuracy >= 0.5"]},
        "explorer": "0.1.0",
        **more,
    }
    with store.open_store(folder, content) as results:
        for item in records:
            results.append(item)
        for line in boards:
            results.append_board(line)
        for line in races:
            results.append_race(line, raw={})
    return folder
