"""The candidates of a space as columns: an array for each axis, in the order of `space.candidates`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from explorer.space import Space


class Columns:
    """Values and level numbers of all candidates; an axis that the space lacks has one value.

    Attributes:
        all: level numbers ``[candidates, axes]``.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.names = tuple(axis.name for axis in space.axes)
        places = [{value: level for level, value in enumerate(axis.values)} for axis in space.axes]
        rows = [
            [place[c.params[name]] for name, place in zip(self.names, places, strict=True)] for c in space.candidates
        ]
        self.all = np.array(rows, dtype=np.intp)

    def levels(self, axis: str) -> NDArray[np.intp]:
        """``[candidates]``."""
        if axis not in self.names:
            return np.zeros(len(self.all), dtype=np.intp)
        return np.asarray(self.all[:, self.names.index(axis)])

    def numbers(self, axis: str, default: float) -> NDArray[np.float64]:
        """``[candidates]``."""
        return np.asarray(self._values(axis, default), dtype=np.float64)

    def words(self, axis: str, default: str) -> NDArray[np.str_]:
        """``[candidates]``."""
        return np.asarray(self._values(axis, default), dtype=np.str_)

    def distinct(self, *axes: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """A candidate for each combination of values ``[k]``, and which of them each candidate has ``[candidates]``."""
        levels = np.stack([self.levels(axis) for axis in axes], axis=1)
        _, first, which = np.unique(levels, axis=0, return_index=True, return_inverse=True)
        return first, which.reshape(-1)

    def _values(self, axis: str, default: float | str) -> NDArray[np.generic]:
        """``[candidates]``."""
        options = [a.values for a in self.space.axes if a.name == axis] or [(default,)]
        return np.array(options[0])[self.levels(axis)]
