"""What can be foretold of a table's candidate from all the others? What no search can beat by learning more.

    table ──► scales from 128 candidates ──► each one's belief from the other 767 ──► greedy search by these alone

    python benchmarks/left_out.py

Printed are the error of what is foretold of time and power, as a share of their spread, and how many evaluations a
search takes to 99 % of the hypervolume that always takes the largest expected improvement by these beliefs. They hold
what the surrogate can learn of a table, so what is left is each candidate's own luck. Leaving one out costs an
inverse (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 5.4.2).
"""

from __future__ import annotations

import math

import numpy as np
from families.problem import Problem
from families.recorded import recorded
from numpy.typing import NDArray
from search import TX2

from explorer.replay.course import UNTIL, Progress
from explorer.search.improvement import expected_improvement, undominated
from explorer.search.kernel import Axis, Kernel, Shape
from explorer.search.posterior import JITTER
from explorer.search.surrogate import Results, Surrogate

Floats = NDArray[np.float64]


def left_out(shape: Shape, values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each value ``[n]`` by all the others, its noise included."""
    rows = np.arange(len(values))
    shuffled = np.random.default_rng(0).permutation(rows)  # scales are learned from some that are spread over these
    scales = Surrogate(shape).learn(Results.alike(shuffled, values[shuffled])).best
    gram = Kernel(shape).between(scales[:-1], rows, rows) + (math.exp(scales[-1]) + JITTER) * np.eye(len(rows))
    inverse = np.linalg.inv(gram)
    alone = 1 / np.diag(inverse)
    spread = values.std()
    return values - inverse @ (values - values.mean()) * alone, spread * np.sqrt(alone)


def greedy(problem: Problem, mean: Floats, sd: Floats) -> int:
    """Evaluations to 99 % for whoever believes so and learns nothing more."""
    progress, tried = Progress(problem), np.zeros(len(mean), np.bool_)
    while progress.share < UNTIL:
        expected = expected_improvement(mean, sd, undominated(problem.gains[tried], problem.reference))
        row = int(np.argmax(np.where(tried, -1.0, expected)))
        tried[row] = True
        progress.add(row)
    return int(tried.sum())


def main() -> None:
    for name in TX2:
        problem = recorded(name)
        axes = problem.space.axes
        levels = [
            [axis.values.index(candidate.params[axis.name]) for axis in axes] for candidate in problem.space.candidates
        ]
        shape = Shape([Axis(len(axis.values), ordinal=True) for axis in axes], np.array(levels))
        mean, sd = (
            np.stack(part, axis=1) for part in zip(*(left_out(shape, gains) for gains in problem.gains.T), strict=True)
        )
        errors = (problem.gains - mean).std(axis=0) / problem.gains.std(axis=0)
        said = ", ".join(f"{error:.3f}" for error in errors)
        print(f"{name}: errors {said} of the spread; {greedy(problem, mean, sd)} evaluations to {UNTIL:.0%}")


if __name__ == "__main__":
    main()
