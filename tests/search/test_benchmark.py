"""The problems that samplers are compared on are what they say, and so is the count: `benchmarks/search.py`."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from explorer.pareto import front, hypervolume

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = ("A", "B", "C", "refusals", "small")
SIZES = {"A": 1620, "B": 4536, "C": 2220, "refusals": 2808, "small": 324}


@pytest.fixture(scope="module")
def families() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("families")
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("families", "contest", "benchmarks_search")
    ]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def problems(families: ModuleType) -> dict[str, Any]:
    return {name: families.family(name, 3) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_a_space_of_the_size_it_says_with_a_front_that_must_be_found(
    problems: dict[str, Any], name: str
) -> None:
    problem = problems[name]
    assert problem.size == problem.space.size == SIZES[name]
    assert 0.10 <= 1 - problem.possible.mean() <= 0.26
    gains = problem.gains[problem.possible]
    useful = (gains > problem.reference).all(axis=1)
    assert 8 <= (front(gains) & useful).sum() <= 150
    assert useful.mean() > 0.3
    best_of_each = gains[useful][gains[useful].argmax(axis=0)]
    assert hypervolume(best_of_each, problem.reference) < 0.9 * problem.full


def test_the_same_seed_is_the_same_board_and_another_seed_another(families: ModuleType) -> None:
    again, first, second = (families.family("A", seed) for seed in (0, 0, 1))
    for metric in first.truth:
        np.testing.assert_array_equal(again.truth[metric], first.truth[metric])
        both = first.possible & second.possible
        off = np.log(first.truth[metric][both] / second.truth[metric][both])
        assert off.std() > 0.01  # not the same board at another speed
    assert (again.refusals == first.refusals).all()
    assert first.full != second.full


def test_a_sibling_is_the_same_network_on_another_board(families: ModuleType) -> None:
    here, there, other = families.family("A", 1), families.family("A", 1, board=2), families.family("A", 2)
    both = here.possible & there.possible
    np.testing.assert_array_equal(here.truth["accuracy"][both], there.truth["accuracy"][both])
    ratio = np.log(here.truth["throughput_ips"][both] / there.truth["throughput_ips"][both])
    assert ratio.std() > 0.05
    assert there.noise == other.noise
    assert set(there.refusals.tolist()) == set(other.refusals.tolist())


def test_what_is_impossible_is_so_by_a_rule_or_for_want_of_memory(problems: dict[str, Any]) -> None:
    problem = problems["refusals"]
    assert 1 - problem.possible.mean() == pytest.approx(0.22, abs=0.001)
    reasons = set(problem.refusals.tolist()) - {""}
    assert "out of memory" in reasons
    assert len(reasons) >= 2
    for reason in reasons - {"out of memory"}:
        forbidden = [pair.split(" is ") for pair in reason.split(" and ")]
        for candidate, refusal in zip(problem.space.candidates, problem.refusals, strict=True):
            assert not all(str(candidate.params[axis]) == value for axis, value in forbidden) or refusal


def test_time_is_a_staircase_in_channels_and_more_pruning_is_no_free_lunch(families: ModuleType) -> None:
    """In groups of 32 channels a step of 1 % changes nothing more often than not, one by one it always does."""
    network = importlib.import_module("families.network")
    rng = np.random.default_rng(0)
    taste = families.FAMILIES["A"].taste
    drawn = network.draw(rng, taste)
    ratio = np.linspace(0.01, 0.8, 80)
    ones = np.ones(80)
    fine, coarse = (
        network.pruned(drawn, ratio, step * ones, ones, replace(taste, lottery=0.0), rng) for step in (1.0, 32.0)
    )
    still = [(np.diff(made.outputs[:, :-1], axis=0) == 0).mean() for made in (fine, coarse)]
    assert still[0] < 0.5
    assert still[1] > 0.8
    assert (coarse.outputs >= fine.outputs).all()
    assert (np.diff(fine.accuracy) <= 1e-12).all()
    lost = drawn.dense - fine.accuracy
    assert lost[-1] > 5 * lost[len(lost) // 2]


def test_measurements_are_off_by_as_much_as_they_say(problems: dict[str, Any]) -> None:
    problem = problems["A"]
    row = int(np.flatnonzero(problem.possible)[0])
    rng = np.random.default_rng(5)
    for short, times in ((False, 1.0), (True, 3.0)):
        read = [problem.measure(row, rng, short=short) for _ in range(3000)]
        off = np.array([np.log(values["energy_mj"] / problem.truth["energy_mj"][row]) for values in read])
        middle = np.subtract(*np.quantile(off, (0.75, 0.25))) / 1.349
        assert middle == pytest.approx(times * problem.noise.relative, rel=0.12)
        assert 0.015 <= problem.noise.relative <= 0.025
        wild = (np.abs(off) > 4 * middle).mean()
        assert 0.004 < wild < 0.02  # of 2 %, those that are not small by chance
    accuracy = np.array([values["accuracy"] for values in read])
    assert accuracy.std() == pytest.approx(problem.noise.score, rel=0.1)
    subset = np.array([problem.host_accuracy(row, rng) for _ in range(500)])
    assert subset.mean() == pytest.approx(problem.truth["accuracy"][row], abs=0.005)
    assert subset.std() > 5 * problem.noise.score


def test_the_prior_is_biased_and_says_something(problems: dict[str, Any]) -> None:
    for name in ("A", "B", "C"):
        problem = problems[name]
        for metric in ("throughput_ips", "energy_mj"):
            true, said = (np.log(values[metric][problem.possible]) for values in (problem.truth, problem.prior))
            assert np.corrcoef(true, said)[0, 1] > 0.3
            assert np.abs(np.median(said - true)) > 0.1


def test_the_size_of_a_network_is_known_before_it_is_made_and_says_something_of_its_accuracy(
    problems: dict[str, Any],
) -> None:
    for name in ("A", "B", "C"):
        problem = problems[name]
        macs, network = problem.prior["macs"], problem.stages[0].keys
        assert len(np.unique(np.stack([macs, network]), axis=1).T) == len(np.unique(network))
        accuracy = problem.truth["accuracy"][problem.possible]
        assert spearmanr(macs[problem.possible], accuracy).statistic > 0.3


def test_hours_count_a_stage_once_for_all_that_share_it(problems: dict[str, Any]) -> None:
    """Against a loop that keeps what it has paid for in sets."""
    problem = problems["C"]
    rows = np.random.default_rng(1).permutation(problem.size)[:300].tolist()
    paid: list[set[Any]] = [set() for _ in problem.stages]
    spent, expected = 0.0, []
    for row in rows:
        params = problem.space.candidates[row].params
        checkpoint = (params["prune_ratio"], params["round_to"])
        engine = (*checkpoint, params["precision"], params["batch"], params["power_mode"])
        refused = problem.refusals[row]
        stages = [(checkpoint, 300), (engine, 60)] + [(row, 20)] * (refused in ("", "out of memory"))
        for known, (key, seconds) in zip(paid, stages, strict=False):
            spent += 0 if key in known else seconds
            known.add(key)
        expected.append(spent / 3600)
    np.testing.assert_allclose(problem.hours(rows), expected)
    assert expected[-1] < 300 * 380 / 3600  # something was shared


def test_accuracy_depends_on_what_it_says_it_does(problems: dict[str, Any]) -> None:
    for problem in problems.values():
        found: dict[Any, set[float]] = {}
        for candidate, true in zip(problem.space.candidates, problem.truth["accuracy"].tolist(), strict=True):
            if true == true:
                found.setdefault(tuple(candidate.params[n] for n in problem.depends["accuracy"]), set()).add(true)
        assert all(len(values) == 1 for values in found.values())
        assert len(found) > 8


def test_a_table_is_read_as_it_was_measured(families: ModuleType) -> None:
    recorded = importlib.import_module("families.recorded")
    problem = recorded.recorded("inceptionv3_200x200")
    assert problem.size == 768
    line = {"cpu_cores": 1, "cpu_freq_khz": 1113600, "gpu_freq_hz": 1300500000, "emc_freq_hz": 1062400000}
    row = next(row for row, candidate in enumerate(problem.space.candidates) if candidate.params == line)
    assert problem.truth["latency_ms"][row] == pytest.approx(225.58922237820095)
    assert problem.truth["power_w"][row] == pytest.approx(1955.5555555555557)
    assert problem.measure(row, np.random.default_rng(0)) == {m: v[row] for m, v in problem.truth.items()}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "ours"])
def test_a_space_is_exhausted_exactly(problems: dict[str, Any], sampler: str) -> None:
    contest = importlib.import_module("contest")
    problem = problems["small"]
    course = contest.contest(problem, sampler, 0, budget=10_000, until=2.0)
    rules = set(problem.refusals.tolist()) - {"", "out of memory"}
    by_rule = np.isin(problem.refusals, list(rules))
    assert problem.size == 324
    assert set(np.flatnonzero(~by_rule)) <= set(course.rows), "every one that no rule forbids"
    found = [str(problem.refusals[row]) for row in course.rows if by_rule[row]]
    assert sorted(found) == sorted(rules), "each rule is run into once, and then it is known"
    assert course.repeated == course.refused_again == 0
    assert len(course.rows) == (~by_rule).sum() + len(rules)
    assert course.shares[-1] == pytest.approx(1.0)


def test_progress_is_the_share_of_the_whole_hypervolume(problems: dict[str, Any]) -> None:
    contest = importlib.import_module("contest")
    problem = problems["refusals"]
    course = contest.contest(problem, "random", 1, budget=150, until=2.0)
    for count in (1, 40, 150):
        rows = [row for row in course.rows[:count] if problem.possible[row]]
        expected = hypervolume(problem.gains[rows], problem.reference) / problem.full
        assert course.shares[count - 1] == pytest.approx(expected)
    assert list(course.shares) == sorted(course.shares)
    assert 0 < course.shares[-1] < 1


def test_a_goal_that_was_not_reached_flatters_the_peer_and_not_us(families: ModuleType) -> None:
    contest, search = importlib.import_module("contest"), _search()

    def course(sampler: str, shares: list[float]) -> Any:
        rows = list(range(len(shares)))
        hours = [0.5 * (row + 1) for row in rows]
        return contest.Course("A0", sampler, 0, 100, rows, shares, hours, 1.0, 0, 0)

    reached, missed = [0.5, 0.96, 0.992], [0.5, 0.6, 0.7, 0.8]
    goal = search.GOALS["hours to 99 %"]
    assert goal.cost(course("ours", reached)) == 1.5
    both = {"ours": [course("ours", reached)], "tpe": [course("tpe", missed)]}
    assert search.ratio(both, "ours", "tpe", goal) == 0.75
    both = {"ours": [course("ours", missed)], "tpe": [course("tpe", reached)]}
    assert search.ratio(both, "ours", "tpe", goal) == np.inf
    told = {name: [course(name, reached)] for name in ("ours", "by time", "foretold")}
    told |= {"foretold by time": [course("foretold by time", [0.995])], "tpe": [course("tpe", missed)]}
    kept = {str(verdict.what): verdict.kept for verdict in search.verdicts("A", told)}
    assert kept == {
        "A: repeated evaluations": True,
        "A: evaluations to 99 %, ours / tpe": False,
        "A: evaluations to 99 %, foretold / tpe": False,
        "A: hours to 99 %, by time / the best of tpe": False,
        "A: hours to 99 %, foretold by time / the best of tpe": True,
    }


@pytest.mark.slow
def test_the_comparison_prints_tables_and_bars_and_fails_where_one_is_missed(tmp_path: Path) -> None:
    words = [sys.executable, str(BENCHMARKS / "search.py"), "--problems", "small", "--samplers", "random", "ours"]
    words += ["--seeds", "2", "--budget", "30", "--plot", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    assert "ok   small: repeated evaluations: 0" in done.stdout
    assert "MISS small: candidates left: 588" in done.stdout
    assert (tmp_path / "small.png").stat().st_size > 10_000


def _search() -> ModuleType:
    """`benchmarks/search.py`, under a name that nobody else has."""
    spec = importlib.util.spec_from_file_location("benchmarks_search", BENCHMARKS / "search.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module
