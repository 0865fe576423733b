"""What becomes of a candidate before a board sees it: can it work at all, and which network is it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from explorer.compression import Compression
from explorer.errors import Infeasible, on_board
from explorer.fleet import Fleet
from explorer.oracle import Foresight
from explorer.pipeline import Done, Pipeline
from explorer.space import Candidate


class Workshop(Protocol):
    """Whoever prepares candidates."""

    def refusal(self, candidate: Candidate) -> Infeasible | None:
        """Why no board of the fleet can run a candidate, as far as that is known before anything is made for it."""

    def prepare(self, candidate: Candidate) -> Future[Done]:
        """The candidate's network, in the making."""


@dataclass(frozen=True)
class Compressing:
    """Networks are compressed for boards."""

    compression: Compression
    pipeline: Pipeline
    foresight: Foresight
    fleet: Fleet

    def refusal(self, candidate: Candidate) -> Infeasible | None:
        board = self.fleet.any
        if why := self.foresight.before(candidate.deployment):  # first: it names the source of what it says
            return Infeasible(on_board(board.name, why))
        try:
            board.check(candidate.deployment)
        except Infeasible as refusal:
            return refusal
        return None

    def prepare(self, candidate: Candidate) -> Future[Done]:
        return self.pipeline.prepare(self.compression.of(candidate))


class NothingToMake:
    """Everything was made and measured before."""

    def refusal(self, candidate: Candidate) -> Infeasible | None:
        return None

    def prepare(self, candidate: Candidate) -> Future[Done]:
        done: Future[Done] = Future()
        done.set_result(Done(""))
        return done
