"""Samplers compared on what was measured before: the count against a plain one, every format, and the real command."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.pareto import hypervolume
from explorer.replay.contest import contest
from explorer.replay.course import search_through
from explorer.replay.formats import FORMATS, write
from explorer.replay.problem import Replayed
from explorer.replay.sources import problem_of
from explorer.replay.summary import Courses, quantile
from explorer.store import read

SPACE = """\
study: small
device: recorded:t.csv
device_options: {seconds: took_s}
space: [batch, clock, precision]
objectives: {latency_ms: min, joules: min}
constraints: [joules <= 90]
search: {seed: 3}
"""


def table() -> str:
    """48 rows; some are empty, for the candidate was impossible."""
    lines = ["batch,clock,precision,latency_ms,joules,took_s"]
    for batch, clock, precision in itertools.product((1, 2, 4, 8), (100, 200, 300, 400), ("fp32", "fp16", "int8")):
        bits = {"fp32": 32, "fp16": 16, "int8": 8}[precision]
        measured = f"{batch**0.7 * bits / clock:.6f},{clock**1.2 * bits / 160 / batch**0.4:.6f}"
        impossible = precision == "int8" and batch == 1
        lines.append(f"{batch},{clock},{precision},{',' if impossible else measured},{4 if impossible else 10 + batch}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(table())
    (tmp_path / "small.yaml").write_text(SPACE)
    return tmp_path


@pytest.fixture
def problem(folder: Path) -> Replayed:
    return problem_of(str(folder / "small.yaml"))


@pytest.fixture
def courses(problem: Replayed) -> Courses:
    return {name: [search_through(problem, name, seed, budget=48) for seed in (0, 1)] for name in ("random", "front")}


def test_a_search_is_counted_by_what_the_table_holds(folder: Path, problem: Replayed) -> None:
    rows = list(csv.DictReader(io.StringIO(table())))
    kept = [row for row in rows if row["joules"] and float(row["joules"]) <= 90]
    assert 0 < len(kept) < 44
    assert problem.possible.sum() == len(kept)
    points = np.array([[-np.log(float(row["latency_ms"])), -float(row["joules"])] for row in kept])
    worst = points.min(axis=0)
    assert problem.full == pytest.approx(hypervolume(points, worst))

    course = search_through(problem, "random", 5, budget=48, until=2.0)
    assert sorted(course.rows) == list(range(48))
    keys = [{name: str(value) for name, value in c.params.items()} for c in problem.space.candidates]
    in_order = [next(row for row in rows if keys[i].items() <= row.items()) for i in course.rows]
    spent_s = np.cumsum([float(row["took_s"]) for row in in_order])  # what is impossible has taken its time, too
    np.testing.assert_allclose(course.hours, spent_s / 3600)
    for count in (5, 20, 48):
        known = [row for row in in_order[:count] if row in kept]
        found = np.array([[-np.log(float(row["latency_ms"])), -float(row["joules"])] for row in known]).reshape(-1, 2)
        assert course.shares[count - 1] == pytest.approx(hypervolume(found, worst) / problem.full)
    assert course.shares[-1] == pytest.approx(1.0)


def test_an_earlier_study_is_a_table_and_what_its_trials_share_is_paid_once(root: Path) -> None:
    problem = problem_of(str(root / "results" / "sample"))
    records = {tuple(sorted(r.params.items())): r for r in read(root / "results" / "sample").records}
    assert problem.space.size == len(records) == 56
    order = np.random.default_rng(0).permutation(56).tolist()
    paid, spent, expected = set(), 0.0, []
    for row in order:
        record = records[tuple(sorted(problem.space.candidates[row].params.items()))]
        for name, time in record.evaluation.stages.items():
            shared = {"prune", "finetune", "export", "quantise", "build"}
            file = record.evaluation.artifacts["engine" if name == "build" else name] if name in shared else row
            spent += 0 if (name, file) in paid else time.seconds
            paid.add((name, file))
        expected.append(spent / 3600)
    np.testing.assert_allclose(problem.hours(order), expected)
    alone = sum(time.seconds for record in records.values() for time in record.evaluation.stages.values())
    assert expected[-1] < 0.8 * alone / 3600
    assert not problem.assumed


def test_what_was_stopped_early_is_half_known_and_no_part_of_the_space(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "results" / "sample", tmp_path / "s")
    lines = (tmp_path / "s" / "trials.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    early = {**last, "format": 2, "state": "dominated", "stopped": {"after": "short bench", "confidence": 0.995}}
    (tmp_path / "s" / "trials.jsonl").write_text("\n".join([*lines[:-1], json.dumps(early)]) + "\n")
    problem = problem_of(str(tmp_path / "s"))
    assert problem.space.size == 55
    assert last["params"] not in [record.params for record in problem.records]
    assert problem.notes == ("left out, because they were stopped early as dominated: 1 trials",)


def test_hours_that_nobody_knows_are_said_to_be_assumed(folder: Path, tmp_path: Path) -> None:
    (folder / "small.yaml").write_text(SPACE.replace("device_options: {seconds: took_s}\n", ""))
    problem = problem_of(str(folder / "small.yaml"))
    courses = {"random": [search_through(problem, "random", 0, budget=10)]}
    shown = write(problem, courses, format="table", output=None)
    assert "hours to it (assumed)" in shown
    assert "hours: assumed, 60 s a trial (--seconds-each); the space file names no column" in " ".join(shown.split())
    assert json.loads(write(problem, courses, format="json", output=None))["hours"]["assumed"]
    told = problem_of(str(folder / "small.yaml"), each_s=7.2)
    np.testing.assert_allclose(told.hours([0, 1]), [0.002, 0.004])


def test_a_bare_table_says_what_it_takes_for_axes(folder: Path) -> None:
    problem = problem_of(str(folder / "t.csv"), objectives=["latency_ms=min", "joules=min"])
    assert [axis.name for axis in problem.space.axes] == ["batch", "clock", "precision", "took_s"]
    assert problem.notes[0].startswith("axes: batch, clock, precision, took_s (every column")


def test_every_format_is_written(problem: Replayed, courses: Courses, tmp_path: Path) -> None:
    for format in FORMATS:
        assert write(problem, courses, format=format, output=tmp_path / format) == str(tmp_path / format)
    assert (tmp_path / "png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "html").read_text()
    assert "<svg" in page
    assert "<script" not in page
    rows = list(csv.DictReader(io.StringIO((tmp_path / "csv").read_text())))
    assert [(row["sampler"], row["seed"]) for row in rows] == [(n, str(s)) for n in ("random", "front") for s in (0, 1)]
    told = json.loads((tmp_path / "json").read_text())
    reached = [float(row["trials_to_99"]) for row in rows if row["sampler"] == "front"]
    assert told["samplers"]["front"]["trials"]["0.99"]["median"] == quantile(reached, 0.5)
    assert told["searches"][0]["shares"] == courses["random"][0].shares


@pytest.mark.parametrize(
    ("source", "objectives", "words"),
    [
        ("quickstart", [], "nothing is known beforehand"),
        ("unknown.csv", [], "what is wanted of a bare table"),
        ("t.csv", ["jouls=min"], "did you mean 'joules'"),
        ("t.csv", ["joules=least"], "allowed: max, min"),
        ("small.yaml", ["joules=min"], "own"),
        ("none.csv", [], "no such file"),
        ("flat.yaml", [], "equally good"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder: Path, source: str, objectives: list[str], words: str) -> None:
    (folder / "flat.csv").write_text("batch,latency_ms\n1,2\n2,2\n")
    (folder / "flat.yaml").write_text("device: recorded:flat.csv\nspace: [batch]\nobjectives: {latency_ms: min}\n")
    (folder / "unknown.csv").write_text("batch,joules\n1,2\n")  # none of its columns has a name that is known
    with pytest.raises(BadInput, match=words):
        problem_of(str(folder / source) if "." in source else source, objectives=objectives)


def test_an_unknown_sampler_is_refused_before_anything_runs(problem: Replayed) -> None:
    with pytest.raises(BadInput, match="did you mean 'tpe'"):
        contest(problem, ["tpee"], seeds=1)


def explorer(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "explorer", "replay-search", "--space", "small.yaml", *words]
    environment = {**os.environ, "COLUMNS": "80"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)


def test_the_command_tells_of_every_search_and_fits_the_terminal(folder: Path) -> None:
    done = explorer(folder, "--samplers", "front,random", "--seeds", "2", "--trials", "10")
    assert len(done.stderr.splitlines()) == 4
    assert "4/4  " in done.stderr
    assert "small: 48 candidates" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.slow
def test_the_answer_is_the_same_however_many_processes_there_are(folder: Path) -> None:
    searched = ("--samplers", "front,tpe,random", "--seeds", "3", "--format", "csv")
    one, three = (explorer(folder, *searched, "--workers", workers).stdout for workers in ("1", "3"))
    assert one == three
    assert len(one.splitlines()) == 1 + 9
