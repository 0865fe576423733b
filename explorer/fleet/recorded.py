"""A table in the place of a board: the fleet, the loop and the store are the same, and what is asked is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from explorer.config import Experiment
from explorer.errors import JobFailed
from explorer.evaluate import looked_up
from explorer.fleet.duties import Heat, Turn
from explorer.recorded import Recording
from explorer.result import Evaluation
from explorer.scale import Metrics, Scale
from explorer.statistics import Measurement


@dataclass(frozen=True)
class RecordedBoard:
    """A table as a board: it is always there, and can do what it holds."""

    name: str
    recording: Recording
    agent_sha: str = ""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        return {"recorded": self.recording.to_json()}

    @property
    def fingerprint(self) -> str:
        return self.recording.sha256

    def close(self) -> None:
        """There is nothing to let go of."""


@dataclass(frozen=True)
class RecordedDuties:
    """What a study wants of a table."""

    experiment: Experiment
    recording: Recording

    def connect(self, spec: str) -> RecordedBoard:
        return RecordedBoard(spec, self.recording)

    def reference(self, device: RecordedBoard) -> Metrics | None:
        """Nothing is compared: there is one table."""
        return None

    def evaluate(self, device: RecordedBoard, turn: Turn, scale: Scale, *, always_void: bool = False) -> Evaluation:
        """Look a candidate up.

        Raises:
            Infeasible: as for `looked_up`.
        """
        wanted = self.experiment
        return looked_up(turn.candidate, self.recording, wanted.objectives, wanted.constraints)

    def race(self, device: RecordedBoard, heat: Heat) -> Measurement:
        """Refuse: nothing can be measured again.

        Raises:
            JobFailed: always.
        """
        raise JobFailed("a recorded table cannot be measured again", final=True)
