"""One trial shows a rule; what it covers is never tried, neither in the same run nor by one that continues it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest

from explorer.config import load, override
from explorer.report import render
from explorer.store import StudyData, read
from explorer.study import run
from tests.agent.test_modes import imitate
from tests.fixtures import boards
from tests.fixtures.watching import Watching

SPACE = """\
study: s
model: net.onnx
device: "sim:orin-nano"
runtime: tensorrt
space: {precision: [fp32, fp16], batch: [2, 1], streams: [1, 2, 3]}
objectives: {throughput_ips: max, model_mb: min}
search: {sampler: random, seed: 0, race: off}
measure: {budget_s: 0.2, windows_min: 2, reference_every: 0}
"""
MODES = """\
study: s
model: net.onnx
device: "local:"
runtime: onnxruntime
precision: fp32
batch: 1
threads: 1
space: {streams: [1, 2], power_mode: [MAXN, 15W, 10W]}
objectives: {throughput_ips: max, model_mb: min}
search: {sampler: front, seed: 1, race: off}
measure: {warmup_s: 0.05, window_s: 0.05, windows_min: 2, budget_s: 0.1, idle_s: 0, cooldown_s: 0, reference_every: 0}
"""


@dataclass
class Place:
    """A folder with a network whose batch is fixed at 1: that is seen in the very file alone."""

    folder: Path
    root: Path

    def run(self, text: str = SPACE, *, trials: int = 100) -> tuple[StudyData, list[str]]:
        model = onnx.load(self.root / "examples" / "own_onnx" / "small.onnx")
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        onnx.save(model, self.folder / "net.onnx")
        (self.folder / "space.yaml").write_text(text)
        experiment, watching = override(load(self.folder / "space.yaml"), trials=trials), Watching()
        ending = run(experiment, results=self.folder / "results", cache=self.folder / "cache", watcher=watching)
        return read(ending.folder), watching.notes


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Place:
    return Place(tmp_path, root)


def test_a_rule_that_one_trial_shows_costs_no_other_whoever_goes_on(place: Place) -> None:
    first, notes = place.run(trials=3)
    data, more = place.run()
    ended = {state: [r.params for r in data.records if r.state == state] for state in ("complete", "infeasible")}
    assert [params["batch"] for params in ended["complete"]] == [1] * 6
    assert sorted(str(params["precision"]) for params in ended["infeasible"]) == ["fp16", "fp32"]
    refused = next(record for record in data.records if record.state == "infeasible")
    assert refused.because == {"precision": refused.params["precision"], "runtime": "tensorrt", "batch": 2}
    assert len([note for note in (*notes, *more) if "has shown them to be impossible" in note]) == 2
    told = json.loads(str(render(data.folder, pareto=True, format="json")))
    assert [one["left_out"] for one in told["ruled_out"]] == [2, 2]
    assert len([note for note in told["notes"] if note.startswith("Never tried: 2 candidates with")]) == 2
    assert [record.state for record in first.records].count("infeasible") == 1, "so the second run knew one of them"


@pytest.mark.slow
def test_a_mode_that_cannot_be_set_is_tried_once_in_a_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = boards.programs(boards.make("orin-nx", place.folder / "root"))
    imitate(tree, "restart/0")
    monkeypatch.setenv("EXPLORER_AGENT_ROOT", str(tree.root))
    data, notes = place.run(MODES)
    states = [(record.state, record.params["power_mode"]) for record in data.records]
    assert sorted(states) == [("complete", "10W")] * 2 + [("complete", "15W")] * 2 + [("infeasible", "MAXN")]
    assert [note for note in notes if note.startswith("1 candidate with power_mode MAXN is left out")]
