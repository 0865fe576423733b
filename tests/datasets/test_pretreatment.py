"""Pre-treatment against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from explorer.datasets.pretreatment import cut, pretreat, pretreat_all


def box(rows: slice, columns: slice, shape: tuple[int, int] = (240, 320)) -> NDArray[np.uint8]:
    frame = np.zeros(shape, np.uint8)
    frame[rows, columns] = 255
    return frame


def treated(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    result = pretreat(frame)
    assert result is not None
    return result


def test_a_box_of_64_rows_is_only_moved_to_the_middle() -> None:
    result = treated(box(slice(100, 164), slice(50, 60)))
    # Its ten columns: the mass passes half with the sixth, column 55, which comes to stand at column 32.
    assert np.array_equal(result, box(slice(0, 64), slice(27, 37), (64, 64)))


def test_rows_above_and_below_are_cut_off_and_the_aspect_ratio_is_kept() -> None:
    result = treated(box(slice(10, 202), slice(100, 130)))  # 192 x 30 to 64 x 10
    assert (result > 127).sum() == 64 * 10
    assert (result.max(axis=1) == 255).all()


def test_the_middle_is_where_half_of_the_mass_is_not_half_of_the_width() -> None:
    frame = box(slice(100, 164), slice(50, 60))
    frame[159:164, 50:90] = 255  # a long foot
    columns = np.flatnonzero(treated(frame)[63])
    assert (columns[0], columns[-1]) == (32 - 6, 32 - 6 + 37)  # the seventh column; the toes are cut off


@pytest.mark.parametrize("columns", [slice(0, 10), slice(310, 320)])
def test_at_the_edge_of_the_image_it_is_padded(columns: slice) -> None:
    assert np.array_equal(treated(box(slice(100, 164), columns)), box(slice(0, 64), slice(27, 37), (64, 64)))


def test_hardly_any_pixels_are_nobody() -> None:
    frame = np.zeros((240, 320), np.uint8)
    frame[0, :39] = 255  # 9,945
    assert pretreat(frame) is None
    frame[0, 39] = 55  # 10,000: still not above
    assert pretreat(frame) is None
    frame[0, 39] = 56
    assert pretreat(frame) is not None
    assert pretreat_all(np.zeros((3, 240, 320), np.uint8)).shape == (0, 64, 64)
    assert pretreat_all(np.stack([frame * 0, box(slice(0, 64), slice(0, 9))])).shape == (1, 64, 64)


def test_cubic_interpolation_doubles_a_ramp_as_worked_out_by_hand() -> None:
    # Weights at a quarter between two pixels, a = -0.75: -0.10546875, 0.87890625, 0.26171875, -0.03515625.
    frame = np.repeat(np.array([[10, 20, 40, 80] * 8], np.uint8).T, 40, axis=1)
    column = treated(frame)[:, 32].astype(int)
    expected = -0.10546875 * 80 + 0.87890625 * 40 + 0.26171875 * 20 - 0.03515625 * 10
    assert column[4] == round(expected)  # output row 4 lies at 1.75: a quarter from pixel 2 towards pixel 1


def test_ten_columns_are_cut_off_each_side() -> None:
    frames = np.zeros((2, 64, 64), np.uint8)
    frames[..., 10], frames[..., 53], frames[..., 9], frames[..., 54] = 1, 2, 9, 9
    result = cut(frames)
    assert result.shape == (2, 64, 44)
    assert (result[0, 0, 0], result[0, 0, -1], result.max()) == (1, 2, 2)
