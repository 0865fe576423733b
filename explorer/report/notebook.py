"""A study in a notebook: tidy pandas frames, one row a trial, units in the column names.

study = explorer.load_study()      # the newest below results/; or give a folder
study.trials                       # every trial
study.front()                      # those that no other dominates
study.plot_pareto()                # each pair of objectives
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer import store
from explorer.errors import BadInput, Problem
from explorer.registry import nearest
from explorer.report import wording
from explorer.report.control import about_the_reference
from explorer.report.recommend import Recommendation, recommend
from explorer.report.remarks import remarks
from explorer.report.text import cell, columns, number_of, row
from explorer.report.view import View, load
from explorer.result import Constraint, Record

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_RESULTS = Path("results")


def load_study(path: str | Path | None = None) -> Study:
    """Read a results folder; without a path, the newest study below ``results/``.

    Args:
        path: results/<study>.

    Raises:
        BadInput: there is no study, or it cannot be read.
    """
    return Study(load(store.newest(_RESULTS) if path is None else Path(path).expanduser()))


class Study:
    """A results folder as it was when it was read; `load_study` makes one.

    Attributes:
        view: what all reports are rendered from.
    """

    def __init__(self, view: View) -> None:
        self.view = view

    @property
    def trials(self) -> pd.DataFrame:
        """Every trial, whatever its state: parameters, metrics with ``_low`` and ``_high``, marks, and how it ended."""
        return _frame(self.view, self.view.records)

    def front(self) -> pd.DataFrame:
        """The trials that no other dominates, best in the first objective first; columns as in `trials`."""
        return _frame(self.view, self.view.front)

    def plot_pareto(self, x: str | None = None, y: str | None = None) -> Figure:
        """Each pair of objectives, or two metrics against each other.

        Args:
            x: a metric; by default the first objective that is not `y`.
            y: a metric; by default the first objective that is not `x`.

        Raises:
            BadInput: no trial has such a metric.
        """
        from explorer.report.panel import Panel
        from explorer.report.plots import figure

        if x is None and y is None:
            return figure(self.view)
        along = y or next((name for name in self._objectives if name != x), None)
        across = x or next((name for name in self._objectives if name != along), None)
        for name in filter(None, (across, along)):
            self._check_metric(name)
        return figure(self.view, [Panel(across, along or self._objectives[0])])

    def recommend(self, *requires: str, prefer: str) -> Recommendation:
        """The best trial in `prefer` that keeps what is required, with the reasons.

        Args:
            requires: constraints such as ``"accuracy >= 0.9"``.
            prefer: a metric.

        Raises:
            BadInput: a constraint is not one, or a metric is unknown.
        """
        try:
            wishes = [Constraint.parse(text) for text in requires]
        except ValueError as error:
            raise BadInput(str(error)) from error
        return recommend(self.view, wishes, prefer)

    def __repr__(self) -> str:
        return f"<Study {self.view.headline}>"

    def _repr_html_(self) -> str:
        """The front as a small table with intervals and marks."""
        name, _, counts = self.view.headline.partition(": ")
        said = [*self.view.notes, *remarks(self.view, self.view.front, self._objectives)]
        said += about_the_reference(self.view)
        table = _html_table(self.view, self._objectives) if self.view.front else ""
        lines = "<br>".join(map(html.escape, said))
        return f"<p><b>{html.escape(name)}</b>: {html.escape(counts)}</p>{table}<p>{lines}</p>"

    @property
    def _objectives(self) -> list[str]:
        return [o.metric for o in self.view.objectives]

    def _check_metric(self, name: str) -> None:
        known = self.view.metrics
        if name not in known:
            raise BadInput(Problem("no such metric", seen=name, allowed=", ".join(known), hint=nearest(name, known)))


def _frame(view: View, records: tuple[Record, ...]) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = [
        row(record, view) | {"state": record.state, "reason": record.reason, "previewed": _previewed(record)}
        for record in records
    ]
    metrics = [f"{name}{end}" for name in view.metrics for end in ("", "_low", "_high")]
    frame = pd.DataFrame(rows, columns=columns(view, ending=["state", "reason", "previewed"])).set_index("trial")
    frame["on_front"] = frame["on_front"].astype(bool)
    return frame.astype(dict.fromkeys([*metrics, "probability"], "float64"))


def _previewed(record: Record) -> str:
    """Metrics of a trial that was stopped early which its host has scored, and on how many samples."""
    return " ".join(f"{name}={samples}" for name, samples in record.evaluation.previewed.items())


def _html_table(view: View, metrics: list[str]) -> str:
    headings = ["trial", "on front", *map(wording.heading, [*view.varied, *metrics])]
    rows = [
        [
            number_of(record),
            wording.chance(view.probability(record)),
            *(wording.say(record.params.get(axis, "–")) for axis in view.varied),
            *(cell(record, metric) for metric in metrics),
        ]
        for record in view.front
    ]
    head, *body = (
        "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)
        for tag, texts in [("th", headings), *(("td", texts) for texts in rows)]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody><tr>{'</tr><tr>'.join(body)}</tr></tbody></table>"
