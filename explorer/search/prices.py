"""What trying a candidate is expected to cost: the seconds of those of its stages that nobody has run yet.

| stages | are shared by candidates that are alike in |
|---|---|
| train, prune, finetune | what changes weights |
| export, quantise, ranges, cast, preview | and how the network is written down |
| build | and what an engine is built for |
| all others | nothing: each candidate has its own |

A stage's price is the median of what it took so far; what was never timed costs nothing, as all are alike in it.

A candidate that needs a stage does not bear its whole price, for others will use what it yields: whoever let the first
pay for all would stay with the networks there are while anything is left to be tried of them. A search that has gone on
for so long is expected to go on for as long again (Gott, Nature 363, 1993), so by its end one run of a stage will have
served twice as many candidates as one has served by now.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from explorer.result import Record
from explorer.space import ENGINE_AXES, NETWORK_AXES, TRAINING_AXES, Candidate

SHARED = (
    (TRAINING_AXES, ("train", "prune", "finetune")),
    (NETWORK_AXES, ("export", "quantise", "ranges", "cast", "preview")),
    (ENGINE_AXES, ("build",)),
)
AS_LONG_AGAIN = 2.0
EVERY_S = 1.0  # of what is a candidate's own, where nothing was timed


class Prices:
    """Of the candidates of a space, as they were numbered."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._row = {candidate.key: row for row, candidate in enumerate(candidates)}
        self._pieces = [_pieces(candidates, axes) for axes, _ in SHARED]
        self._done = [np.zeros(pieces.max(initial=0) + 1, dtype=np.bool_) for pieces in self._pieces]
        self._took: dict[str, list[float]] = {}
        self._begun = 0

    def begin(self, candidate: Candidate) -> None:
        """Take the stages of a candidate for done: they are, or are being run."""
        row = self._row.get(candidate.key)
        if row is not None:
            self._begun += 1
            for pieces, done in zip(self._pieces, self._done, strict=True):
                done[pieces[row]] = True

    def learn(self, record: Record) -> None:
        """Take in how long its stages took."""
        for stage, time in record.evaluation.stages.items():
            self._took.setdefault(stage, []).append(time.seconds)

    def expected_s(self) -> NDArray[np.float64]:
        """Seconds ``[candidates]``."""
        medians = {stage: statistics.median(seconds) for stage, seconds in self._took.items()}
        shared = [_sum(medians, stages) for _, stages in SHARED]
        own = sum(medians.values()) - sum(shared)
        found = np.full(len(self._row), own if own > 0 else EVERY_S)
        for price, pieces, done in zip(shared, self._pieces, self._done, strict=True):
            found += price / self._serves(done) * ~done[pieces]
        return found

    def _serves(self, done: NDArray[np.bool_]) -> float:
        """How many candidates one run of a stage is expected to serve."""
        return AS_LONG_AGAIN * self._begun / max(1, int(done.sum())) if self._begun else 1.0


def _pieces(candidates: Sequence[Candidate], axes: Sequence[str]) -> NDArray[np.intp]:
    """Which piece of work each candidate needs: the same number for the same effect of these axes."""
    keys = [tuple(pair for pair in candidate.effect if pair[0] in axes) for candidate in candidates]
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys], dtype=np.intp)


def _sum(medians: Mapping[str, float], stages: Sequence[str]) -> float:
    return sum(medians.get(stage, 0.0) for stage in stages)
