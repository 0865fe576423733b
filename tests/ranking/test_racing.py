"""Racing makes the front right, and probabilities are what they say: `benchmarks/racing.py`, a few small studies."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

RACING = Path(__file__).parents[2] / "benchmarks" / "racing.py"


@pytest.fixture(scope="module")
def racing() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("benchmarks_racing", RACING)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def studies(racing: ModuleType) -> list[Any]:
    return [racing.study(racing.BOARDS["stays"], seed) for seed in range(8)]


@pytest.mark.slow
def test_races_do_better_than_the_same_time_spent_on_measuring_once(studies: list[Any]) -> None:
    once, raced = (sum(getattr(ways, name).errors for ways in studies) for name in ("once", "raced"))
    assert once >= 6
    assert raced <= once / 2
    assert all(abs(ways.once.device_s / ways.raced.device_s - 1) < 0.1 for ways in studies)


@pytest.mark.slow
def test_probabilities_are_shares_of_what_is_so(racing: ModuleType, studies: list[Any]) -> None:
    before, after = (racing.Brier.of([getattr(ways, name) for ways in studies]) for name in ("brief", "raced"))
    assert before.reliability < 0.01
    assert after.reliability < 0.005
    assert after.score < before.score < before.uncertainty / 4
    said, so = (np.concatenate([getattr(ways.brief, name) for ways in studies]) for name in ("probability", "truth"))
    unsure = (said > 0.05) & (said < 0.95)
    spread = np.sqrt((said[unsure] * (1 - said[unsure])).sum())
    assert abs(so[unsure].sum() - said[unsure].sum()) < 3 * spread


def test_a_race_without_noise_tells_the_truth(racing: ModuleType) -> None:
    """Watts differ by half between the entrants, and none may lean on its neighbours'."""
    truth = racing.candidates(np.random.default_rng(1), 6)
    board = racing.Board(truth, racing.Noise(stay=0, run=0, each=0), np.random.default_rng(2))
    read = racing.race(board, range(6), 0)["readings"]
    energy = np.log(truth.latency_s * truth.watts / truth.batch)
    for name, true in (("latency_ms", np.log(truth.latency_s)), ("energy_mj", energy)):
        np.testing.assert_allclose(read[name]["mean"], true - true.mean(), atol=1e-6)
