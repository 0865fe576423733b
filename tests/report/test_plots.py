"""Pictures: what is drawn where, and labels that keep clear of each other."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from explorer.report.look import PALETTE, Look
from explorer.report.panel import Panel
from explorer.report.plots import as_png, figure, panels
from explorer.report.view import View, load, view_of
from explorer.result import Metric
from explorer.store import StudyData
from tests.report import studies
from tests.report.studies import record


def texts(drawing: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in drawing.findobj(Text)).split())


def made(*names: str) -> View:
    objectives = [{"metric": name, "direction": "max"} for name in names]
    trials = tuple(record(i, {name: Metric(float(i + 1)) for name in names}) for i in range(3))
    return view_of(StudyData(Path("x"), {"study": "x", "objectives": objectives}, trials))


def test_the_file_is_a_legible_picture(view: View) -> None:
    content = as_png(view, pareto=True)
    pixels = matplotlib.pyplot.imread(io.BytesIO(content), format="png")
    assert pixels.shape[1] > 2000
    assert 0.01 < (pixels[..., :3] < 0.9).any(axis=2).mean() < 0.3


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("a", [Panel(None, "a")]),
        ("ab", [Panel("b", "a")]),
        ("abc", [Panel("b", "a"), Panel("c", "a"), Panel("c", "b")]),
        ("abcde", [Panel("b", "a"), Panel("c", "a"), Panel("d", "a")]),
    ],
)
def test_pairs_of_objectives_are_panels(names: str, expected: list[Panel]) -> None:
    view = made(*names)
    assert panels(view) == expected
    assert len(figure(view).axes) == len(expected)


def test_axes_say_units_marks_and_which_way_is_better(view: View) -> None:
    first, second, _ = figure(view).axes
    assert (first.get_xlabel(), first.get_ylabel()) == ("throughput [1/s]   → better", "accuracy   ↑ better")
    assert second.get_xlabel() == "energy [mJ]*   ← better"
    assert (first.get_xscale(), first.get_yscale()) == ("log", "linear")


def test_points_bars_edge_and_baseline_are_drawn(view: View) -> None:
    drawing = figure(view)
    axes = drawing.axes[0]
    points = np.concatenate([line.get_xydata() for line in axes.get_lines() if line.get_linestyle() == "None"])
    values = {(r.metrics["throughput_ips"].value, r.metrics["accuracy"].value) for r in view.complete}
    assert {tuple(point) for point in points.tolist()} == values
    assert sum(len(c.get_segments()) for c in axes.findobj(LineCollection)) >= 2 * len(view.front)
    assert any(line.get_drawstyle() == "steps-pre" for line in axes.get_lines())
    said = texts(drawing)
    for part in ("walkers-cpu", "dense fp32", "balanced: p0.2 int8", "bf16", "onnxruntime", "* estimated by a model"):
        assert part in said


def test_labels_do_not_overlap_and_stay_inside(view: View) -> None:
    drawing = figure(view)
    drawing.draw_without_rendering()
    for axes in drawing.axes:
        boxes = [Text.get_window_extent(note) for note in axes.findobj(Annotation)]
        assert len(boxes) >= 3
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert all(axes.bbox.padded(4).contains(*corner) for box in boxes for corner in box.corners())


def test_an_empty_study_becomes_a_sentence(tmp_path: Path) -> None:
    assert "No trial has been recorded yet" in texts(figure(load(studies.write(tmp_path / "empty"))))


def test_trials_without_a_metric_are_not_drawn() -> None:
    view = made("a", "b")
    poor = record(9, {"a": Metric(1.0)})
    axes = figure(view_of(StudyData(view.folder, view.study, (*view.records, poor)))).axes[0]
    assert all(np.isfinite(line.get_xydata()).all() for line in axes.get_lines())


def test_precision_is_colour_and_runtime_is_shape(view: View) -> None:
    look = Look(view)
    assert (look.colour_axis, look.shape_axis) == ("precision", "runtime")
    assert list(look.colours) == ["fp32", "bf16", "int8"]
    assert len(set(look.colours.values())) == 3
    assert len({shape.plotly for shape in look.shapes.values()}) == 2


def test_without_precision_other_axes_take_the_roles() -> None:
    trials = tuple(record(i, {"a": Metric(1.0)}, params={"batch": i % 2, "unit": "dla"}) for i in range(3))
    view = view_of(StudyData(Path("x"), {"study": "x", "objectives": [{"metric": "a", "direction": "max"}]}, trials))
    look = Look(view)
    assert (look.colour_axis, look.shape_axis) == ("batch", None)
    assert list(look.colours.items()) == [("0", PALETTE[0]), ("1", PALETTE[1])]
