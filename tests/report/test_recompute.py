"""What is derived again is what was recorded, or it is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from explorer.derivation import Given, derived, raw_of, score_json
from explorer.report.recompute import recompute
from explorer.result import Evaluation, Metric, Record
from explorer.scale import Limits, Ratio, Scale
from explorer.statistics import Measurement
from explorer.store import open_store
from explorer.tally import Tally

STUDY = {"study": "s", "objectives": [{"metric": "latency_ms", "direction": "min"}], "experiment": {}}


def measurement(seed: int = 1) -> Measurement:
    rng = np.random.default_rng(seed)
    latency = rng.lognormal(-6, 0.05, 300)
    ends = np.cumsum(latency)[49::50]
    starts = np.concatenate(([0.0], ends[:-1]))
    windows = {"window_start_s": starts, "window_end_s": ends, "window_count": np.full(6, 50.0)}
    meter = {"name": "declared", "quantity": "model", "rails": [], "idle_w": 5.0, "busy_core_w": 4.0}
    header = {"flags": ["disturbed"], "estimated": True, "meter": meter, "sampler_failure": ""}
    return Measurement(header, {"latency_s": latency, **windows, "window_cpu_s": (ends - starts) * 0.9})


def record(number: int) -> Record:
    taken, score = measurement(number), {"accuracy": Tally("share", np.ones((5, 1)), np.ones((5, 1)))}
    given = Given(
        2,
        {"model_mb": 1.5},
        Scale({"latency_ms": Ratio(0.9, 0.01)}),
        Metric(2.0, 1.9, 2.1),
        Limits(2.0, 1.8, 2.2),
        ("too-warm",),
    )
    told = derived(taken, given, score)
    raw = raw_of(taken, given)
    evaluation = Evaluation(told.metrics, told.estimated, flags=told.flags, scaled=told.scaled, raw=raw)
    evaluation = replace(evaluation, score=score_json(score))
    return Record(number, "complete", {"batch": 2}, "local:", "2026-11-21T08:00:00+00:00", 1.0, evaluation)


def study(folder: Path, *records: Record) -> Path:
    with open_store(folder / "s", STUDY) as store:
        for one in records:
            store.append(one)
    return folder / "s"


def test_every_figure_follows_from_what_is_kept(tmp_path: Path) -> None:
    refused = Record(2, "infeasible", {"batch": 9}, "local:", "2026-11-21T08:00:00+00:00", 0.0, reason="no")
    found = recompute(study(tmp_path, record(0), record(1), refused))
    assert found.ok, found
    assert (found.same, found.bare) == (2, 1)
    assert {"latency_ms", "energy_mj", "model_mb", "accuracy"} <= set(record(0).metrics)
    assert record(0).evaluation.scaled == {"latency_ms": 0.9, "latency_p90_ms": 0.9, "latency_p95_ms": 0.9}


def test_a_figure_that_was_changed_is_named_and_the_exit_code_is_1(tmp_path: Path) -> None:
    folder = study(tmp_path, record(0))
    trials = folder / "trials.jsonl"
    value = record(0).metrics["model_mb"].value
    trials.write_text(trials.read_text().replace(f'"model_mb":{{"value":{value}', '"model_mb":{"value":1.4'))
    found = recompute(folder)
    assert found.differs == ["trial 0: model_mb: recorded 1.4 [None, None], derived 1.5 [None, None]"]
    command = [sys.executable, "-m", "explorer", "report", str(folder), "--recompute"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "1 not as recorded" in told.stdout


def test_what_has_no_raw_data_any_more_is_named(tmp_path: Path) -> None:
    folder = study(tmp_path, record(0), record(1))
    (folder / "raw" / "0000.json.gz").unlink()
    (folder / "raw" / "0001.json.gz").write_bytes(b"\x1f\x8b torn")
    first, second = recompute(folder).differs
    assert first == "trial 0: no raw data, its figures cannot be derived"
    assert second.startswith("trial 1: ")
    assert "0001.json.gz" in second


def test_an_older_derivation_is_said_in_words(tmp_path: Path) -> None:
    old = record(0)
    raw = {name: part for name, part in (old.evaluation.raw or {}).items() if name != "derivation"}
    found = recompute(study(tmp_path, replace(old, evaluation=replace(old.evaluation, raw=raw))))
    assert found.ok
    assert "1 not compared: they belong to derivation 1" in str(found)


def test_every_figure_of_the_sample_study_is_derived_again(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "results" / "sample", tmp_path / "sample")
    found = recompute(tmp_path / "sample")
    assert found.ok, found
    assert found.same > 40
    assert not found.older
