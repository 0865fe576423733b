"""What orchestration costs: explorer and Olive on the same 48 ONNX Runtime variants, each against the bare work.

    python benchmarks/overhead.py --rounds 3

Every round runs, each as a process of its own, with nothing cached and then once more with everything cached:

    bare-counted    48 x (quantise, 10 + 20 inferences, size), a plain loop           what Olive does, and no more
    olive           the same by Olive's exhaustive search
    bare-windowed   48 x (quantise, explorer's measuring plan, size), a plain loop    what explorer does, and no more
    explorer        the same by `explorer run`

The overhead is the ratio to the own bare loop of the same round; rounds alternate, so that a drift of the machine meets
all of them. Olive gets an environment of its own below the cache, made on the first run. Its telemetry is off (CI=1):
it would wait ten seconds for a network at the end of each run.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import workload

from explorer.artifacts import cache_root
from tools import set_up

HERE = Path(__file__).parent
OLIVE = ("olive-ai==0.13.0", "requests", "pydantic<2.13")
VARIANTS = 48
ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Cost:
    """One process and all its children, from start to end."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Bench:
    """Where a benchmark's processes find what they need."""

    model: Path
    olive_python: str
    folder: Path

    def bare(self, plan: str) -> Cost:
        out = self.folder / "bare"
        shutil.rmtree(out, ignore_errors=True)
        return timed([sys.executable, str(HERE / "bare.py"), str(self.model), str(out), plan])

    def olive(self, folder: Path) -> Cost:
        cost = timed([self.olive_python, str(HERE / "olive_sweep.py"), str(self.model), str(folder)], CI="1")
        footprint = json.loads((folder / "output" / "footprint.json").read_text())
        assert len(footprint) == VARIANTS + 1, f"Olive evaluated {len(footprint) - 1} variants"
        return cost

    def explorer(self, folder: Path) -> Cost:
        command = [sys.executable, "-m", "explorer", "run", "--space", str(self.model.with_name("overhead.yaml"))]
        cost = timed([*command, "--results", str(folder / "results")], EXPLORER_CACHE=str(folder / "cache"))
        lines = (folder / "results" / "overhead" / "trials.jsonl").read_text().splitlines()
        states = [json.loads(line)["state"] for line in lines]
        assert states == ["complete"] * VARIANTS, f"explorer: {len(states)} records, {set(states)}"
        return cost


def timed(command: Sequence[str], **environment: str) -> Cost:
    """Run to the end; a failure shows what was printed."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD, **environment}, capture_output=True, text=True)
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nexit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def olive_python() -> str:
    """Python of the environment that holds Olive, with the ONNX Runtime this environment has."""
    folder = cache_root() / "benchmarks" / OLIVE[0]
    done = folder / "done"
    same = [f"{name}=={importlib.metadata.version(name)}" for name in ("onnxruntime", "onnx", "numpy")]
    if not done.exists() or done.read_text() != " ".join(same):
        python = set_up.make_venv(str(folder))
        if not set_up.has_torch(python):
            set_up.install_torch(python, "cpu")
        set_up.pip(python, "install", "--quiet", *OLIVE, *same)
        done.write_text(" ".join(same))
    return str(folder / "bin" / "python")


def one_round(bench: Bench) -> dict[str, Cost]:
    with tempfile.TemporaryDirectory(dir=bench.folder) as scratch:
        olive, explorer = Path(scratch, "olive"), Path(scratch, "explorer")
        return {
            "bare-counted": bench.bare("counted"),
            "olive": bench.olive(olive),
            "bare-windowed": bench.bare("windowed"),
            "explorer": bench.explorer(explorer),
            "olive, cached": bench.olive(olive),
            "explorer, cached": bench.explorer(explorer),
        }


def ratios(costs: Mapping[str, Cost]) -> dict[str, float]:
    """The figures of one round that mean anything on another machine."""
    wall = {name: cost.wall_s for name, cost in costs.items()}
    cpu = {name: cost.cpu_s for name, cost in costs.items()}
    return {
        "olive / bare-counted, wall": wall["olive"] / wall["bare-counted"],
        "olive / bare-counted, CPU": cpu["olive"] / cpu["bare-counted"],
        "explorer / bare-windowed, wall": wall["explorer"] / wall["bare-windowed"],
        "explorer / bare-windowed, CPU": cpu["explorer"] / cpu["bare-windowed"],
        "olive cached / explorer cached, wall": wall["olive, cached"] / wall["explorer, cached"],
        "olive cached / explorer cached, CPU": cpu["olive, cached"] / cpu["explorer, cached"],
    }


def show(rounds: Sequence[Mapping[str, Cost]]) -> None:
    print(f"\n{'seconds, median of ' + str(len(rounds)):<38} {'wall':>8} {'CPU':>8}")
    for name in rounds[0]:
        wall, cpu = (statistics.median(getattr(r[name], what) for r in rounds) for what in ("wall_s", "cpu_s"))
        print(f"{name:<38} {wall:8.2f} {cpu:8.2f}")
    print(f"\n{'ratio':<38} {'median':>8}  {'of each round'}")
    for name in ratios(rounds[0]):
        each = [ratios(r)[name] for r in rounds]
        print(f"{name:<38} {statistics.median(each):8.2f}  {' '.join(f'{ratio:.2f}' for ratio in each)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What orchestration costs, against Olive.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "cnn.onnx")
        workload.write_cnn(model)
        shutil.copy(HERE / "overhead.yaml", folder)
        bench = Bench(model, olive_python(), Path(folder))
        rounds = []
        for number in range(asked.rounds):
            rounds.append(one_round(bench))
            print(
                f"round {number + 1}: " + ", ".join(f"{k} {v.wall_s:.1f} s" for k, v in rounds[-1].items()), flush=True
            )
    show(rounds)
    if asked.json:
        asked.json.write_text(json.dumps([{k: asdict(v) for k, v in r.items()} for r in rounds], indent=2) + "\n")


if __name__ == "__main__":
    main()
