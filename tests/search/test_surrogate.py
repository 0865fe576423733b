"""Beliefs over a finite space: exact, and the same whether results come at once or one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from explorer.search.kernel import Axis, Kernel, Shape
from explorer.search.posterior import Posterior
from explorer.search.surrogate import Belief, Results, Surrogate

AXES = (Axis(6, ordinal=True), Axis(3, ordinal=False), Axis(4, ordinal=True))
LEVELS = np.array(list(itertools.product(*(range(axis.levels) for axis in AXES))), dtype=np.intp)
SHAPE = Shape(AXES, LEVELS)


def smooth(levels: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(levels[:, 0] / 2) + 0.5 * (levels[:, 1] == 1) * levels[:, 2] + 0.2 * levels[:, 2])


def believed(surrogate: Surrogate, seen: Results) -> Belief:
    return surrogate.believe(seen, surrogate.learn(seen))


def test_it_is_the_textbook_s() -> None:
    rng = np.random.default_rng(0)
    rows, kernel = rng.choice(len(LEVELS), 20, replace=False), Kernel(SHAPE)
    y, scales = rng.standard_normal(20), np.concatenate([kernel.priors[:, 0], [np.log(0.05)]])
    everyone = np.arange(len(LEVELS))
    off = rng.choice([0.0, 0.3], 20)
    mean, variance = Posterior(kernel, scales, everyone, rows, off).believe(rows, y, off)
    gram = kernel.between(scales[:-1], rows, rows) + np.diag(0.05 + 1e-6 + off)
    cross = kernel.between(scales[:-1], everyone, rows)
    np.testing.assert_allclose(mean, cross @ np.linalg.solve(gram, y), atol=1e-10)
    left = kernel.prior_variance(scales[:-1], everyone) - np.diag(cross @ np.linalg.solve(gram, cross.T))
    np.testing.assert_allclose(variance, left, atol=1e-10)


def test_one_by_one_is_as_good_as_at_once_and_always_the_same() -> None:
    rng = np.random.default_rng(1)
    kernel, everyone = Kernel(SHAPE), np.arange(len(LEVELS))
    scales = np.concatenate([kernel.priors[:, 0], [np.log(0.01)]])
    rows, y = rng.choice(len(LEVELS), 60), rng.standard_normal(60)  # some twice
    off = rng.choice([0.0, 0.3], 60)
    growing, late = (Posterior(kernel, scales, everyone, rows[:10], off[:10]) for _ in range(2))
    for known in range(10, 61):
        found = growing.believe(rows[:known], y[:known], off[:known])
    at_once = Posterior(kernel, scales, everyone, rows, off).believe(rows, y, off)
    np.testing.assert_allclose(found, at_once, atol=1e-7)
    others = np.concatenate([rows[:30], rng.choice(len(LEVELS), 5)])  # of whom some were only expected
    growing.believe(others, y[:35], off[:35])
    growing.believe(rows[:20], y[:20], off[:20] + 0.1 * (np.arange(20) > 12))  # and some known less surely
    np.testing.assert_array_equal(growing.believe(rows, y, off), late.believe(rows, y, off))


def test_much_of_it_in_single_precision_is_believed_all_the_same() -> None:
    rng = np.random.default_rng(4)
    axes = (*AXES, Axis(8, ordinal=True), Axis(12, ordinal=True))
    levels = np.array(list(itertools.product(*(range(axis.levels) for axis in axes))), dtype=np.intp)
    kernel, everyone = Kernel(Shape(axes, levels)), np.arange(len(levels))
    scales = np.concatenate([kernel.priors[:, 0], [np.log(1e-3)]])
    rows = rng.choice(len(levels), 320, replace=False)
    alike = kernel.between(scales[:-1], rows, rows) + 1e-3 * np.eye(320)
    y = np.linalg.cholesky(alike) @ rng.standard_normal(320)
    off = np.zeros(320)
    mean, variance = Posterior(kernel, scales, everyone, rows[:300], off[:300]).believe(rows, y, off)
    assert len(levels) * 300 > 2e6, "or else this is not about single precision"
    few = np.union1d(everyone[:2000], rows)  # not many enough
    sure_mean, sure_variance = Posterior(kernel, scales, few, rows[:300], off[:300]).believe(rows, y, off)
    np.testing.assert_allclose(variance[few], sure_variance, atol=2e-5)
    np.testing.assert_allclose(mean[few], sure_mean, atol=2e-3 * sure_mean.std())
    late = Posterior(kernel, scales, everyone, rows[:300], off[:300])
    late.believe(rows[:310], y[:310], off[:310])
    np.testing.assert_array_equal(late.believe(rows, y, off), [mean, variance])


def test_scales_are_learned_and_what_is_unlikely_is_not_believed() -> None:
    rng = np.random.default_rng(2)
    rows = rng.choice(len(LEVELS), 40, replace=False)
    seen = Results.alike(rows, 100 + 7 * smooth(LEVELS[rows]) + 0.05 * rng.standard_normal(40))
    surrogate = Surrogate(SHAPE)
    learned = surrogate.learn(seen)
    belief = surrogate.believe(seen, learned)
    true, others = 100 + 7 * smooth(LEVELS), np.setdiff1d(np.arange(len(LEVELS)), rows)
    z = (true - belief.mean)[others] / belief.sd[others]
    assert np.abs(true - belief.mean)[others].mean() < 0.1 * true.std()
    assert 0.3 < z.std() < 2
    assert belief.sd[rows].mean() < belief.sd[others].mean()
    again, own = surrogate.believe_of(others, seen, learned, 8)
    np.testing.assert_array_equal(again.mean, Surrogate(SHAPE).believe_of(others, seen, learned, 8)[0].mean)
    np.testing.assert_allclose(own, surrogate.believe_of(rows, seen, learned, 8)[0].mean, rtol=1e-9)
    assert again.sd.mean() > belief.sd[others].mean(), "scales in doubt make for more doubt"


def test_what_is_counted_is_what_it_was_told_to_be() -> None:
    rng = np.random.default_rng(5)
    rows = rng.choice(len(LEVELS), 12, replace=False)
    values = smooth(LEVELS[rows]) + 0.3 * rng.standard_normal(12)
    off = {}
    for counted in (False, True):
        surrogate = Surrogate(Shape(AXES, LEVELS, counted=counted))
        belief = believed(surrogate, Results.alike(rows, values))
        off[counted] = float(np.abs(belief.mean[rows] - values).mean())
    assert off[True] < 0.02 * values.std()
    assert off[False] > 3 * off[True]


def test_a_rough_result_beside_an_exact_one_is_luck_and_no_reason_to_doubt_the_others() -> None:
    """A network scored on a part of the samples, and then on all: they need not agree."""
    rng, groups = np.random.default_rng(6), (LEVELS[:, 0] * 4 + LEVELS[:, 2])[:, None]
    luck = 0.3 * rng.standard_normal(groups.max() + 1)[groups[:, 0]]
    axes, levels = (AXES[0], AXES[2]), LEVELS[:, [0, 2]]
    true = smooth(levels[:, [0, 0, 1]]) + luck  # axis 1 changes nothing: three candidates a network
    rows = rng.choice(len(LEVELS), 14, replace=False)
    again = rows[:4] - LEVELS[rows[:4], 1] * 4 + (LEVELS[rows[:4], 1] + 1) % 3 * 4  # the same networks once more
    seen = np.concatenate([rows, again])
    values, off = true[seen], np.zeros(len(seen))
    values[-4:] += [0.5, -0.5, 0.6, -0.4]
    off[-4:] = 0.5**2
    errors = {}
    for name, results in {"told": Results(seen, values, off), "taken for exact": Results.alike(seen, values)}.items():
        belief = believed(Surrogate(Shape(axes, levels, groups, counted=True)), results)
        errors[name] = float(np.abs(belief.mean - true)[again].mean())
    assert errors["told"] < 0.02
    assert errors["taken for exact"] > 10 * errors["told"]


def test_what_foretells_is_believed_as_far_as_it_was_right() -> None:
    rng = np.random.default_rng(3)
    true = rng.standard_normal(len(LEVELS))  # no axis explains it
    told = np.stack([(true - true.mean()) / true.std(), rng.standard_normal(len(LEVELS))], axis=1)
    rows = rng.choice(len(LEVELS), 25, replace=False)
    others = np.setdiff1d(np.arange(len(LEVELS)), rows)
    off = {}
    for name, columns in {"nothing": None, "both": told, "nonsense": told[:, 1:]}.items():
        surrogate = Surrogate(Shape(AXES, LEVELS, None, columns))
        belief = believed(surrogate, Results.alike(rows, true[rows]))
        off[name] = float(np.abs(belief.mean - true)[others].mean())
    assert off["both"] < 0.3 * off["nothing"]
    assert off["nonsense"] < 1.2 * off["nothing"]


@pytest.mark.parametrize("values", [[5.0] * 8, [0.0] * 8, [1e9, *[1e9 + 1e-3] * 7]])
def test_equal_values_are_no_reason_to_fail(values: list[float]) -> None:
    surrogate, rows = Surrogate(SHAPE), np.arange(8)
    belief = believed(surrogate, Results.alike(rows, np.array(values)))
    np.testing.assert_allclose(belief.mean, values[-1], rtol=1e-6, atol=1e-3)
    assert np.isfinite(belief.sd).all()
