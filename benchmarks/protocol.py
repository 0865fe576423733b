"""How far off is a latency ratio? Ours against trtexec's and Olive's protocol, in turn, in one run, on real engines.

    truth   ▪▪   ▪▪   ▪▪   ▪▪   ▪▪   …           two engines of ONNX Runtime in turns, thousands of them, all along
    ours      ▬    ▬    ▬    ▬    …              rounds of `explorer_agent.measuring`, the middle of their ratios
    olive      ▬    ▬    ▬    …                  10 to warm up, the mean of 20, one engine after the other
    trtexec         ▬▬▬▬▬▬    ▬▬▬▬▬▬   …         200 ms to warm up, 3 s, the median, one engine after the other

The truth is spread over the whole run, so that a machine that drifts is fair to all. Printed for a machine left alone,
and with a neighbour on the other core that comes and goes: median and 90th percentile of the error, the time taken, and
how often our nominal 95 % interval held the truth.

    python benchmarks/protocol.py [--repeats 240] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from explorer.statistics import Measurement, blocks
from explorer_agent.measuring.measure import Entrant, measure
from explorer_agent.messages import Plan

# 96 and 80 MiB of weights, all read for each inference: what memory can deliver decides, as on a board where CPU, GPU
# and everybody else share it.
LAYERS, WIDTH = (24, 20), 1024
TRUTH_ROUNDS, TRUTH_INFERENCES = 10, 1  # turns of both engines each time, and inferences a turn
TRTEXEC_WARMUP_S, TRTEXEC_S = 0.2, 3.0
OLIVE_WARMUP, OLIVE_TIMED = 10, 20
EVERY = 6  # repeats of ours and Olive's for one of trtexec's
PLAN = Plan(warmup_s=0.01, budget_s=0.0, rounds=17, block_s=0.004, cooldown_s=0.0, idle_s=0.0)
NAMES = ("ours", "trtexec", "olive")

Step = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=240, help="of ours and of Olive's, in each condition")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    asked = parser.parse_args()
    first, *_, other = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first})
    with tempfile.TemporaryDirectory() as folder:
        engines = _engines(Path(folder))
        found = {"alone": _condition("left alone", engines, asked.repeats)}
        with _busy(other):
            found["busy"] = _condition("a neighbour that comes and goes on the other core", engines, asked.repeats)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


def _engines(folder: Path) -> list[Step]:
    """Two stacks of dense layers that differ in depth alone, each ready to run once."""
    return [_engine(folder / f"{layers}.onnx", layers) for layers in LAYERS]


def _engine(path: Path, layers: int) -> Step:
    _write_mlp(path, layers)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {"x0": np.random.default_rng(1).standard_normal((1, WIDTH), dtype=np.float32)}
    return lambda: session.run(None, feed)


def _write_mlp(path: Path, layers: int) -> None:
    rng = np.random.default_rng(7)
    scale = (2 / WIDTH) ** 0.5
    weights = [rng.standard_normal((WIDTH, WIDTH), dtype=np.float32) * np.float32(scale) for _ in range(layers)]
    nodes = []
    for i in range(layers):
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"y{i}"]))
        nodes.append(helper.make_node("Relu", [f"y{i}"], [f"x{i + 1}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, WIDTH]) for name in ("x0", f"x{layers}")]
    held = [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def _condition(name: str, engines: list[Step], repeats: int) -> dict[str, Any]:
    """All protocols in turn, and the truth between them."""
    truth, told, seconds = [], {n: [] for n in NAMES}, {n: [] for n in NAMES}
    intervals: list[tuple[float, float]] = []
    for repeat in range(repeats):
        truth += _in_turns(engines)
        value, low, high = _timed(seconds["ours"], lambda: _ours(engines))
        told["ours"].append(value)
        intervals.append((low, high))
        told["olive"].append(_timed(seconds["olive"], lambda: _one_by_one(engines, _olive)))
        if repeat % EVERY == 0:
            told["trtexec"].append(_timed(seconds["trtexec"], lambda: _one_by_one(engines, _trtexec)))
        truth += _in_turns(engines)
    true = statistics.median(truth)
    errors = {n: np.abs(np.array(values) / true - 1) for n, values in told.items()}
    covered = float(np.mean([low <= true <= high for low, high in intervals]))
    figures = {n: _figures(errors[n], seconds[n]) for n in NAMES}
    widths = statistics.median(high / low - 1 for low, high in intervals) / 2
    found = {"truth": true, "turns": len(truth), "covered": covered, "half_width": widths, **figures}
    _show(name, found)
    return found


def _in_turns(engines: list[Step]) -> list[float]:
    """Ratios of neighbouring turns, the order changing each time."""
    ratios = []
    for number in range(TRUTH_ROUNDS):
        order = (0, 1) if number % 2 else (1, 0)
        took = {which: _spent(engines[which]) for which in order}
        ratios.append(took[0] / took[1])
    return ratios


def _spent(step: Step) -> float:
    step()  # the caches are the other's until then
    started = time.perf_counter()
    for _ in range(TRUTH_INFERENCES):
        step()
    return time.perf_counter() - started


def _ours(engines: list[Step]) -> tuple[float, float, float]:
    """The agent's own rounds and the host's own statistics."""
    entrants = [Entrant(lambda step=step: [step], engine=f"{i}") for i, step in enumerate(engines)]
    header, series = measure(entrants, PLAN, None, tell=lambda _: None)
    taken = Measurement(header, {name: np.array(data) for name, data in series.items()})
    found = blocks.ratio(blocks.Rounds.of(taken), 0, 1)
    assert found.low is not None
    assert found.high is not None
    return found.value, found.low, found.high


def _one_by_one(engines: list[Step], latency: Callable[[Step], float]) -> float:
    return latency(engines[0]) / latency(engines[1])


def _trtexec(step: Step) -> float:
    _back_to_back(step, TRTEXEC_WARMUP_S)
    return statistics.median(_back_to_back(step, TRTEXEC_S))


def _olive(step: Step) -> float:
    for _ in range(OLIVE_WARMUP):
        step()
    started = time.perf_counter()
    for _ in range(OLIVE_TIMED):
        step()
    return (time.perf_counter() - started) / OLIVE_TIMED


def _back_to_back(step: Step, seconds: float) -> array[float]:
    latencies, before = array("d"), time.perf_counter()
    end = before + seconds
    while before < end:
        step()
        now = time.perf_counter()
        latencies.append(now - before)
        before = now
    return latencies


def _timed(spent: list[float], what: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    found = what()
    spent.append(time.perf_counter() - started)
    return found


def _figures(errors: Any, seconds: list[float]) -> dict[str, float]:
    return {
        "error_median": float(np.median(errors)),
        "error_p90": float(np.quantile(errors, 0.9)),
        "seconds": statistics.median(seconds),
        "repeats": len(seconds),
    }


@contextmanager
def _busy(core: int) -> Iterator[None]:
    """A neighbour on `core` that walks through memory, for a while, and then pauses for a while.

    How long: 0.1 to 1 s, mostly short: a Pareto distribution of exponent 1, as lifetimes of processes have (Harchol-
    Balter and Downey, ACM TOCS 15(3), 1997, section 3).
    """
    words = """
import random, time, numpy
parts, chance = numpy.array_split(numpy.ones(1 << 24), 64), random.Random(5)
span = lambda: min(0.1 / (1 - chance.random()), 1.0)
while True:
    until = time.monotonic() + span()
    while time.monotonic() < until:
        for part in parts:
            part *= 1.0
            if time.monotonic() >= until:
                break
    time.sleep(span())
"""
    command = ["taskset", "-c", str(core), sys.executable, "-c", words]
    with subprocess.Popen(command) as process:
        time.sleep(1)
        try:
            yield
        finally:
            process.kill()


def _show(name: str, found: dict[str, Any]) -> None:
    print(f"\n{name}: ratio {found['truth']:.4f} by {found['turns']} turns")
    print(
        f"{'protocol':<10}{'median error':>14}{'p90':>9}{'time':>9}{'repeats':>9}{'error, ours / its':>20}{'time':>9}"
    )
    ours = found["ours"]
    for protocol in NAMES:
        its = found[protocol]
        ratios = [ours[key] / its[key] for key in ("error_median", "seconds")]
        print(
            f"{protocol:<10}{its['error_median']:>13.2%} {its['error_p90']:>8.2%}{its['seconds']:>8.2f}s"
            f"{its['repeats']:>9}{ratios[0]:>20.2f}{ratios[1]:>9.2f}"
        )
    print(f"our 95 % interval held the truth in {found['covered']:.1%}; half-width {found['half_width']:.2%} (median)")


if __name__ == "__main__":
    main()
