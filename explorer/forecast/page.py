"""A forecast for people, in 80 columns, and for scripts."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from explorer.forecast.forecast import Forecast, Work
from explorer.impossible import sentence

WIDTH = 80
_HEAD = f"{'work':<10}{'done':>7}{'to do':>14}{'s each':>9}{'hours':>17}  known from"


def page(found: Forecast) -> str:
    """The forecast as a table of 80 columns, with what each figure is from below it."""
    sources = list(dict.fromkeys(work.each.source for work in found.work if work.most))
    lines = [*_about(found), "", _HEAD, "─" * WIDTH]
    lines += [_line(work, sources) for work in found.work if work.need.serves or work.need.done]
    if found.race_s:
        lines.append(f"{'races':<10}{'':>7}{'':>14}{'':>9}{_range(0.0, found.race_s / 3600):>17}  at most")
    lines += ["─" * WIDTH, f"{'in all':<40}{_range(*found.hours):>17}", ""]
    for number, source in enumerate(sources, 1):
        lines += _wrapped(f"({number}) {source}", indent=4)
    return "\n".join([*lines, *_below(found)])


def as_json(found: Forecast) -> str:
    """The same for scripts; hours and counts as at least and at most."""
    told = {
        "study": found.study,
        "board": {"connected": found.board.connected, "words": found.board.words},
        "candidates": found.impossible.candidates,
        "impossible": None if found.board.capabilities is None else found.impossible.to_json(),
        "tried": found.tried,
        "untried": found.untried,
        "trials": found.trials,
        "work": [_object(work) for work in found.work],
        "race_hours": found.race_s / 3600,
        "hours": dict(zip(("least", "most"), found.hours, strict=True)),
        "limit_hours": None if found.left_s is None else found.left_s / 3600,
        "trials_within_limit": None
        if found.within is None
        else dict(zip(("least", "most"), found.within, strict=True)),
    }
    return json.dumps(told, indent=2)


def _about(found: Forecast) -> Iterator[str]:
    space, count = found.impossible, len(found.impossible.reasons)
    known = f"{count:,} impossible" if found.board.capabilities is not None else "an unknown number impossible"
    head = f"{found.study}: {space.candidates:,} candidates, {known}, {found.tried:,} tried"
    yield from _wrapped(f"{head}; {found.trials:,} of the {found.untried:,} that are left may be tried")
    yield from _wrapped(found.board.words)
    if count:
        yield from _wrapped(sentence(space.to_json(), space.candidates), indent=2)


def _below(found: Forecast) -> Iterator[str]:
    if found.left_s is not None and found.within is not None:
        enough = " to ".join(dict.fromkeys(f"{many:,}" for many in found.within))
        yield from _wrapped(
            f"{_hours(found.left_s / 3600)} h are left of the limit of time: enough for {enough} trials"
        )
    least, most = found.hours
    boards = f"; {found.boards} boards share the work" if found.boards > 1 else ""
    how = (
        "least: trials that share as much work as can be, host and board at work at the same time; most: trials that "
        f"share as little as can be, one after the other{boards}; "
    )
    yield from _wrapped(f"{how if least < most else ''}less where nothing is left to gain")
    yield "nothing was started, nor written to the results"


def _line(work: Work, sources: list[str]) -> str:
    counts = f"{work.least:,}" if work.least == work.most else f"{work.least:,} to {work.most:,}"
    if not work.most:
        return f"{work.need.name:<10}{work.need.done:>7,}{counts:>14}"
    known = f"{'measured' if work.each.measured else 'assumed'} ({sources.index(work.each.source) + 1})"
    each = f"{work.each.seconds:.3g}" if work.each.seconds < 1000 else f"{work.each.seconds:.0f}"
    return f"{work.need.name:<10}{work.need.done:>7,}{counts:>14}{each:>9}{_range(*work.hours):>17}  {known}"


def _range(low: float, high: float) -> str:
    return _hours(low) if _hours(low) == _hours(high) else f"{_hours(low)} to {_hours(high)}"


def _hours(value: float) -> str:
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _object(work: Work) -> dict[str, object]:
    least, most = work.hours
    return {
        "stage": work.need.name,
        "done": work.need.done,
        "least": work.least,
        "most": work.most,
        "seconds_each": work.each.seconds,
        "measured": work.each.measured,
        "source": work.each.source,
        "hours": {"least": least, "most": most},
    }


def _wrapped(words: str, *, indent: int = 0) -> list[str]:
    return textwrap.wrap(words, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)
