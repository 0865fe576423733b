"""A comparison from what the command line says to what it prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from explorer.replay.contest import Heard, contest
from explorer.replay.formats import check_format, write
from explorer.replay.sources import problem_of


def compare(
    source: str,
    samplers: Sequence[str],
    *,
    seeds: int,
    heard: Heard,
    trials: int | None = None,
    workers: int | None = None,
    objectives: Sequence[str] = (),
    each_s: float | None = None,
    format: str = "table",
    output: Path | None = None,
) -> str:
    """Compare samplers on what `source` names; see `problem_of`, `contest` and `write` for what each word means.

    Raises:
        BadInput: as those three do; before anything is searched, but for a file that cannot be written.
    """
    check_format(format)
    problem = problem_of(source, objectives=objectives, each_s=each_s)
    courses = contest(problem, samplers, seeds=seeds, trials=trials, workers=workers, heard=heard)
    return write(problem, courses, format=format, output=output)
