"""What a study tells whoever watches it: the terminal, a notebook, a test."""

from __future__ import annotations

from typing import Protocol

from explorer.config import Experiment
from explorer.result import Record
from explorer.space import Candidate


class Watcher(Protocol):
    """Whoever wants to see how a study goes."""

    def begins(self, experiment: Experiment, *, planned: int, records: tuple[Record, ...], note: str) -> None:
        """A run starts; `records` are what earlier runs of the same study left."""

    def trial(self, candidate: Candidate) -> None:
        """A candidate's turn on a device has come."""

    def recorded(self, record: Record, *, done: int, planned: int, eta_s: float) -> None:
        """A record is on the disk."""

    def racing(self, *, undecided: int) -> None:
        """Candidates whose rank is undecided are measured again; so many are undecided at the moment."""

    def note(self, text: str) -> None:
        """Something worth a line."""
