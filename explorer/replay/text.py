"""A comparison as text: a table for the terminal, CSV and JSON for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from explorer.replay.course import UNTIL, Course, Goal
from explorer.replay.problem import Replayed
from explorer.replay.summary import SHARES, Courses, checkpoints, cost, median, share_at
from explorer.report.sheet import Sheet

Lines = Sequence[Sequence[str]]  # of a table, its heading first

TRIALS = {share: Goal(share, "evaluations") for share in SHARES}
HOURS = {share: Goal(share, "hours") for share in SHARES}


def as_table(problem: Replayed, courses: Courses) -> str:
    """Medians and quartiles, and what has to be said of them."""
    sheet = Sheet()
    for text in about(problem, courses):
        sheet.console.print(Text(text))
    for title, lines in tables(problem, courses):
        sheet.console.print(Text(f"\n{title}", style="bold"))
        sheet.console.print(_table(lines))
    for text in footnotes(problem, courses):
        sheet.console.print(Text(text, style="dim"))
    return sheet.text


def about(problem: Replayed, courses: Courses) -> Iterator[str]:
    """What was searched, and how often."""
    seeds = len(next(iter(courses.values())))
    impossible = f"{int((~problem.possible).sum())} impossible or against a constraint"
    yield f"{problem.name}: {problem.space.size} candidates, {impossible}; {seeds} searches a sampler"
    yield f"wanted: {', '.join(f'{o.metric} {o.direction}' for o in problem.objectives)}" + (
        f"; constraints: {', '.join(map(str, problem.constraints))}" if problem.constraints else ""
    )
    yield from problem.notes


def tables(problem: Replayed, courses: Courses) -> Iterator[tuple[str, Lines]]:
    """Each with its title."""
    heads = [f"{share:.0%}" for share in SHARES]
    rows = [[name, *(cost(all_, goal).said(0) for goal in TRIALS.values())] for name, all_ in courses.items()]
    yield "trials to a share of the exhaustive hypervolume", [["sampler", *heads], *rows]
    digits = 2 if max(course.hours[-1] for all_ in courses.values() for course in all_) >= 1 else 3
    rows = [[name, *(cost(all_, goal).said(digits) for goal in HOURS.values())] for name, all_ in courses.items()]
    yield f"hours to it{' (assumed)' if problem.assumed else ''}", [["sampler", *heads], *rows]
    counts = checkpoints([course for all_ in courses.values() for course in all_])
    rows = [[name, *(f"{share_at(all_, count):.3f}" for count in counts)] for name, all_ in courses.items()]
    yield "share after so many trials", [["sampler", *map(str, counts)], *rows]


def footnotes(problem: Replayed, courses: Courses) -> Iterator[str]:
    """How it was counted."""
    yield "median (quartiles) of the searches; – not reached"
    yield f"a search that has come to {UNTIL:.0%} has ended, and keeps what it had"
    yield f"hours: {problem.timing}"
    asks = ", ".join(f"{name} {median(all_, lambda c: c.ask_ms):.1f}" for name, all_ in courses.items())
    yield f"ms of processor time an ask: {asks}"


def as_csv(problem: Replayed, courses: Courses) -> str:
    """One row a search; what it did not come to is empty."""
    file = io.StringIO()
    goals = {
        f"{goal.unit if goal.unit == 'hours' else 'trials'}_to_{share:.0%}".rstrip("%"): goal
        for goals in (TRIALS, HOURS)
        for share, goal in goals.items()
    }
    counts = checkpoints([course for all_ in courses.values() for course in all_])
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["sampler", "seed", "trials", *goals, *(f"share_at_{count}" for count in counts)])
    for course in (course for all_ in courses.values() for course in all_):
        costs = [_finite(goal.cost(course)) for goal in goals.values()]
        shares = [course.share_at(count) for count in counts]
        writer.writerow([course.sampler, course.seed, len(course.rows), *costs, *shares])
    return file.getvalue()


def as_json(problem: Replayed, courses: Courses) -> str:
    """The object that scripts read: what was searched, medians and quartiles, and every search."""
    content: dict[str, Any] = {
        "name": problem.name,
        "candidates": problem.space.size,
        "impossible": int((~problem.possible).sum()),
        "objectives": [{"metric": o.metric, "direction": o.direction} for o in problem.objectives],
        "constraints": list(map(str, problem.constraints)),
        "hours": {"known": problem.timing, "assumed": problem.assumed},
        "samplers": {name: _summary(all_) for name, all_ in courses.items()},
        "searches": [_search(course) for all_ in courses.values() for course in all_],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _summary(courses: Sequence[Course]) -> dict[str, Any]:
    return {
        unit: {f"{share:g}": dict(zip(("median", "low", "high"), map(_finite, cost(courses, goal)), strict=True))}
        for unit, goals in (("trials", TRIALS), ("hours", HOURS))
        for share, goal in goals.items()
    }


def _search(course: Course) -> dict[str, Any]:
    return {"sampler": course.sampler, "seed": course.seed, "shares": list(course.shares), "hours": list(course.hours)}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _table(lines: Lines) -> Table:
    head, *rows = lines
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold cyan")
    for place, name in enumerate(head):
        table.add_column(Text(name), justify="right" if place else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
