"""How many distinct pieces of work trials need: against every choice of candidates there is."""

from __future__ import annotations

import itertools

import pytest

from explorer.forecast.stages import Need, needs
from explorer.pipeline import Stage
from explorer.space import Axis, Candidate, Space

SPACE = Space(
    (Axis("prune_ratio", (0, 0.5)), Axis("precision", ("fp32", "int8")), Axis("batch", (1, 2)), Axis("threads", (1, 2)))
)


def network(candidate: Candidate) -> Stage | str:
    """Pruned where that is asked for, then exported, then quantised where that is."""
    given = candidate.all
    pruned: Stage | str = Stage("prune", {}, {"checkpoint": "weights"}) if given["prune_ratio"] else "weights"
    onnx = Stage("export", {}, {"checkpoint": pruned})
    return Stage("quantise", {}, {"onnx": onnx}) if given["precision"] == "int8" else onnx


def pieces(candidate: Candidate, stage: str) -> object:
    """Which piece of a stage's work a candidate needs, told another way; None for none."""
    given = candidate.all
    return {
        "prune": given["prune_ratio"] or None,
        "export": ("export", given["prune_ratio"]),
        "quantise": ("quantise", given["prune_ratio"]) if given["precision"] == "int8" else None,
        "build": (given["prune_ratio"], given["precision"], given["batch"]),
        "measure": candidate.key,
    }[stage]


def test_the_fewest_and_the_most_are_those_of_the_best_and_the_worst_choice() -> None:
    candidates = SPACE.candidates[::2] + SPACE.candidates[1:4:2]  # of some engines both candidates, of others one
    found = {need.name: need for need in needs(candidates, network, done=lambda _: False)}
    assert list(found) == ["prune", "export", "quantise", "build", "measure"]
    for stage, need in found.items():
        for trials in range(len(candidates) + 1):
            counts = {
                len({piece for one in chosen if (piece := pieces(one, stage)) is not None})
                for chosen in itertools.combinations(candidates, trials)
            }
            assert (need.least(trials), need.most(trials)) == (min(counts), max(counts)), (stage, trials)


def test_what_is_done_already_is_needed_by_nobody() -> None:
    first = SPACE.candidates[0]
    found = {n.name: n for n in needs(SPACE.candidates, network, done=lambda s: s.name == "prune", built=[first])}
    assert found["prune"] == Need("prune", (), done=1, free=16)
    assert found["build"] == Need("build", (2,) * 7, done=1, free=2)
    assert found["build"].most(100) == 7
    assert found["measure"].least(16) == 16


@pytest.mark.parametrize("trials", [0, 5])
def test_nothing_left_needs_nothing(trials: int) -> None:
    assert {(need.least(trials), need.most(trials)) for need in needs([], network, done=lambda _: False)} == {(0, 0)}
