"""A study that a model steers: told, kept, the same when it goes on, and never in its figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import spearmanr

from explorer.artifacts import Artifacts
from explorer.compression import Compression
from explorer.config import Experiment, load
from explorer.datasets.reference import FloatReference
from explorer.errors import BadInput, Problem
from explorer.oracle import Graph
from explorer.report import render
from explorer.result import Evaluation, Metric, Record
from explorer.roofline import Roofline
from explorer.search.search import Search
from explorer.space import Candidate
from explorer.store import read, read_study
from explorer.study import run
from explorer.study.foretold import Foretold, foretold
from tests.fixtures.watching import Watching

SPACE = """\
study: s
model: {onnx: net.onnx}
space:
  batch: [1, 2, 4, 8]
  threads: [1, 2]
precision: fp32
runtime: onnxruntime
objectives: {objectives}
search: {trials: 3, seed: 3, race: off{more}}
measure: {warmup_s: 0.02, window_s: 0.03, windows_min: 2, budget_s: 0.1, relative_interval: 0.5, idle_s: 0}
"""
PC: dict[str, Any] = {"cores": 2}


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path / "net.onnx")
    return tmp_path


def experiment(folder: Path, *, more: str = "", objectives: str = "{throughput_ips: max, model_mb: min}") -> Experiment:
    (folder / "space.yaml").write_text(SPACE.replace("{more}", more).replace("{objectives}", objectives))
    return load(folder / "space.yaml")


def test_it_is_told_and_kept_and_stands_in_the_report_and_in_no_record(folder: Path) -> None:
    watching = Watching()
    ending = run(experiment(folder), results=folder / "results", cache=folder / "cache", watcher=watching)
    (told,) = [note for note in watching.notes if "roofline" in note]
    assert "MACs foretells throughput_ips, model_mb: modelled; it steers the search and is never reported" in told
    macs = Graph.of(folder / "net.onnx").macs
    kept = json.loads((ending.folder / "study.json").read_text())["foretold"]
    assert kept == {"by": "roofline", "macs": macs, "metrics": ["throughput_ips", "model_mb"]}
    page = str(render(ending.folder, pareto=True, format="md"))
    assert "steered by a roofline of the uncompressed network (throughput, model), modelled: no figure here" in page
    lines = (ending.folder / "trials.jsonl").read_text()
    assert len(ending.records) == 3
    assert "roofline" not in lines
    assert "foretold" not in lines


def test_off_is_off(folder: Path) -> None:
    notes: list[str] = []
    assert model(folder, experiment(folder, more=", prior: off"), notes, fails=True) is None
    assert notes == []


def model(
    folder: Path,
    given: Experiment,
    notes: list[str],
    *,
    kept: dict[str, Any] | None = None,
    fails: bool = False,
    board: dict[str, Any] = PC,
) -> Foretold | None:
    """The model of an experiment, as a study makes it."""

    def network() -> Graph:
        if fails:
            raise BadInput(Problem("this is no usable ONNX file"))
        return Graph.of(folder / "net.onnx", final=False)

    assert given.model is not None
    assert given.model.onnx is not None
    compression = Compression(given, FloatReference(given.model.onnx), artifacts=Artifacts(folder / "cache"))
    size = given.space.size
    return foretold(given, compression, board, network=network, candidates=size, note=notes.append, kept=kept)


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_samplers_that_cannot_use_it_make_no_network_for_it(folder: Path, sampler: str) -> None:
    notes: list[str] = []
    assert model(folder, experiment(folder, more=f", sampler: {sampler}"), notes, fails=True) is None
    assert notes == []


def test_nor_do_objectives_that_it_knows_nothing_of(folder: Path) -> None:
    notes: list[str] = []
    assert model(folder, experiment(folder, objectives="{output_error: min}"), notes, fails=True) is None
    assert notes == []


def test_a_network_that_cannot_be_read_costs_the_model_and_not_the_study(folder: Path) -> None:
    notes: list[str] = []
    assert model(folder, experiment(folder), notes, fails=True) is None
    assert notes == [
        "nothing is foretold, as the network cannot be read beforehand: this is no usable ONNX file",
    ]


def test_a_study_goes_on_as_it_began(folder: Path) -> None:
    given = experiment(folder)
    first = model(folder, given, [])
    assert first is not None
    assert model(folder, given, [], kept={"study": "s"}) is None  # it began without
    again = model(folder, given, [], kept={"foretold": first.to_json()})
    assert again is not None
    for candidate in given.space.candidates:
        assert again.prior(candidate) == first.prior(candidate)


def test_a_study_goes_on_with_the_board_as_it_was_found_at_first(folder: Path) -> None:
    given = experiment(folder)
    first, now = model(folder, given, []), {"cores": 1}
    assert first is not None
    kept = {"foretold": first.to_json(), "device": PC}
    again = model(folder, given, [], kept=kept, board=now)
    other = model(folder, given, [], board=now)
    assert again is not None
    assert other is not None
    two_threads = Candidate({"batch": 1, "threads": 2}, given.space.fixed)
    assert again.prior(two_threads) == first.prior(two_threads) != other.prior(two_threads)


def record(number: int, candidate: Candidate) -> Record:
    """A made-up board: not what a roofline says, but like it."""
    values = candidate.all
    speed = float(values["batch"]) ** 0.4 * float(values["threads"]) ** 0.7 * (1 + 0.05 * (number % 3))
    metrics = {"throughput_ips": Metric(speed), "model_mb": Metric(1 + 0.1 * float(values["threads"]))}
    return Record(number, "complete", candidate.params, "made-up", "", 1.0, Evaluation(metrics))


def proposals(folder: Path, *, restart_after: int) -> Iterator[str]:
    """What is asked for one after the other, when all is begun anew after some."""
    given = experiment(folder)
    records: list[Record] = []
    search: Search | None = None
    for number in range(given.space.size):
        if search is None or number == restart_after:
            found = model(folder, given, [])
            assert found is not None
            search = Search(given.space, given.objectives, sampler="front", seed=3, records=records, prior=found.prior)
        candidate = search.ask()
        assert candidate is not None
        yield str(candidate)
        records.append(record(number, candidate))
        search.tell(candidate, records[-1])


def test_after_a_crash_it_proposes_what_it_would_have_proposed(folder: Path) -> None:
    whole = list(proposals(folder, restart_after=99))
    assert list(proposals(folder, restart_after=4)) == whole
    assert len(set(whole)) == 8


VIRTUAL = """\
study: s
model: {{onnx: net.onnx}}
device: "sim:agx-orin-64"
runtime: tensorrt
space:
  precision: [fp16, best]
  placement: [gpu, dla, gpu+dla]
  batch: [1, 4, 32]
  streams: [1, 3]
  power_mode: [MODE_15W, MAXN]
rules:
  - {{when: {{placement: gpu+dla}}, then: {{streams: 3}}}}
objectives: {{throughput_ips: max, energy_mj: min}}
search: {{sampler: random, trials: {trials}, seed: 3, race: off, stop_below: off}}
measure: {{budget_s: 0.5, reference_every: 0}}
"""


def on_virtual_orin(folder: Path, *, trials: int) -> tuple[Record, ...]:
    """All records of the study."""
    (folder / "space.yaml").write_text(VIRTUAL.format(trials=trials))
    given = load(folder / "space.yaml")
    return read(run(given, results=folder / "results", cache=folder / "cache", watcher=Watching()).folder).records


@pytest.mark.slow
def test_the_order_is_that_of_a_virtual_board_which_has_a_model_of_its_own(folder: Path) -> None:
    records = [one for one in on_virtual_orin(folder, trials=30) if one.state == "complete"]
    assert len(records) > 25
    board = read_study(folder / "results" / "s")["device"]
    roofline = Roofline(Graph.of(folder / "net.onnx", final=False), board, lambda _: 1, {})
    told = [roofline(Candidate(one.params, {"runtime": "tensorrt"})) for one in records]
    for metric in ("throughput_ips", "latency_ms", "energy_mj", "energy_net_mj", "power_w"):
        measured = [one.metrics[metric].value for one in records]
        assert spearmanr(measured, [one[metric] for one in told]).statistic > 0.5, metric
