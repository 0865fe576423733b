"""Joint draws of what the objectives may truly be, trial by trial: ``[draw, trial]`` gains, larger is better.

latency, energy …   normal in the logarithm, with the covariance of all readings (`estimate`)
accuracy …          the test's subjects drawn anew, the same for all trials, so that what is equal stays equal
with an interval    normal, each trial for itself: nothing is known of how they hang together
exact               as it is
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from explorer.result import Metric, Record
from explorer.tally import Z_95, Tally

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CHUNK = 4_000_000  # numbers drawn at once


def plain(metrics: Sequence[Metric], count: int, rng: np.random.Generator) -> Floats:
    """Draws ``[count, n]`` of metrics with intervals of their own; exact ones as they are."""
    value = np.array([metric.value for metric in metrics])
    sd = np.array([half_width(metric) for metric in metrics]) / Z_95
    return np.asarray(value + sd * rng.standard_normal((count, len(value))))


def half_width(metric: Metric) -> float:
    """Half the 95 % interval; 0 where the value is exact."""
    return 0.0 if metric.low is None or metric.high is None else (metric.high - metric.low) / 2


def tallied(name: str, records: Sequence[Record], tallies: Mapping[int, Mapping[str, Tally]]) -> list[Tally] | None:
    """The tally of a metric for every record, if all have one of the same questions."""
    found = [tallies.get(record.number, {}).get(name) for record in records]
    there = [tally for tally in found if tally is not None]
    alike = len({(tally.kind, tally.top.shape) for tally in there}) == 1
    return there if alike and len(there) == len(records) else None


def groups(tallies: Sequence[Tally]) -> Ints:
    """A number for each tally; equal tallies have the same ``[n]``."""
    seen: dict[bytes, int] = {}
    keys = (tally.top.tobytes() + tally.bottom.tobytes() for tally in tallies)
    return np.array([seen.setdefault(key, len(seen)) for key in keys], np.int64)


def resampled(tallies: Sequence[Tally], count: int, rng: np.random.Generator) -> Floats:
    """Paired bootstrap replicates ``[count, n]``: in each, the same clusters are drawn from every tally.

    Clusters that no tally tells apart are drawn as one of their number: as good, and far fewer.
    """
    group = groups(tallies)
    distinct = [tallies[int(place)] for place in np.unique(group, return_index=True)[1]]
    rows = np.concatenate([part for tally in distinct for part in (tally.top, tally.bottom)], axis=1)
    _, first, size = np.unique(rows, axis=0, return_index=True, return_counts=True)
    few = [Tally(tally.kind, tally.top[first], tally.bottom[first]) for tally in distinct]
    scores = np.empty((count, len(few)))
    step = max(1, CHUNK // len(first))
    for start in range(0, count, step):
        drawn = rng.multinomial(int(size.sum()), size / size.sum(), size=min(step, count - start)).astype(np.float64)
        scores[start : start + step] = np.stack([tally.weighted(drawn) for tally in few], axis=1)
    return np.asarray(scores[:, group])
