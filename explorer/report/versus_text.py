"""A comparison of two devices as a page for the terminal, Markdown, HTML, and data for scripts.

Comparison ──► blocks: headings, sentences, grids ──┬── table   folded to the terminal's width
           │                                        ├── md
           │                                        └── html
           └──► json
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from explorer.errors import BadInput, Problem
from explorer.registry import nearest
from explorer.report import versus_words as words
from explorer.report import wording
from explorer.report.contrast import Effect, Pair, Ranking, Reversal, Shift
from explorer.report.remarks import footnotes
from explorer.report.sheet import Sheet
from explorer.report.text import cell, escape_markdown, finite
from explorer.report.versus import Comparison, compare, device_of

MOST_ROWS = 12  # of a grid on the terminal


@dataclass(frozen=True)
class Block:
    """A part of the page: a heading, sentences below it, and a grid whose first row is its head; all may be empty."""

    heading: str = ""
    sentences: tuple[str, ...] = ()
    grid: tuple[tuple[str, ...], ...] = ()
    level: int = 2


def render(folder: Path, other: Path, *, format: str) -> str:
    """Compare two results folders in one of `FORMATS`.

    Raises:
        BadInput: no such format, no such study, or studies that cannot be compared.
    """
    if format not in FORMATS:
        allowed, hint = ", ".join(FORMATS), nearest(format, list(FORMATS))
        raise BadInput(Problem("no such format of a comparison", seen=repr(format), allowed=allowed, hint=hint))
    return FORMATS[format](compare(folder, other))


def blocks(comparison: Comparison) -> Iterator[Block]:
    """The page, part by part."""
    a, b = device_of(comparison.a), device_of(comparison.b)
    head = f"{comparison.a.name}: A = {a}, B = {b}"
    told = f"{len(comparison.pairs)} candidates are complete on both."
    yield Block(head, (words.verdict(comparison), told, *comparison.notes), level=1)
    yield Block("The devices", grid=(("", "A", "B"), *comparison.facts))
    for ranking in comparison.rankings:
        yield Block(_heading(ranking), tuple(_sentences(comparison, ranking)), _grid(comparison, ranking))
    legend = [f"candidates: {comparison.a.key_to_short_names}"] if comparison.a.key_to_short_names else []
    yield Block("The fronts", (*words.fronts(comparison), *legend, *_footnotes(comparison)))


def as_table(comparison: Comparison, *, width: int | None = None, colour: bool | None = None) -> str:
    """For eyes, on a terminal; of long grids the ends are shown.

    Args:
        comparison: what to show.
        width: columns, if not the terminal's.
        colour: whether to use it, if the terminal is not to decide.
    """
    sheet = Sheet(width=width, colour=colour)
    console = sheet.console
    for block in blocks(comparison):
        console.print(Text(f"\n{block.heading}" if block.level > 1 else block.heading, style="bold"))
        for sentence in block.sentences:
            console.print(Text(sentence))
        if block.grid:
            console.print(_table(block.grid))
            if len(block.grid) > MOST_ROWS + 1:
                left = len(block.grid) - 1 - MOST_ROWS
                console.print(Text(f"… and {left} more (--format md has all)", style="dim"))
    return sheet.text


def as_markdown(comparison: Comparison) -> str:
    """For pasting."""
    parts = []
    for block in blocks(comparison):
        parts.append(f"{'#' * (block.level + 1)} {escape_markdown(block.heading)}")
        if block.sentences:
            parts.append("\n".join(f"- {escape_markdown(sentence)}" for sentence in block.sentences))
        if block.grid:
            rule = ["---", *["---:" for _ in block.grid[0][1:]]]
            rows = [block.grid[0], rule, *block.grid[1:]]
            parts.append("\n".join(f"| {' | '.join(map(escape_markdown, row))} |" for row in rows))
    return "\n\n".join(parts) + "\n"


def as_html(comparison: Comparison) -> str:
    """One self-contained page in the dress of the other."""
    page = files("explorer.report") / "page"
    style = (page / "page.css").read_text("utf-8") + (page / "versus.css").read_text("utf-8")
    body = "\n".join(_section(block) for block in blocks(comparison))
    title = html.escape(f"{comparison.a.name}: two devices")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body class="versus">\n{body}\n</body>\n</html>\n'
    )


def as_json(comparison: Comparison) -> str:
    """The object that scripts read. Effects are gains: logarithms of ratios where ``relative``, else differences."""
    both, only_a, only_b = comparison.fronts
    content: dict[str, Any] = {
        "study": comparison.a.name,
        "devices": {"A": device_of(comparison.a), "B": device_of(comparison.b)},
        "facts": [{"name": name, "A": a, "B": b} for name, a, b in comparison.facts],
        "candidates": len(comparison.pairs),
        "verdict": words.verdict(comparison),
        "objectives": [_ranking(comparison, ranking) for ranking in comparison.rankings],
        "fronts": {"both": _params(both), "only_A": _params(only_a), "only_B": _params(only_b)},
        "notes": list(comparison.notes),
    }
    return json.dumps(finite(content), indent=2, allow_nan=False) + "\n"


FORMATS = {"table": as_table, "json": as_json, "md": as_markdown, "html": as_html}


def _heading(ranking: Ranking) -> str:
    better = "more is better" if ranking.objective.direction == "max" else "less is better"
    return f"{wording.heading(ranking.objective.metric)}, {better}"


def _sentences(comparison: Comparison, ranking: Ranking) -> Iterator[str]:
    yield from words.agreement(ranking)
    yield from words.bests(comparison, ranking)
    yield from words.shifts(ranking)
    yield from words.reversals(comparison, ranking)


def _grid(comparison: Comparison, ranking: Ranking) -> tuple[tuple[str, ...], ...]:
    """Every candidate with its value and its place on both devices, in the order of A; none where they never differ."""
    if ranking.farthest == 0:
        return ()
    metric = ranking.objective.metric
    place = {id(pair): number for number, pair in enumerate(ranking.ranked_b, start=1)}
    rows = (
        (words.name(comparison, p), cell(p.a, metric), f"{i}.", cell(p.b, metric), f"{place[id(p)]}.")
        for i, p in enumerate(ranking.ranked_a, start=1)
    )
    return (("candidate", "A", "place", "B", "place"), *rows)


def _footnotes(comparison: Comparison) -> list[str]:
    metrics = [ranking.objective.metric for ranking in comparison.rankings]
    marked = [
        *footnotes(comparison.a, [pair.a for pair in comparison.pairs], metrics),
        *footnotes(comparison.b, [pair.b for pair in comparison.pairs], metrics),
    ]
    return [note for note in dict.fromkeys(marked) if not note.startswith(wording.DOUBTFUL)]


def _table(grid: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold cyan")
    words_only = _is_words(grid)
    for number, head in enumerate(grid[0]):
        table.add_column(Text(head), justify="left" if number == 0 or words_only else "right", overflow="fold")
    for row in grid[1 : MOST_ROWS + 1]:
        table.add_row(*map(Text, row))
    return table


def _is_words(grid: Sequence[tuple[str, ...]]) -> bool:
    """Whether a grid holds words, read from the left, and not numbers that are compared digit by digit."""
    return grid[0][0] == ""


def _section(block: Block) -> str:
    parts = [f"<h{block.level}>{html.escape(block.heading)}</h{block.level}>"]
    if block.sentences:
        parts.append(f"<ul>{''.join(f'<li>{html.escape(sentence)}</li>' for sentence in block.sentences)}</ul>")
    if block.grid:
        head = "".join(f"<th>{html.escape(text)}</th>" for text in block.grid[0])
        rows = "".join(f"<tr>{''.join(f'<td>{html.escape(t)}</td>' for t in row)}</tr>" for row in block.grid[1:])
        look = ' class="words"' if _is_words(block.grid) else ""
        parts.append(
            f'<div class="scroll"><table{look}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        )
    return f"<section>{''.join(parts)}</section>"


def _ranking(comparison: Comparison, ranking: Ranking) -> dict[str, Any]:
    return {
        "metric": ranking.objective.metric,
        "direction": ranking.objective.direction,
        "relative": ranking.relative,
        "tau_b": ranking.tau,
        "couples": {"same": ranking.same, "opposite": ranking.opposite, "open": ranking.open},
        "best": {"A": dict(ranking.ranked_a[0].params), "B": dict(ranking.ranked_b[0].params)},
        "largest_difference": ranking.farthest,
        "reversals": [_contrast(reversal) for reversal in ranking.reversals],
        "shifts": [_shift(shift) for shift in ranking.shifts],
        "sentences": list(_sentences(comparison, ranking)),
    }


def _contrast(reversal: Reversal) -> dict[str, Any]:
    ends = {"before": dict(reversal.before.params), "after": dict(reversal.after.params)}
    return {**ends, "A": _gain(reversal.on_a), "B": _gain(reversal.on_b)}


def _shift(shift: Shift) -> dict[str, Any]:
    change = {"axis": shift.axis, "before": shift.before, "after": shift.after, "couples": shift.count}
    return {**change, "A": _gain(shift.on_a), "B": _gain(shift.on_b)}


def _gain(effect: Effect) -> dict[str, float]:
    return effect._asdict()


def _params(pairs: Sequence[Pair]) -> list[Mapping[str, Any]]:
    return [dict(pair.params) for pair in pairs]
