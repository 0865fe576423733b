"""The ways to write a comparison down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import cast

from explorer.errors import BadInput, Problem
from explorer.registry import nearest
from explorer.replay.problem import Replayed
from explorer.replay.summary import Courses
from explorer.report import Format

FORMATS: Mapping[str, Format] = {
    "table": Format("explorer.replay.text:as_table", ".txt", "medians and quartiles that fit the terminal"),
    "csv": Format("explorer.replay.text:as_csv", ".csv", "one row a search: trials and hours to each share"),
    "json": Format("explorer.replay.text:as_json", ".json", "for scripts: the summary, and every search"),
    "html": Format("explorer.replay.page:as_html", ".html", "one self-contained page", needs_output=True),
    "png": Format("explorer.replay.curves:as_png", ".png", "share of the hypervolume over time", needs_output=True),
}


def check_format(format: str) -> None:
    """See that a format is known, before hours are spent.

    Raises:
        BadInput: it is not.
    """
    if format not in FORMATS:
        hint = nearest(format, list(FORMATS))
        raise BadInput(
            Problem("unknown format", path="--format", seen=repr(format), allowed=", ".join(FORMATS), hint=hint)
        )


def write(problem: Replayed, courses: Courses, *, format: str, output: Path | None) -> str:
    """Write a comparison to a file, or return it for the terminal.

    Returns:
        What to print: the comparison, or where it was written.

    Raises:
        BadInput: no such format; a file that cannot be written.
    """
    check_format(format)
    chosen = FORMATS[format]
    if output is None and chosen.needs_output:
        output = Path(f"replay-{problem.name}{chosen.suffix}")
    module, _, name = chosen.target.partition(":")
    content = cast(Callable[[Replayed, Courses], str | bytes], getattr(import_module(module), name))(problem, courses)
    if output is None:
        return str(content)
    try:
        output.write_bytes(content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise BadInput(Problem("cannot write the comparison", output, seen=error.strerror or str(error))) from error
    return str(output)
