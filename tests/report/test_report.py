"""The registry of formats, and how quickly the quick ones answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from explorer.errors import BadInput
from explorer.report import FORMATS, render, write
from explorer.report.recommend import advise
from tests.report import studies

HEAVY = ("pandas", "matplotlib", "plotly", "torch", "optuna", "pydantic")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_format_renders_small_studies(tmp_path: Path, format: str, count: int) -> None:
    content = render(studies.write(tmp_path / "small", studies.walk(count)), pareto=True, format=format)
    assert content
    assert isinstance(content, bytes) == (format == "png")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_says_why_there_is_no_front(tmp_path: Path, format: str) -> None:
    trials = [studies.record(0, state="failed", reason="the build took too long")]
    content = render(studies.write(tmp_path / "failed", trials), pareto=True, format=format)
    if format not in ("png", "csv"):
        assert "No trial is complete yet" in " ".join(str(content).split())


def test_an_unknown_format_is_refused_in_words(folder: Path) -> None:
    with pytest.raises(BadInput, match="unknown report format") as caught:
        render(folder, pareto=True, format="jsn")
    assert "did you mean 'json'?" in str(caught.value)


@pytest.mark.parametrize("format", ["table", "json", "csv", "md"])
def test_quick_formats_load_nothing_heavy(folder: Path, format: str) -> None:
    code = (
        "import sys; from pathlib import Path; from explorer.report import render\n"
        f"print(render(Path(sys.argv[1]), pareto=True, format={format!r}))\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_a_picture_goes_into_the_study_unless_told_where(folder: Path, tmp_path: Path) -> None:
    assert write(folder, pareto=True, format="png", output=None) == str(folder / "report.png")
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    assert write(folder, pareto=True, format="csv", output=tmp_path / "front.csv") == str(tmp_path / "front.csv")
    assert (tmp_path / "front.csv").read_text() == write(folder, pareto=True, format="csv", output=None)


def test_a_report_that_cannot_be_written_is_refused_in_words(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot write the report"):
        write(folder, pareto=True, format="csv", output=tmp_path / "absent" / "front.csv")


def test_advice_prefers_the_first_objective_and_names_every_wrong_wish(folder: Path) -> None:
    assert advise(folder, require=["accuracy >= 0.5"], prefer=None).record is not None
    with pytest.raises(BadInput) as caught:
        advise(folder, require=["accuracy > 0.5", "accuracy >= 0.5", "fast"], prefer=None)
    assert len(caught.value.problems) == 2
