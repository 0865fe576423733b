"""A space of which every candidate was measured before: what a table or an earlier study holds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from explorer.pareto import hypervolume
from explorer.replay.course import Floats, gain
from explorer.result import Constraint, Objective, Record
from explorer.space import Space

Cost = Mapping[Hashable, float]  # a piece of work → its seconds; what several candidates share has one name


@dataclass(frozen=True)
class Replayed:
    """Candidates in the order of `space.candidates`, and what each yielded.

    Attributes:
        records: how each ended ``[candidates]``.
        costs: what each took ``[candidates]``.
        timing: whence the hours are known, in words.
        assumed: the hours are, and say no more than the number of trials.
        notes: what else a person should know.
    """

    name: str
    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    records: tuple[Record, ...] = field(repr=False)
    costs: tuple[Cost, ...] = field(repr=False)
    timing: str
    assumed: bool
    notes: tuple[str, ...] = ()

    @property
    def known_impossible(self) -> tuple[()]:
        """None: what a table does not hold is not in its space."""
        return ()

    @cached_property
    def rows(self) -> Mapping[tuple[object, ...], int]:
        return {candidate.key: row for row, candidate in enumerate(self.space.candidates)}

    @cached_property
    def possible(self) -> NDArray[np.bool_]:
        return np.array([record.state == "complete" for record in self.records])

    @cached_property
    def gains(self) -> Floats:
        values = [
            [r.metrics[o.metric].value if r.state == "complete" else np.nan for r in self.records]
            for o in self.objectives
        ]
        return np.stack([gain(o, np.array(v)) for o, v in zip(self.objectives, values, strict=True)], axis=1)

    @cached_property
    def reference(self) -> Floats:
        """The worst of each objective among what is possible; a step below it where all are equal."""
        gains = self.gains[self.possible]
        worst = gains.min(axis=0)
        return np.asarray(np.where(gains.max(axis=0) > worst, worst, worst - 1.0))

    @cached_property
    def full(self) -> float:
        return hypervolume(self.gains[self.possible], self.reference)

    def record(self, number: int, row: int, rng: np.random.Generator) -> Record:
        """What was recorded; nothing is drawn."""
        return replace(self.records[row], number=number)

    def hours(self, rows: Sequence[int]) -> Floats:
        paid: set[Hashable] = set()
        spent_s = np.zeros(len(rows))
        for place, row in enumerate(rows):
            new = {work: seconds for work, seconds in self.costs[row].items() if work not in paid}
            spent_s[place] = sum(new.values())
            paid |= new.keys()
        return np.asarray(np.cumsum(spent_s) / 3600)
