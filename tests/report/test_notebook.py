"""Pandas frames, figures for notebooks, and the notebook that ships."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

import explorer
from explorer.errors import BadInput
from explorer.report.notebook import Study, load_study
from tests.report import studies


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    return load_study(folder)


def test_trials_is_one_row_a_record(study: Study) -> None:
    frame = study.trials
    assert len(frame) == len(study.view.records) == 60
    assert frame.index.name == "trial"
    assert list(frame.columns[:8]) == [*studies.AXES, "accuracy", "accuracy_low", "accuracy_high"]
    assert frame["state"].value_counts().to_dict() == {"complete": 50, "infeasible": 9, "failed": 1}
    assert frame.loc[17, "reason"] == "the build took longer than 60 s"
    assert frame.loc[0, "estimated"] == "energy_mj power_w"
    assert frame["energy_mj"].dtype == "float64"
    assert frame["energy_mj"].isna().sum() == 10


def test_front_is_the_front_in_its_order(study: Study) -> None:
    assert list(study.front().index) == [r.number for r in study.view.front]
    assert study.front()["on_front"].all()
    assert study.trials["on_front"].sum() == len(study.front())


def test_plots_of_objectives_and_of_any_two_metrics(study: Study) -> None:
    assert len(study.plot_pareto().axes) == 3
    (axes,) = study.plot_pareto(x="latency_ms").axes
    assert axes.get_xlabel().startswith("latency [ms]")
    assert axes.get_ylabel().startswith("accuracy")
    (axes,) = study.plot_pareto(x="accuracy").axes
    assert axes.get_ylabel().startswith("throughput")
    with pytest.raises(BadInput, match="no such metric"):
        study.plot_pareto(x="latency")


def test_it_shows_itself_with_intervals_marks_and_escaped_names(study: Study, tmp_path: Path) -> None:
    shown = study._repr_html_()
    assert "±" in shown
    assert "* estimated by a model, not measured: energy_mj" in shown
    assert shown.count("<tr>") == 1 + len(study.view.front)
    assert repr(study) == "<Study walkers-cpu: 50 complete, 9 infeasible, 1 failed; 11 on the front>"
    assert "<b>x" not in load_study(studies.write(tmp_path / "x", study="<b>x"))._repr_html_()


def test_an_empty_study_has_empty_frames(tmp_path: Path) -> None:
    empty = load_study(studies.write(tmp_path / "empty"))
    assert len(empty.trials) == len(empty.front()) == 0
    assert "accuracy_low" in empty.trials.columns
    assert empty.plot_pareto().axes == []


def test_recommend_takes_words(study: Study) -> None:
    assert study.recommend("accuracy >= 0.9", prefer="energy_mj").record is not None
    with pytest.raises(BadInput, match="not a constraint"):
        study.recommend("accuracy = 0.9", prefer="energy_mj")


def test_without_a_path_the_newest_study_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at, name in enumerate(["older", "newer"]):
        made = studies.write(tmp_path / "results" / name, study=name)
        os.utime(made / "trials.jsonl", (at, at))
    monkeypatch.chdir(tmp_path)
    assert explorer.load_study().view.name == "newer"
    monkeypatch.chdir(tmp_path / "results")
    with pytest.raises(BadInput, match="no study yet"):
        explorer.load_study()


def test_the_notebook_runs_from_a_results_folder_to_a_recommendation(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("EXPLORER_STUDY", str(folder))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(root / "notebooks" / "analysis.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # outputs belong to whoever runs it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the Jupyter client's own making
        nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": root / "notebooks"}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 1
    assert any("<table" in o.get("data", {}).get("text/html", "") for o in outputs)
    assert "It has the largest throughput_ips" in outputs[-1]["text"]
