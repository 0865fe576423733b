"""The gait protocol on embeddings whose rank-1 is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.datasets.protocol import Walk, part, rank1, score, tallies
from explorer.datasets.protocols import Floats

KINDS = (*(f"nm-{i:02d}" for i in range(1, 7)), "bg-01", "bg-02", "cl-01", "cl-02")
VIEWS = (0, 90, 180)


def crowd(subjects: int = 4) -> tuple[Walk, ...]:
    return tuple(Walk(s, kind, view) for s in range(1, subjects + 1) for kind in KINDS for view in VIEWS)


def telling(walks: tuple[Walk, ...]) -> Floats:
    """Embeddings that give the subject away: one-hot, in two parts."""
    return np.eye(10, dtype=np.float32)[[walk.subject for walk in walks]].reshape(-1, 2, 5)


def test_perfect_embeddings_score_one_with_an_interval_that_is_not_a_point() -> None:
    metrics = score(telling(crowd()), crowd())
    assert {f"accuracy{c}{i}" for c in ("", "_bg", "_cl") for i in ("", "_identical")} == set(metrics)
    assert all(metric.value == 1 for metric in metrics.values())
    low, high = metrics["accuracy"].low, metrics["accuracy"].high
    assert low is not None
    assert 0.4 < low < 0.6
    assert high == pytest.approx(1)


def test_counts_one_view_pair_by_hand() -> None:
    walks = crowd(2)
    embeddings = telling(walks)
    for i, walk in enumerate(walks):  # seen from behind, in probes of nm, subject 2 looks like subject 1
        if walk.subject == 2 and walk.view == 180 and walk.kind in ("nm-05", "nm-06"):
            embeddings[i] = embeddings[0]
    table = rank1(embeddings, walks, probes=("nm-05", "nm-06")).table
    assert table.tolist() == [[1, 1, 1], [1, 1, 1], [0.5, 0.5, 0.5]]
    metrics = score(embeddings, walks)
    assert metrics["accuracy"].value == metrics["accuracy_identical"].value == pytest.approx((1 + 1 + 0.5) / 3)
    assert metrics["accuracy_bg"].value == 1


def test_identical_view_is_left_out_of_the_accuracy() -> None:
    walks = crowd(2)
    embeddings = np.zeros((len(walks), 4), np.float32)  # 1 and 2 look alike from different views, not from the same one
    for i, walk in enumerate(walks):
        embeddings[i, VIEWS.index(walk.view)] = 10
        embeddings[i, 3] = (walk.subject == 2) != (walk.view == 90)
    metrics = score(embeddings, walks)
    pairs = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    assert metrics["accuracy_identical"].value == pytest.approx(pairs.mean())
    assert metrics["accuracy"].value == pytest.approx(2 / 6)


def test_nearest_is_euclidean_not_an_inner_product() -> None:
    walks = (Walk(1, "nm-01", 0), Walk(2, "nm-01", 0), Walk(1, "nm-05", 0))
    embeddings = np.array([[1, 0], [100, 0], [2, 0]], np.float32)
    assert score(embeddings, walks)["accuracy"].value == 1


def test_the_bootstrap_is_over_subjects() -> None:
    walks = crowd(9)
    embeddings = telling(walks)
    for i, walk in enumerate(walks):  # three of nine subjects are never recognised
        if walk.subject <= 3 and walk.kind not in ("nm-01", "nm-02", "nm-03", "nm-04"):
            embeddings[i] = np.eye(10)[9].reshape(2, 5)
    metric = score(embeddings, walks)["accuracy"]
    assert metric.value == pytest.approx(6 / 9)
    # Of nine independent subjects, 2/3: a standard deviation of 0.157.
    assert (metric.low, metric.high) == pytest.approx((1 / 3, 8 / 9), abs=0.05)


def test_an_embedding_that_is_not_finite_is_never_recognised_and_recognises_nobody() -> None:
    walks = crowd()
    embeddings = telling(walks)
    embeddings[[i for i, walk in enumerate(walks) if walk.subject == 4]] = np.nan
    assert score(embeddings, walks)["accuracy"].value == 0.75
    assert score(np.full_like(embeddings, np.inf), walks)["accuracy"].value == 0


def test_pairs_that_cannot_be_tried_are_left_out() -> None:
    walks = tuple(walk for walk in crowd() if not (walk.kind.startswith("nm-0") and walk.view == 0) and walk.kind < "n")
    assert score(telling(walks), walks) == {}
    walks = tuple(walk for walk in crowd() if walk.kind not in ("cl-01", "cl-02"))
    assert "accuracy_cl" not in score(telling(walks), walks)


def test_a_single_view_is_tested_within_itself() -> None:
    walks = tuple(walk for walk in crowd() if walk.view == 90)
    assert score(telling(walks), walks)["accuracy"].value == 1


def test_refuses_the_wrong_number_of_embeddings() -> None:
    with pytest.raises(ValueError, match="1 embeddings for 120"):
        score(np.zeros((1, 3), np.float32), crowd())


def test_a_part_answers_as_the_whole_does_for_those_who_probe() -> None:
    walks = crowd(40)
    embeddings = np.random.default_rng(0).normal(size=(len(walks), 8)).astype(np.float32)
    embeddings += 2 * np.random.default_rng(1).normal(size=(41, 8)).astype(np.float32)[[w.subject for w in walks]]
    chosen = part(walks, 800)
    assert chosen is not None
    asked = [walks[place] for place in chosen]
    enrolled = 40 * 4 * 3
    assert sum(walk.kind.startswith("nm-0") and walk.kind < "nm-05" for walk in asked) == enrolled
    assert len(asked) == enrolled + 17 * 6 * 3
    probing = sorted({walk.subject for walk in asked if walk.kind == "nm-05"})
    for name, tally in tallies(embeddings[chosen], asked).items():
        rows = tallies(embeddings, walks)[name].top[[subject - 1 for subject in probing]]
        assert 0 < tally.value() < 1
        assert np.array_equal(tally.top, rows), "the same gallery, the same answers"


def test_a_part_never_has_too_few_who_probe_and_of_few_people_is_the_whole() -> None:
    walks = crowd(30)
    least = part(walks, 1)
    assert least is not None
    assert len({walks[place].subject for place in least if walks[place].kind == "bg-01"}) == 10
    assert part(crowd(10), 1) is None
    assert part(walks, len(walks)) is None
