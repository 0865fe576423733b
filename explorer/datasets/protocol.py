"""The gait protocol: enrol some sequences, probe with the others, count who is recognised first (rank-1).

For each pair of a probe view and a gallery view, a probe is recognised when its nearest gallery sequence of that
view, by Euclidean distance between flattened embeddings, is of the same subject. Two summaries for each walking
condition: the mean over all pairs ("identical view included") and the mean over the pairs of different views.
CASIA-B: gallery nm-01…04, probes nm-05…06, bg, cl.

Intervals are bootstrapped over subjects, not over probes: the probes of one subject stand or fall together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explorer.datasets.arrays import spread
from explorer.datasets.protocols import Floats
from explorer.result import Metric
from explorer.tally import Tally

GALLERY = ("nm-01", "nm-02", "nm-03", "nm-04")
PROBES = {"": ("nm-05", "nm-06"), "_bg": ("bg-01", "bg-02"), "_cl": ("cl-01", "cl-02")}
PROBING_MIN = 10  # subjects: of fewer the interval of a score says little


@dataclass(frozen=True, order=True)
class Walk:
    """One recorded sequence: who, how (``nm-01``), seen from where (degrees)."""

    subject: int
    kind: str
    view: int

    @property
    def condition(self) -> str:
        return self.kind.partition("-")[0]

    def __str__(self) -> str:
        return f"{self.subject:03d}/{self.kind}/{self.view:03d}"


@dataclass(frozen=True)
class Rank1:
    """Recognised probes, counted: ``[subject, probe view, gallery view]``."""

    views: tuple[int, ...]
    hits: NDArray[np.float64]
    tries: NDArray[np.float64]

    @property
    def table(self) -> NDArray[np.float64]:
        """Rank-1 by [probe view, gallery view]; NaN where nothing could be tried."""
        return _share(self.hits.sum(axis=0), self.tries.sum(axis=0))

    def tally(self, *, identical: bool) -> Tally | None:
        """Counts by subject and view pair, of the subjects that were tried; None when no pair could be tried.

        Args:
            identical: count the pairs of a view with itself too.
        """
        pairs = np.ones((len(self.views),) * 2, bool) if identical else ~np.eye(len(self.views), dtype=bool)
        hits, tries = self.hits[:, pairs], self.tries[:, pairs]
        tested = tries.sum(axis=1) > 0
        return Tally("share", hits[tested], tries[tested]) if tested.any() else None


def rank1(
    embeddings: Floats, walks: Sequence[Walk], *, probes: Sequence[str], gallery: Sequence[str] = GALLERY
) -> Rank1:
    """Count the recognised probes.

    An embedding with a value that is not finite is never recognised, and recognises nobody.

    Args:
        embeddings: [M, …], one for each walk; flattened before distances are taken.
        walks: what each embedding is of.
        probes: kinds that probe, such as ``("bg-01", "bg-02")``.
        gallery: kinds that are enrolled.
    """
    vectors = np.asarray(embeddings, dtype=np.float32).reshape(len(walks), -1)
    sound = np.asarray(np.isfinite(vectors).all(axis=1))
    vectors = np.where(sound[:, None], vectors, 0)
    views = tuple(sorted({walk.view for walk in walks}))
    subjects = sorted({walk.subject for walk in walks})
    asked = np.array([i for i, walk in enumerate(walks) if walk.kind in probes], dtype=np.int64)
    who = np.array([subjects.index(walk.subject) for walk in walks], dtype=np.int64)
    seen_from = np.array([views.index(walk.view) for walk in walks], dtype=np.int64)
    hits, tries = (np.zeros((len(subjects), len(views), len(views))) for _ in range(2))
    for column, view in enumerate(views):
        enrolled = np.array([i for i, walk in enumerate(walks) if walk.kind in gallery and walk.view == view], np.int64)
        if not len(enrolled) or not len(asked):
            continue
        np.add.at(tries[:, :, column], (who[asked], seen_from[asked]), 1)
        if sound[enrolled].any():
            enrolled = enrolled[sound[enrolled]]
            nearest = enrolled[_nearest(vectors[asked], vectors[enrolled])]
            right = (who[nearest] == who[asked]) & sound[asked]
            np.add.at(hits[:, :, column], (who[asked], seen_from[asked]), right)
    return Rank1(views, hits, tries)


def tallies(embeddings: Floats, walks: Sequence[Walk]) -> dict[str, Tally]:
    """What the protocol's metrics are counted from: ``accuracy`` (nm, identical view excluded), ``accuracy_bg``,
    ``accuracy_cl``, each also ``…_identical``.

    With a single view there is no pair of different views; ``accuracy`` then is the rank-1 within that view.

    Raises:
        ValueError: not one embedding for each walk.
    """
    if len(embeddings) != len(walks):
        raise ValueError(f"{len(embeddings)} embeddings for {len(walks)} sequences")
    several = len({walk.view for walk in walks}) > 1
    counts: dict[str, Tally | None] = {}
    for suffix, probes in PROBES.items():
        counted = rank1(embeddings, walks, probes=probes)
        counts[f"accuracy{suffix}"] = counted.tally(identical=not several)
        counts[f"accuracy{suffix}_identical"] = counted.tally(identical=True)
    return {name: tally for name, tally in counts.items() if tally is not None}


def part(walks: Sequence[Walk], samples: int) -> NDArray[np.int64] | None:
    """Places of about `samples` sequences by which the protocol comes to the same: everybody is enrolled, and some
    subjects, spread evenly over all, probe; None where that leaves nobody out.

    Fewer enrolled people would be told apart more easily, and a score that is too good.
    """
    subjects = sorted({walk.subject for walk in walks})
    enrolled = sum(walk.kind in GALLERY for walk in walks)
    probes_each = (len(walks) - enrolled) / len(subjects)
    wanted = max(PROBING_MIN, int((samples - enrolled) / probes_each)) if probes_each else len(subjects)
    if wanted >= len(subjects):
        return None
    probing = {subjects[place] for place in spread(len(subjects), wanted)}
    return np.array([i for i, w in enumerate(walks) if w.kind in GALLERY or w.subject in probing], np.int64)


def score(embeddings: Floats, walks: Sequence[Walk]) -> dict[str, Metric]:
    """The protocol's metrics, each with its interval over subjects; raises as `tallies` does."""
    return {name: tally.metric() for name, tally in tallies(embeddings, walks).items()}


def _nearest(probes: Floats, gallery: Floats) -> NDArray[np.int64]:
    """Index of the nearest row of `gallery` for each row of `probes`; |p|² is the same for all and left out."""
    squared = np.einsum("ij,ij->i", gallery, gallery, dtype=np.float64)
    return np.asarray((squared[None] - 2.0 * (probes @ gallery.T)).argmin(axis=1), dtype=np.int64)


def _share(hits: NDArray[np.float64], tries: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(hits, tries, out=np.full_like(hits, np.nan), where=tries > 0)
