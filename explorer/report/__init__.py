"""Reports: what a results folder has to say, in six formats. Reads only, runs nothing; needs neither torch nor optuna.

results folder ──► view ──┬── table       for eyes, on a terminal        ┐
                          ├── text        json, csv, md                  │ quick: no pandas, matplotlib or plotly
                          ├── recommend   one trial, with reasons        ┘
                          ├── plots       png, by matplotlib
                          ├── html        one file, interactive, by plotly
                          ├── notebook    pandas frames
two results folders ──────┴── versus      the same space on two devices: what is the other way round

What is said beside the figures is the same in every format: `flags` (doubts in sentences), `remarks` (how sure the
front is, what is not on it and why), `control` (the reference engine over time), `method` (how it was measured).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from explorer.errors import BadInput, Problem
from explorer.registry import nearest
from explorer.report.view import View, load


@dataclass(frozen=True)
class Format:
    """One way to write a report.

    Attributes:
        target: the function that writes it, loaded when it is needed.
        suffix: of a file that holds it.
        summary: one line for people.
        needs_output: not for a terminal; it has to go into a file.
    """

    target: str
    suffix: str
    summary: str
    needs_output: bool = False


FORMATS: Mapping[str, Format] = {
    "table": Format("explorer.report.table:as_table", ".txt", "a table that fits the terminal"),
    "csv": Format("explorer.report.text:as_csv", ".csv", "one row a trial, intervals in columns of their own"),
    "json": Format("explorer.report.text:as_json", ".json", "for scripts: front, hypervolume, counts of trials"),
    "md": Format("explorer.report.text:as_markdown", ".md", "a Markdown table"),
    "html": Format("explorer.report.html:as_html", ".html", "one self-contained interactive page", needs_output=True),
    "png": Format("explorer.report.plots:as_png", ".png", "a plot of each pair of objectives", needs_output=True),
}


def render(folder: Path, *, pareto: bool, format: str) -> str | bytes:
    """Write a report on a results folder.

    Args:
        folder: results/<study>.
        pareto: only the front; otherwise every complete trial.
        format: one of `FORMATS`.

    Returns:
        Text, or bytes for a picture.

    Raises:
        BadInput: no such format, or the folder holds no study that can be read.
    """
    if format not in FORMATS:
        hint = nearest(format, list(FORMATS))
        raise BadInput(Problem("unknown report format", seen=repr(format), allowed=", ".join(FORMATS), hint=hint))
    module, _, name = FORMATS[format].target.partition(":")
    write = cast(Callable[..., str | bytes], getattr(import_module(module), name))
    return write(load(folder), pareto=pareto)


def write(folder: Path, *, pareto: bool, format: str, output: Path | None, versus: Path | None = None) -> str:
    """Write a report to a file, or return it for the terminal.

    Args:
        folder: results/<study>.
        pareto: only the front; otherwise every complete trial.
        format: one of `FORMATS`; of a comparison, one of `explorer.report.versus_text.FORMATS`.
        output: the file; None for the terminal.
        versus: another results folder, to compare with.

    Returns:
        What to print: the report, or where it was written.

    Raises:
        BadInput: no such format or study; studies that cannot be compared; a file that cannot be written.
    """
    if output is None and format in FORMATS and FORMATS[format].needs_output:
        output = folder / f"{'versus' if versus else 'report'}{FORMATS[format].suffix}"
    content: str | bytes
    if versus is not None:
        from explorer.report import versus_text

        content = versus_text.render(folder, versus, format=format)
    else:
        content = render(folder, pareto=pareto, format=format)
    if output is None:
        return str(content)
    try:
        output.write_bytes(content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise BadInput(Problem("cannot write the report", file=output, seen=error.strerror or str(error))) from error
    return str(output)


__all__ = ["FORMATS", "Format", "View", "load", "render", "write"]
