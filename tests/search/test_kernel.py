"""Kernels of finite spaces: their parts, and that they change as they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from explorer.search.among import Among
from explorer.search.kernel import Axis, Kernel, Shape

AXES = (Axis(5, ordinal=True), Axis(3, ordinal=False), Axis(2, ordinal=True), Axis(4, ordinal=True))
LEVELS = np.array(list(itertools.product(*(range(axis.levels) for axis in AXES))), dtype=np.intp)


def shapes() -> dict[str, Shape]:
    rng = np.random.default_rng(0)
    groups = np.stack([LEVELS[:, 0], 5 * LEVELS[:, 1] + LEVELS[:, 0]], axis=1)
    foretold = rng.standard_normal((len(LEVELS), 2))
    return {
        "axes": Shape(AXES, LEVELS),
        "stages": Shape(AXES, LEVELS, groups),
        "foretold": Shape(AXES, LEVELS, None, foretold),
        "all": Shape(AXES, LEVELS, groups, foretold),
        "one axis": Shape(AXES[:1], LEVELS[:, :1]),
        "no axis": Shape((), LEVELS[:, :0]),
    }


@pytest.fixture(params=list(shapes()))
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return Kernel(shapes()[request.param])


def drawn(kernel: Kernel, rng: np.random.Generator) -> np.ndarray:
    mean, sd = kernel.priors.T
    return np.asarray(mean + 0.5 * sd * rng.standard_normal(len(mean)))


def test_the_matrix_is_the_same_from_all_sides_and_positive(kernel: Kernel) -> None:
    rng = np.random.default_rng(1)
    rows = rng.choice(len(LEVELS), 40)  # some twice
    logs = drawn(kernel, rng)
    alike = Among(kernel, rows).at(logs)
    matrix, changes = alike.matrix, alike.changes
    np.testing.assert_allclose(kernel.between(logs, rows, rows), matrix, atol=1e-12)
    np.testing.assert_allclose(kernel.prior_variance(logs, rows), np.diag(matrix), atol=1e-12)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9
    assert changes.shape == (len(logs), 40, 40)


def test_it_changes_with_each_scale_as_it_says(kernel: Kernel) -> None:
    rng = np.random.default_rng(2)
    rows = rng.choice(len(LEVELS), 12, replace=False)
    logs = drawn(kernel, rng)
    alike = Among(kernel, rows).at(logs)
    for place, step in enumerate(1e-6 * np.eye(len(logs))):
        moved = kernel.between(logs + step, rows, rows) - kernel.between(logs - step, rows, rows)
        np.testing.assert_allclose(alike.changes[place], moved / 2e-6, atol=1e-7)
    pull = rng.standard_normal((12, 12))
    pull += pull.T
    np.testing.assert_allclose(alike.gradient(pull), np.tensordot(alike.changes, pull, 2), atol=1e-12)


def test_levels_further_apart_are_less_alike_and_names_are_all_alike() -> None:
    kernel = Kernel(Shape(AXES, LEVELS))
    logs = kernel.priors[:, 0]
    at = {tuple(levels): row for row, levels in enumerate(LEVELS.tolist())}
    start = np.array([at[0, 0, 0, 0]])
    along = kernel.between(logs, start, np.array([at[level, 0, 0, 0] for level in range(5)]))[0]
    assert (np.diff(along) < 0).all()
    names = kernel.between(logs, start, np.array([at[0, name, 0, 0] for name in range(1, 3)]))[0]
    assert names[0] == pytest.approx(names[1])


def test_a_warped_axis_has_its_first_levels_further_apart() -> None:
    axis = Axis(5, ordinal=True)
    kernel = Kernel(Shape((axis,), np.arange(5)[:, None]))
    logs = kernel.priors[:, 0].copy()
    even = np.diag(kernel.between(logs, np.arange(5), np.arange(5)), 1)
    np.testing.assert_allclose(even, even[0])
    logs[2] = np.log(0.4)  # main, length, power
    first = np.diag(kernel.between(logs, np.arange(5), np.arange(5)), 1)
    assert (np.diff(first) > 0).all()
