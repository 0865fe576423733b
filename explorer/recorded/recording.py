"""What a table holds of each candidate of a space.

candidate ──► its rows ──► one value a metric
               1 row: exact              several: their mean, and its 95 % interval by Student's t
               an empty cell: the candidate turned out impossible when it was measured
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from explorer.result import Evaluation, StageTime
from explorer.space import Candidate, Params, Value
from explorer.statistics.intervals import mean_interval

Key = tuple[Value, ...]  # of a candidate

TRIAL = "trial"  # the stage under which a record keeps the seconds that its trial took when it was measured


@dataclass(frozen=True)
class Row:
    """One measurement of a candidate.

    Attributes:
        metrics: what its cells hold.
        seconds: that it took; None where that is not known.
    """

    line: int
    metrics: Mapping[str, float]
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Recording:
    """A table seen as a device.

    Attributes:
        file: the table.
        sha256: its content's.
        seconds: the column that says how long each trial took; empty where none does.
        rows: those of each candidate, by its key.
    """

    file: Path
    sha256: str
    seconds: str = ""
    rows: Mapping[Key, tuple[Row, ...]] = field(default_factory=dict, repr=False)

    def evaluation(self, candidate: Candidate) -> Evaluation:
        """All that was measured of a candidate; a metric that a row of it lacks is absent."""
        rows = self.rows[candidate.key]
        names = [name for name in rows[0].metrics if all(name in row.metrics for row in rows)]
        metrics = {name: mean_interval(np.array([row.metrics[name] for row in rows])) for name in names}
        took = [row.seconds for row in rows if row.seconds is not None]
        stages = {TRIAL: StageTime(sum(took) / len(took), cached=True)} if took else {}
        return Evaluation(metrics, recorded=tuple(metrics), stages=stages)

    @property
    def repeated(self) -> int:
        """How many candidates have several rows."""
        return sum(len(rows) > 1 for rows in self.rows.values())

    def identity(self) -> dict[str, str]:
        """What of it changes results."""
        return {"table": self.sha256, "seconds": self.seconds}

    def to_json(self) -> dict[str, object]:
        """For the description of a study."""
        rows = sum(map(len, self.rows.values()))
        told = {"table": self.file.name, "sha256": self.sha256, "rows": rows, "candidates": len(self.rows)}
        return told | ({"seconds": self.seconds} if self.seconds else {})


def rows_by_candidate(params: Iterable[Params], rows: Iterable[Row]) -> dict[Key, tuple[Row, ...]]:
    """The rows of each candidate, in the order of the table."""
    found: dict[Key, list[Row]] = {}
    for point, row in zip(params, rows, strict=True):
        found.setdefault(Candidate(point).key, []).append(row)
    return {key: tuple(same) for key, same in found.items()}
