"""A study of a table that was measured before: the same loop, store, budget and reports, and every figure marked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.config import load
from explorer.errors import BadInput
from explorer.report import render
from explorer.store import read
from explorer.study import Ending, run
from tests.fixtures.watching import Watching

TABLE = """\
batch,precision,latency_ms,accuracy,trial_s
1,fp16,2.5,0.91,20
2,fp16,3.5,0.92,20
1,int8,,,5
2,int8,1.5,0.88,20
2,int8,1.7,0.88,20
4,int8,1.6,0.93,20
"""
SPACE = """\
study: s
device: recorded:t.csv
device_options: {seconds: trial_s}
space: [batch, precision]
objectives: {latency_ms: min, accuracy: max}
constraints: [accuracy >= 0.9]
search: {sampler: random, seed: 3}
"""


def study(folder: Path, *, trials: int | None = None, watching: Watching | None = None) -> Ending:
    text = SPACE if trials is None else SPACE.replace("seed: 3", f"seed: 3, trials: {trials}")
    (folder / "s.yaml").write_text(text)
    watcher = watching or Watching()
    return run(load(folder / "s.yaml"), results=folder / "results", cache=folder / "cache", watcher=watcher)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path


def test_every_candidate_is_looked_up_once_and_a_study_goes_on_where_it_stopped(folder: Path) -> None:
    first = study(folder, trials=2)
    assert len(first.records) == 2
    ending = study(folder)
    assert "exhausted" in ending.reason
    records = read(folder / "results" / "s").records
    assert len(records) == len({tuple(record.params.values()) for record in records}) == 5
    states = {tuple(record.params.values()): (record.state, record.reason) for record in records}
    assert states[1, "fp16"] == ("complete", "")
    assert states[1, "int8"] == ("infeasible", "the table holds no latency_ms and no accuracy for it")
    assert states[2, "int8"] == ("infeasible", "accuracy >= 0.9 is broken: 0.88")
    assert all(set(record.evaluation.recorded) == set(record.metrics) for record in records)
    assert {record.evaluation.stages["trial"].seconds for record in records} == {5, 20}
    assert not (folder / "cache").exists()  # nothing was made


def test_a_changed_table_is_refused(folder: Path) -> None:
    study(folder, trials=2)
    (folder / "t.csv").write_text(TABLE.replace("3.5", "3.6"))
    with pytest.raises(BadInput, match=r"recorded\.table"):
        study(folder)


def test_figures_are_marked_wherever_they_appear(folder: Path) -> None:
    watching = Watching()
    study(folder, watching=watching)
    assert any("several rows: 1" in note for note in watching.notes)
    results = folder / "results" / "s"
    shown = {format: str(render(results, pareto=True, format=format)) for format in ("table", "md", "html", "csv")}
    assert "1.6§" in shown["table"]
    assert "§ recorded: read from a table" in shown["table"]
    assert "§ recorded: read from a table" in shown["md"]
    assert "read from a table that was measured before, t.csv (6 rows of 5 candidates" in shown["md"]
    assert "1.6\\u00a7" in shown["html"]
    assert "latency_ms accuracy" in shown["csv"]
    told = json.loads(str(render(results, pareto=True, format="json")))
    assert told["front"][0]["recorded"] == ["latency_ms", "accuracy"]
    assert told["dense_fp32"] is None
    assert told["front"][0]["probability"] == 1


def test_the_shipped_table_is_explored_by_its_name(tmp_path: Path) -> None:
    def explorer(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "explorer", *words]
        environment = {**os.environ, "COLUMNS": "80"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    done = explorer("run", "--space", "tx2_recorded", "--sampler", "random", "--trials", "20")
    assert "this run: 20 complete" in done.stdout
    assert max(map(len, (done.stdout + done.stderr).splitlines())) <= 80
    assert "explores 20 of 768 candidates" in done.stderr
    assert "has the smallest inference_time_s" in explorer("recommend").stdout
