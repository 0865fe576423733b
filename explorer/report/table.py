"""The table on a terminal: as much as fits the width, and a word about what did not fit.

What gives way, in this order, until the table fits: metrics that are no objective (the last first); then the axes fold
into one column, ``p0.2 int8 openvino b4 t2``; then the intervals go; and last, rows wrap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.table import Table
from rich.text import Text

from explorer.report import method, wording
from explorer.report.control import about_the_reference
from explorer.report.remarks import remarks
from explorer.report.sheet import Sheet
from explorer.report.text import cell, number_of
from explorer.report.view import View
from explorer.result import Record

_GAP = 2  # blanks between columns


@dataclass(frozen=True)
class _Layout:
    """Which columns there are, and how full they are."""

    axes: tuple[str, ...]
    metrics: tuple[str, ...]
    intervals: bool = True
    folded: bool = False


@dataclass(frozen=True)
class _Column:
    head: str  # one word a line
    cells: tuple[str, ...]
    right: bool = True

    @property
    def width(self) -> int:
        return max(len(line) for text in (self.head, *self.cells) for line in text.split("\n"))


def as_table(view: View, *, pareto: bool, width: int | None = None, colour: bool | None = None) -> str:
    """The front, or every complete trial, as a table with its headline and footnotes.

    Args:
        view: the study.
        pareto: only the front.
        width: columns, if not the terminal's.
        colour: whether to use it, if the terminal is not to decide.
    """
    sheet = Sheet(width=width, colour=colour)
    console = sheet.console
    console.print(Text(view.headline, style="bold"))
    records = view.front if pareto else view.complete
    if records:
        layout = _fit(records, view, console.width)
        console.print(_table(records, view, layout))
        for remark in _remarks(records, view, layout):
            console.print(Text(remark, style="dim"))
    for note in view.notes:
        console.print(Text(note, style="yellow"))
    return sheet.text


def _fit(records: Sequence[Record], view: View, width: int) -> _Layout:
    """The fullest layout that fits the width."""
    layout = _Layout(axes=view.varied or view.axes, metrics=view.metrics)
    while len(layout.metrics) > len(view.objectives) and not _fits(records, view, layout, width):
        layout = replace(layout, metrics=layout.metrics[:-1])
    if not _fits(records, view, layout, width):
        layout = replace(layout, folded=True)
    if not _fits(records, view, layout, width):
        layout = replace(layout, intervals=False)
    return layout


def _fits(records: Sequence[Record], view: View, layout: _Layout, width: int) -> bool:
    widths = [column.width for column in _columns(records, view, layout)]
    return sum(widths) + _GAP * (len(widths) - 1) <= width


def _columns(records: Sequence[Record], view: View, layout: _Layout) -> Iterator[_Column]:
    yield _Column("trial", tuple(map(number_of, records)))
    if len(view.complete) > 1:
        yield _Column("on\nfront", tuple(wording.chance(view.probability(record)) for record in records))
    if layout.folded:
        yield _Column("candidate", _folded(records, layout.axes), right=False)
    else:
        for axis in layout.axes:
            values = [r.params.get(axis, "–") for r in records]
            wordy = any(isinstance(value, str) and value != "–" for value in values)
            yield _Column("\n".join(wording.title(axis)[0].split()), tuple(map(wording.say, values)), right=not wordy)
    for metric in layout.metrics:
        words, unit = wording.title(metric)
        head = "\n".join([*words.split(), *([unit] if unit else [])])
        yield _Column(head, _aligned([cell(r, metric, interval=layout.intervals) for r in records]))


def _aligned(cells: Sequence[str]) -> tuple[str, ...]:
    """Pad after the numbers, so that intervals and marks stand below each other."""
    values, rests = zip(*(_split(text) for text in cells), strict=True)
    longest = max(map(len, rests))
    return tuple(value + rest.ljust(longest) for value, rest in zip(values, rests, strict=True))


def _split(text: str) -> tuple[str, str]:
    value = text.partition(" ±")[0].rstrip("".join(wording.MEANING))
    return value, text[len(value) :]


def _folded(records: Sequence[Record], axes: Sequence[str]) -> tuple[str, ...]:
    """The axes of each record in one cell: a word speaks for itself, any other value follows its axis' short name."""
    short = wording.short_names(records, axes)
    columns = [[wording.token(r, axis, short) for r in records] for axis in axes]
    padded = [[text.ljust(max(map(len, column))) for text in column] for column in columns]
    return tuple(" ".join(tokens).rstrip() for tokens in zip(*padded, strict=True))


def _table(records: Sequence[Record], view: View, layout: _Layout) -> Table:
    columns = list(_columns(records, view, layout))
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, _GAP - 1, 0, 0), pad_edge=False, header_style="bold cyan"
    )
    for column in columns:
        table.add_column(Text(column.head), justify="right" if column.right else "left", vertical="bottom")
    mixed = any(record.number not in view.on_front for record in records)
    for i, record in enumerate(records):
        style = "bold" if mixed and record.number in view.on_front else None
        table.add_row(*(Text(column.cells[i]) for column in columns), style=style)
    return table


def _remarks(records: Sequence[Record], view: View, layout: _Layout) -> Iterator[str]:
    yield from remarks(view, records, layout.metrics, brief=True)
    yield from about_the_reference(view)
    yield from filter(None, [method.in_one_line(view)])
    shown = [r.metrics[name] for r in records for name in layout.metrics if name in r.metrics]
    if layout.intervals and any(wording.half_width(metric) for metric in shown):
        yield "± 95 % interval"
    short = wording.short_names(records, layout.axes) if layout.folded else {}
    if short:
        yield f"candidate: {', '.join(f'{letters} = {axis}' for axis, letters in short.items())}"
    same = {axis: records[0].params.get(axis, "–") for axis in view.axes if axis not in layout.axes}
    constant = [f"{axis} {wording.say(value)}" for axis, value in same.items()]
    if constant:
        yield f"the same in all trials: {', '.join(constant)}"
    dropped = view.metrics[len(layout.metrics) :]
    missing = [*([f"{len(dropped)} more metrics"] if dropped else []), *([] if layout.intervals else ["intervals"])]
    if missing:
        yield f"not shown for want of width: {', '.join(missing)} (--format csv has all)"
    if view.hypervolume is not None:
        yield f"hypervolume {view.hypervolume:.3f} of the box from the worst to the best complete trial"
