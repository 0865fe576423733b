"""What int8 for TensorRT costs in accuracy, and with how few calibration samples it costs too much.

    network ─export─► fp32 ───────────────────────────────────────► rank-1 of 3 conditions ┐
               └─quantise (recipe tensorrt, n samples, draw k)─► Q/DQ ─► rank-1 of the same ┴─► points lost

    python benchmarks/calibration.py [--draws 3] [--subjects 50] [--samples 1 8 32 128 256 512] [--method percentile]
                                     [--networks gaitset_tiny gait2d_cnn_tiny gait3d_cnn_tiny]

The networks are those of the zoo that have shipped weights; the data are the procedural walkers, a crowd that none
has met. Calibration inputs come from its training split: other people than those who are tested on. They are drawn at
random as often as --draws says, because a few samples may be lucky. ONNX Runtime computes the Q/DQ files to the letter:
rounded as written, no fusion, the same on every CPU. Rank-1 is between different views, in points of a hundred. Exits 1
when the middle one of the draws of 256 samples or more loses more than a point in the mean over the conditions.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer.datasets.walkers import Walkers
from explorer.models import weights_path
from explorer.passes import PASSES
from explorer.passes.fidelity import exact
from explorer.report.calibration import ENOUGH

MOST_POINTS = 1.0  # of rank-1 lost, from ENOUGH samples on
CONDITIONS = ("accuracy", "accuracy_bg", "accuracy_cl")
BATCH = 30
CROWD: Mapping[str, Any] = {"seed": 1, "views": [54, 90, 126], "subjects_train": 60, "sequences_train": 2}
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "gaitset_tiny": {"frames": 6},
    "gait2d_cnn_tiny": {"modality": "stacked_flow"},
    "gait3d_cnn_tiny": {"modality": "flow"},
}


class Drawn(Walkers):
    """The walkers, their calibration inputs drawn at random: another `draw`, other inputs."""

    def __init__(self, *, draw: int, **options: Any) -> None:
        super().__init__(**options)
        self._draw = draw

    def calibration(self, count: int) -> NDArray[np.float32]:
        crowd, rng = self.training(), np.random.default_rng(self._draw)
        return crowd.draw(rng.choice(len(crowd.labels), count, replace=False), rng)


def main() -> int:
    given = arguments()
    passed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.networks:
            network = Network(name, {**CROWD, **NETWORKS[name], "subjects_test": given.subjects}, Path(folder))
            passed.append(table(network, given.samples, given.draws, given.method))
    return 0 if all(passed) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--subjects", type=int, default=50)
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 8, 32, 128, 256, 512])
    parser.add_argument("--method", default="percentile", choices=["minmax", "entropy", "percentile"])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    return parser.parse_args()


class Network:
    """A network of the zoo, exported, and its test data."""

    def __init__(self, name: str, options: Mapping[str, Any], folder: Path) -> None:
        self.name, self._options, self._folder = name, options, folder
        self._dataset = Walkers(**options)
        self._inputs = self._dataset.evaluation()
        self._onnx = folder / f"{name}.onnx"
        shape = {"sample_shape": list(self._dataset.sample_shape)}
        PASSES.load("export").run({"checkpoint": weights_path(name)}, shape, self._onnx)
        self.reference = self._rank1(self._onnx)

    def lost(self, samples: int, draw: int, method: str) -> tuple[list[float], float]:
        """Points of rank-1 lost in each condition, and the signal to noise of the embedding in dB."""
        out = self._folder / "int8.onnx"
        dataset = {"name": "calibration:Drawn", "options": {**self._options, "draw": draw}}
        params = {"recipe": "tensorrt", "calibration": samples, "dataset": dataset, "calibration_method": method}
        params["search"] = str(Path(__file__).parent)
        info = PASSES.load("quantise").run({"onnx": self._onnx}, params, out)
        return [100 * (a - b) for a, b in zip(self.reference, self._rank1(out), strict=True)], info["sqnr_db"]

    def _rank1(self, onnx: Path) -> list[float]:
        session = exact(onnx)
        into = session.get_inputs()[0].name
        parts = np.array_split(self._inputs, -(-len(self._inputs) // BATCH))
        outputs = np.concatenate([session.run(None, {into: part})[0] for part in parts])
        score = self._dataset.score(outputs)
        return [score[condition].value for condition in CONDITIONS]


def table(network: Network, samples: Sequence[int], draws: int, method: str) -> bool:
    """Print a network's figures; whether it keeps to the bar."""
    print(f"\n{network.name}: fp32 {' '.join(f'{100 * one:.1f}' for one in network.reference)} (normal, bag, coat)")
    print(f"{method}, {draws} draws     points lost, mean of the three          normal     bag    coat")
    print("samples    dB: worst  median     median    worst     best            medians")
    kept = True
    for count in samples:
        found = [network.lost(count, draw, method) for draw in range(draws)]
        means = [statistics.mean(lost) for lost, _ in found]
        ratios = [ratio for _, ratio in found]
        each = [statistics.median(lost[i] for lost, _ in found) for i in range(len(CONDITIONS))]
        fine = count < ENOUGH or statistics.median(means) <= MOST_POINTS
        kept = kept and fine
        print(
            f"{count:7}  {min(ratios):11.1f} {statistics.median(ratios):7.1f}"
            f"  {statistics.median(means):9.2f} {max(means):8.2f} {min(means):8.2f}"
            f"     {each[0]:10.2f} {each[1]:7.2f} {each[2]:7.2f}{'' if fine else '   MISS'}",
            flush=True,
        )
    return kept


if __name__ == "__main__":
    sys.exit(main())
