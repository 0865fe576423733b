"""Does a short fine-tuning foretell what a full one comes to? A cheaper rung for a search, if so.

    network ─prune at a ratio─► ─fine-tune, `--short` iterations─► rank-1 ┐ correlated, over ratios and seeds;
                             └──fine-tune, `--full` iterations──► rank-1 ─┴ and over seeds alone: the lottery

    python benchmarks/early.py [--seeds 4] [--ratios 0.15 0.3 0.4 0.5 0.6 0.7] [--short 0 20] [--full 100]

The network is the quickstart's, the walkers are a crowd that it has never met, rank-1 is between different views. Of
each pruned network the fine-tuning differs by its seed alone, so what differs at one ratio is luck. Printed are rank
correlations (Spearman) with the full fine-tuning: over everything, and of what is left when each ratio's mean is taken
away; and the time a short one takes as a share of a full one's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from explorer.datasets.walkers import Walkers
from explorer.models import weights_path
from explorer.passes import PASSES
from explorer.passes.fidelity import exact

NETWORK = "gaitset_tiny"
CROWD: dict[str, Any] = {
    "seed": 1,
    "views": [54, 90, 126],
    "frames": 6,
    "subjects_train": 60,
    "sequences_train": 2,
    "frames_train": 8,
}
RATE = 0.005
BATCH = 30


@dataclass
class Workbench:
    """Where networks are cut, trained and scored; it counts the seconds of training."""

    folder: Path
    subjects: int
    seconds: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._options = {**CROWD, "subjects_test": self.subjects}
        self._walkers = Walkers(**self._options)
        self._inputs = self._walkers.evaluation()
        self._shape = {"sample_shape": list(self._walkers.sample_shape)}

    def pruned(self, ratio: float) -> Path:
        out = self.folder / f"pruned-{ratio}.pt"
        if not out.exists():
            params = {"prune_ratio": ratio, "round_to": 1, **self._shape}
            PASSES.load("prune").run({"checkpoint": weights_path(NETWORK)}, params, out)
        return out

    def accuracy(self, ratio: float, seed: int, iterations: int) -> float:
        """Rank-1 after so many iterations."""
        checkpoint = self.folder / "tuned.pt"
        dataset = {"name": "walkers", "options": self._options}
        params = {"dataset": dataset, "iterations": iterations, "seed": seed, "recipe": {"lr": RATE}}
        began = time.perf_counter()
        PASSES.load("finetune").run({"checkpoint": self.pruned(ratio)}, params, checkpoint)
        self.seconds[iterations] = self.seconds.get(iterations, 0.0) + time.perf_counter() - began
        onnx = self.folder / "tuned.onnx"
        PASSES.load("export").run({"checkpoint": checkpoint}, self._shape, onnx)
        return self._rank1(onnx)

    def _rank1(self, onnx: Path) -> float:
        session = exact(onnx)
        into = session.get_inputs()[0].name
        parts = np.array_split(self._inputs, -(-len(self._inputs) // BATCH))
        outputs = np.concatenate([session.run(None, {into: part})[0] for part in parts])
        return self._walkers.score(outputs)["accuracy"].value


def main() -> None:
    given = arguments()
    lengths = [*given.short, given.full]
    with tempfile.TemporaryDirectory() as folder:
        bench = Workbench(Path(folder), given.subjects)
        found = np.zeros((len(lengths), len(given.ratios), given.seeds))
        for i, ratio in enumerate(given.ratios):
            for seed in range(given.seeds):
                found[:, i, seed] = [bench.accuracy(ratio, seed, length) for length in lengths]
            words = "; ".join(
                f"{n} its {' '.join(f'{100 * a:.1f}' for a in found[k, i])}" for k, n in enumerate(lengths)
            )
            print(f"cut by {ratio}: {words}", flush=True)
    full = found[-1]
    for k, length in enumerate(given.short):
        luck = spearmanr(_luck(found[k]), _luck(full)).statistic if length else float("nan")
        share = bench.seconds[length] / bench.seconds[given.full]
        everything = spearmanr(found[k].ravel(), full.ravel()).statistic
        foretold = f"correlation {everything:.2f}, of luck alone {luck:.2f}"
        print(f"{length} of {given.full} iterations: {foretold}, time {share:.2f}")
    print(f"luck: standard deviation {100 * _luck(full).std(ddof=len(given.ratios)):.2f} points of rank-1")


def _luck(found: np.ndarray) -> np.ndarray:
    """``[ratios · seeds]``, what is left when each ratio's mean is taken away."""
    return np.asarray((found - found.mean(axis=1, keepdims=True)).ravel())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How well a short fine-tuning foretells a full one.")
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.15, 0.3, 0.4, 0.5, 0.6, 0.7])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--short", nargs="+", type=int, default=[0, 20], help="iterations of the short ones")
    parser.add_argument("--full", type=int, default=100, help="iterations")
    parser.add_argument("--subjects", type=int, default=60, help="people it is tested on")
    return parser.parse_args()


if __name__ == "__main__":
    main()
