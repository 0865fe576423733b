"""What a results folder holds; reading never waits for, nor disturbs, a run that writes to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from explorer.errors import BadInput, Problem
from explorer.result import Objective, Record
from explorer.space import Candidate
from explorer.store.files import read_json, whole_objects
from explorer.store.places import BOARDS, RACES, RUNS, STUDY, TRIALS, race_path, raw_path, score_path
from explorer.tally import Tally

# The format of study.json. 1: first.
STUDY_FORMAT = 1


@dataclass(frozen=True)
class StudyData:
    """A results folder as read."""

    folder: Path
    study: Mapping[str, Any]  # study.json
    records: tuple[Record, ...]

    @property
    def name(self) -> str:
        return str(self.study["study"])

    @cached_property
    def races(self) -> tuple[dict[str, Any], ...]:
        """What `Store.append_race` has written, the oldest first."""
        return tuple(whole_objects(self.folder / RACES))

    @cached_property
    def boards(self) -> tuple[dict[str, Any], ...]:
        """What `Store.append_board` has written, the oldest first."""
        return tuple(whole_objects(self.folder / BOARDS))

    @cached_property
    def runs(self) -> tuple[dict[str, Any], ...]:
        """What `Store.append_run` has written, the oldest first."""
        return tuple(whole_objects(self.folder / RUNS))

    @property
    def space_size(self) -> int | None:
        """How many candidates the space has, impossible ones included; None where no run has told."""
        return next((int(line["candidates"]) for line in reversed(self.runs) if "candidates" in line), None)

    @property
    def impossible(self) -> list[dict[str, Any]]:
        """What the last run knew to be impossible before it began: {"count", "reason", "source"}, commonest first."""
        return next((list(line["impossible"]) for line in reversed(self.runs) if "impossible" in line), [])

    @property
    def ruled_out(self) -> list[dict[str, Any]]:
        """What trials have shown to be impossible, {"trial", "because", "left_out"}, and none has disproved since."""
        last = {json.dumps(line["because"], sort_keys=True): line for line in self.runs if "left_out" in line}
        fixed = self.study.get("experiment", {}).get("fixed", {}) if last else {}
        worked = [Candidate(record.params, fixed) for record in self.records if record.ran]
        return [line for line in last.values() if not any(one.has(line["because"]) for one in worked)]

    @property
    def ended(self) -> dict[str, Any] | None:
        """Why the last run ended, {"ended", "why", "trials"}; None while one is under way, or was interrupted."""
        return self.runs[-1] if self.runs and "ended" in self.runs[-1] else None

    def tallies(self, number: int) -> dict[str, Tally]:
        """The counts behind the scores of a trial, by metric; those that were kept."""
        score = read_json(score_path(self.folder, number)) or {}
        return {name: Tally.from_json(data) for name, data in score.items() if "kind" in data}

    def score(self, number: int) -> dict[str, Any] | None:
        """What was kept of a trial's score, as plain JSON; None for nothing."""
        return read_json(score_path(self.folder, number))

    def raw(self, number: int) -> dict[str, Any] | None:
        """What was kept of a trial's measurement, as plain JSON; None for nothing."""
        return read_json(raw_path(self.folder, number))

    def raw_race(self, number: int) -> dict[str, Any] | None:
        """What was kept of a race's measurement, as plain JSON; None for nothing."""
        return read_json(race_path(self.folder, number))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return tuple(Objective(o["metric"], o["direction"]) for o in self.study["objectives"])


def read(folder: Path) -> StudyData:
    """Read a results folder; never waits for, nor disturbs, a run that writes to it.

    Raises:
        BadInput: there is no study in the folder, or it cannot be read.
    """
    return StudyData(folder, read_study(folder), tuple(records_of(folder / TRIALS)))


def read_study(folder: Path) -> dict[str, Any]:
    """The content of ``study.json``.

    Raises:
        BadInput: the file is absent, broken, or of a newer format.
    """
    path = folder / STUDY
    try:
        data: Any = json.loads(path.read_text())
    except FileNotFoundError as error:
        hint = "give the folder that holds study.json, usually results/<study>; 'explorer run' makes one"
        raise BadInput(Problem("no study here", file=folder, seen=f"no {STUDY}", hint=hint)) from error
    except (OSError, ValueError) as error:
        raise BadInput(Problem("cannot read the study", file=path, seen=str(error))) from error
    if not isinstance(data, dict) or data.get("format", 0) > STUDY_FORMAT:
        seen = f"format {data.get('format')}" if isinstance(data, dict) else "not a JSON object"
        raise BadInput(Problem("cannot read the study", file=path, seen=seen, allowed=f"format {STUDY_FORMAT}"))
    return dict(data)


def newest(results: Path) -> Path:
    """The study folder below `results` that was written to last.

    Raises:
        BadInput: there is none.
    """
    studies = [path.parent for path in results.glob(f"*/{STUDY}")]
    if not studies:
        raise BadInput(Problem("no study yet", file=results, hint="run one first: explorer run --space quickstart"))
    return max(studies, key=_last_written)


def _last_written(folder: Path) -> float:
    trials = folder / TRIALS
    return (trials if trials.exists() else folder / STUDY).stat().st_mtime


def records_of(path: Path) -> Iterator[Record]:
    content = path.read_bytes() if path.exists() else b""
    lines = content.split(b"\n")[:-1]  # what follows the last newline was never finished
    for number, line in enumerate(lines, start=1):
        try:
            yield Record.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            problem = Problem(
                "cannot read this record", file=path, line=number, seen=f"{type(error).__name__}: {error}"
            )
            raise BadInput(problem) from error
