"""What becomes of a candidate before a board sees it: its network is made."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from explorer.compression import Compression
from explorer.pipeline import Done, Pipeline
from explorer.space import Candidate


class Workshop(Protocol):
    """Whoever prepares candidates."""

    def prepare(self, candidate: Candidate) -> Future[Done]:
        """The candidate's network, in the making."""


@dataclass(frozen=True)
class Compressing:
    """Networks are compressed for boards, and previewed where that may spare a board the work."""

    compression: Compression
    pipeline: Pipeline
    previewed: bool = False

    def prepare(self, candidate: Candidate) -> Future[Done]:
        return self.pipeline.prepare(self.compression.of(candidate, previewed=self.previewed))


class NothingToMake:
    """Everything was made and measured before."""

    def prepare(self, candidate: Candidate) -> Future[Done]:
        done: Future[Done] = Future()
        done.set_result(Done(""))
        return done
