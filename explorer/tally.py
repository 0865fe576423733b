"""What a score is counted from, so that two scores can be compared answer by answer and subject by subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["share", "rms"]


@dataclass(frozen=True)
class Tally:
    """``[cluster, cell]`` counts of what was right and what was tried; a cluster (a subject) stands or falls together.

    Attributes:
        kind: ``share``: the mean over cells of Σ top / Σ bottom, sums over clusters; ``rms``: √(Σ top / Σ bottom).
        top: right answers, or squared errors.
        bottom: answers tried, or squared sizes.
    """

    kind: Kind
    top: Floats
    bottom: Floats

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "top": self.top.tolist(), "bottom": self.bottom.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tally:
        return cls(data["kind"], np.asarray(data["top"], np.float64), np.asarray(data["bottom"], np.float64))
