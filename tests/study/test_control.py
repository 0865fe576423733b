"""The reference beside candidates, and boards that throttle whatever they are given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from explorer.config import load
from explorer.result import Metric
from explorer.scale import JUDGED_BY
from explorer.store import read
from explorer.study import run
from tests.fixtures import boards
from tests.fixtures.watching import Watching

HOT = """
import os, time
from pathlib import Path
from explorer_agent.runtimes.onnxruntime import OnnxRuntime


class Hot(OnnxRuntime):
    def load(self, engine, deployment):
        return Engine(super().load(engine, deployment))


class Engine:
    def __init__(self, real):
        self.outputs = real.outputs

    def step(self, inputs):
        return throttled


def throttled():
    root = Path(os.environ["EXPLORER_AGENT_ROOT"])
    counter = root / "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    counter.write_text(f"{int(counter.read_text()) + 1}\\n")
    time.sleep(0.002)


RUNTIMES = {"hot": Hot()}
"""
SPACE = """\
study: s
model: {onnx: net.onnx}
device: "local:"
runtime: onnxruntime
space: {batch: [1, 2, 3, 4, 5]}
threads: 1
precision: fp32
objectives: {latency_ms: min, model_mb: min}
search: {sampler: random, seed: 3, race: "off"}
measure: {warmup_s: 0.02, window_s: 0.03, windows_min: 2, budget_s: 0.1, relative_interval: 0.5, idle_s: 0}
"""


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Path:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path / "net.onnx")
    return tmp_path


def explore(place: Path, text: str) -> Watching:
    (place / "space.yaml").write_text(text)
    watching = Watching()
    run(load(place / "space.yaml"), results=place / "results", cache=place / "cache", watcher=watching)
    return watching


def test_the_reference_is_measured_beside_every_so_many_candidates_and_kept(place: Path) -> None:
    explore(place, SPACE.replace("idle_s: 0", "idle_s: 0, reference_every: 2"))
    data = read(place / "results" / "s")
    plain = next(record.number for record in data.records if record.params["batch"] == 1)
    expected = [number for number in (0, 2, 4) if number != plain]
    assert [line["trial"] for line in data.boards] == expected
    assert all(line["latency_ms"]["value"] > 0 and line["board"] == "local:" for line in data.boards)
    beside = [number for number in range(5) if len((data.raw(number) or {})["header"].get("entrants", ())) > 1]
    assert beside == expected
    given = [(data.raw(number) or {})["derivation"]["level"] for number in expected]
    assert given[0] is None
    assert given[1:] == [data.boards[0]["latency_ms"]] * (len(expected) - 1), "the first reading sets the scale"


def test_a_trial_beside_a_reference_beyond_its_limits_is_flagged(place: Path) -> None:
    def line(trial: int, latency_ms: float) -> dict[str, Any]:
        read = {"latency_ms": Metric(latency_ms, latency_ms * 0.999, latency_ms * 1.001).to_json()}
        return {"board": "local:", "fingerprint": "", "agent_sha": "", "time": "", "trial": trial, **read}

    text = SPACE.replace("idle_s: 0", "idle_s: 0, reference_every: 1")
    explore(place, text.replace("search: {", "search: {trials: 2, "))
    boards_file = place / "results" / "s" / "boards.jsonl"
    past = [line(number, 1e6 + number) for number in range(JUDGED_BY)]  # a thousand seconds: nothing is as slow
    with boards_file.open("a") as file:
        file.writelines(json.dumps({**one, "power_mode": "", "reference": {}}) + "\n" for one in past)
    explore(place, text)
    records = read(place / "results" / "s").records
    late = [record for record in records if record.number >= 2 and record.params["batch"] > 1]
    assert late
    assert all("out-of-control" in record.evaluation.flags for record in late)
    assert not any("out-of-control" in record.evaluation.flags for record in records if record not in late)


@pytest.mark.slow
def test_a_board_that_always_throttles_still_yields_numbers_flagged(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards.laptop(place / "board")
    monkeypatch.setenv("EXPLORER_AGENT_ROOT", str(place / "board"))
    (place / "hot.py").write_text(HOT)
    text = SPACE.replace("runtime: onnxruntime", "runtime: hot\ndevice_options: {plugins: [hot.py]}")
    watching = explore(place, text.replace("idle_s: 0", "idle_s: 0, cooldown_s: 0, reference_every: 0"))
    records = read(place / "results" / "s").records
    assert [record.state for record in records] == ["failed"] * 3 + ["complete"] * 2
    assert all("throttled" in record.evaluation.flags for record in records)
    assert all(record.reason.startswith("void: throttled") for record in records[:3])
    assert all(record.metrics["latency_ms"].value > 0 for record in records), "void ones are kept, for the record"
    assert len([note for note in watching.notes if "always like that" in note]) == 1
    lines = (place / "results" / "s" / "trials.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["flags"]
