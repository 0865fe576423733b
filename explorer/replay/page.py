"""A comparison as one self-contained page: the curves and the tables, with no script and no need of a network."""

from __future__ import annotations

import html
from importlib.resources import files

from explorer.replay.curves import as_svg
from explorer.replay.problem import Replayed
from explorer.replay.summary import Courses
from explorer.replay.text import Lines, about, footnotes, tables

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}
figure {{ margin: 1rem 0; padding: 0.5rem; background: #ffffff; }}
table {{ width: auto; }}
th:first-child, td:first-child {{ text-align: left; }}
figure svg {{ max-width: 100%; height: auto; }}
</style>
</head>
<body>
<header><div><h1>{title}</h1>{about}</div></header>
<figure>{picture}</figure>
{tables}
<footer><ul>{footnotes}</ul></footer>
</body>
</html>
"""


def as_html(problem: Replayed, courses: Courses) -> str:
    """The page."""
    style = (files("explorer.report") / "page" / "page.css").read_text("utf-8")
    picture = as_svg(problem, courses)
    return _PAGE.format(
        title=html.escape(f"{problem.name}: samplers compared"),
        style=style,
        about="".join(f"<p>{html.escape(text)}</p>" for text in about(problem, courses)),
        picture=picture[picture.index("<svg") :],
        tables="\n".join(_table(title, lines) for title, lines in tables(problem, courses)),
        footnotes="".join(f"<li>{html.escape(text)}</li>" for text in footnotes(problem, courses)),
    )


def _table(title: str, lines: Lines) -> str:
    head, *rows = lines
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f"<section><h2>{html.escape(title)}</h2>{table}</section>"
