"""Whole studies on boards that lack something: each ends with a front, and says what is degraded while it runs, in its
report and in its header; nothing is silently wrong.

The agent is the real one over a pipe; the board is a folder of files for its root, its TensorRT a face.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import pytest

from explorer.artifacts import Artifacts
from explorer.report import render
from explorer.result import Record
from explorer.store import StudyData, read, read_study
from tests.agent.tree import without_override
from tests.fixtures import boards, faced
from tests.fixtures.boards import Tree
from tests.fixtures.watching import Watching

pytestmark = pytest.mark.slow

SPACE = """\
study: s
model: small.onnx
device: "local:"
device_options: {clocks: lock, python: PYTHON}
runtime: tensorrt
space:
  precision: [fp32, fp16, int8, best]
  placement: [gpu, dla]
objectives: {throughput_ips: max, output_error: min, energy_mj: min}
search: {sampler: random, trials: 8, race: off}
measure: {warmup_s: 0.05, window_s: 0.1, windows_min: 3, budget_s: 0.5, relative_interval: 0.5, idle_s: 0.3}
"""
ON_GPU = {("fp32", "gpu"), ("fp16", "gpu"), ("int8", "gpu"), ("best", "gpu")}
ON_DLA = {("fp16", "dla"), ("int8", "dla"), ("best", "dla")}


def _untouched(_: Tree) -> None:
    """As it was made."""


def _locked_away(tree: Tree) -> None:
    """Neither sudo nor the files of the clocks are for the agent's account."""
    (tree.root / "imitation" / "denied").touch()
    for knob in ("scaling_min_freq", "scaling_governor", "min_freq"):
        for file in (tree.root / "sys").rglob(knob):
            file.chmod(0o444)


def _blind(tree: Tree) -> None:
    """No sensor can be seen, as in a container without /sys/class/hwmon."""
    (tree.root / "sys/class/hwmon").rename(tree.root / "sys/class/elsewhere")


def _prompt(tree: Tree) -> None:
    """Sensors that average nothing, so that no trial waits for them."""
    for samples in (tree.root / "sys").rglob("samples"):
        samples.write_text("1\n")


@dataclass(frozen=True)
class Story:
    """A board, what it lacks, what is to be said of that, and which candidates it can run all the same."""

    told: str
    fact: Callable[[dict[str, Any]], bool]  # of the device, as the study's header keeps it
    board: str = "orin-nx"
    face: str = "8.5"
    cores: int = 2
    breaks: Callable[[Tree], None] = _untouched
    able: set[tuple[str, str]] = field(default_factory=lambda: ON_GPU | ON_DLA)
    more: Callable[[Seen], None] = lambda _: None


@dataclass(frozen=True)
class Seen:
    """A study that has run."""

    story: Story
    tree: Tree
    place: Path
    data: StudyData
    notes: list[str]

    @property
    def complete(self) -> dict[tuple[str, str], Record]:
        return {_key(record): record for record in self.data.records if record.state == "complete"}

    def nodes(self, precision: str) -> set[str]:
        """Kinds of nodes in the very file that the board was given."""
        sha256 = self.complete[precision, "gpu"].evaluation.artifacts["onnx"]
        model = onnx.load(Artifacts(self.place / "cache").path(sha256))
        return {node.op_type for node in model.graph.node}


def _key(record: Record) -> tuple[str, str]:
    return str(record.params["precision"]), str(record.params["placement"])


def _marked_free(seen: Seen) -> None:
    assert all("clocks-not-locked" in record.evaluation.flags for record in seen.complete.values())
    assert seen.tree.root.joinpath("imitation/denied").exists()


def _measured_by_sensors(seen: Seen) -> None:
    for record in seen.complete.values():
        assert record.metrics["power_w"].value == pytest.approx(seen.tree.spec.total_w, rel=0.05)
        assert not record.evaluation.estimated


def _marked_as_estimated(seen: Seen) -> None:
    assert all({"energy_mj", "power_w"} <= set(record.evaluation.estimated) for record in seen.complete.values())
    assert "estimated" in str(render(seen.data.folder, pareto=True, format="md"))


def _refused_by_the_oracle(seen: Seen) -> None:
    assert not [record for record in seen.data.records if record.params["placement"] == "dla"], "it costs no trial"
    (refused,) = seen.data.impossible
    assert (refused["count"], refused["reason"]) == (4, "orin-nano has no DLA")
    assert refused["source"].startswith("dla-none; https://")


def _typed_by_the_network(seen: Seen) -> None:
    assert {"QuantizeLinear", "DequantizeLinear"} <= seen.nodes("int8")
    assert "Cast" in seen.nodes("fp16")
    assert not {"QuantizeLinear", "Cast"} & seen.nodes("fp32")
    assert {line["source"].partition(";")[0] for line in seen.data.impossible} == {"best-release", "dla-release"}


STORIES = {
    "clocks that cannot be locked": Story(
        "clocks are not locked, though that was asked for",
        lambda device: device["clocks"]["state"] == "not permitted" and bool(device["clocks"]["free"]),
        breaks=_locked_away,
        more=_marked_free,
    ),
    "no jtop": Story(
        "power is read by ina3221, which does without",
        lambda device: device["meters"]["ina3221"]["available"] and not device["meters"]["jtop"]["available"],
        more=_measured_by_sensors,
    ),
    "neither jtop nor sensors": Story(
        "nothing measures power (ina3221: no sensor",
        lambda device: not any(facts["available"] for facts in device["meters"].values()),
        breaks=_blind,
        more=_marked_as_estimated,
    ),
    "no DLA": Story(
        "never run here, and left out of the search: placement dla: orin-nano has no DLA",
        lambda device: device["runtimes"]["tensorrt"]["dla_cores"] == 0,
        board="orin-nano",
        cores=0,
        breaks=_prompt,
        able=ON_GPU,
        more=_refused_by_the_oracle,
    ),
    "TensorRT 11": Story(
        "computes in the types of the network alone",
        lambda device: device["runtimes"]["tensorrt"]["strongly_typed_only"],
        face="11",
        able=ON_GPU - {("best", "gpu")},
        more=_typed_by_the_network,
    ),
}


@pytest.fixture(scope="module", params=STORIES)
def seen(request: pytest.FixtureRequest, cudart: Path, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Seen:
    story, place = STORIES[request.param], tmp_path_factory.mktemp("study")
    tree = boards.programs(boards.make(story.board, place / "board"))
    story.breaks(tree)
    faced.network(root, place / "small.onnx", story.face)
    (place / "space.yaml").write_text(SPACE.replace("PYTHON", without_override(place)))
    environment = {"EXPLORER_AGENT_ROOT": str(tree.root), "FACE_DLA_CORES": str(story.cores)}
    watcher = Watching()
    ending = faced.explore(place, story.face, cudart, watcher=watcher, environment=environment)
    return Seen(story, tree, place, read(ending.folder), watcher.notes)


def test_it_ends_with_a_front_of_all_that_the_board_can(seen: Seen) -> None:
    told = [(_key(record), record.state, record.reason) for record in seen.data.records]
    assert set(seen.complete) == seen.story.able, told
    assert {state for _, state, _ in told} <= {"complete", "infeasible"}, told
    assert json.loads(str(render(seen.data.folder, pareto=True, format="json")))["front"]


def test_what_is_degraded_is_said_meanwhile_and_in_every_report(seen: Seen) -> None:
    assert len([note for note in seen.notes if seen.story.told in note]) == 1, seen.notes
    for format in ("table", "md", "html", "json"):
        report = str(render(seen.data.folder, pareto=True, format=format))
        assert seen.story.told in " ".join(report.replace("\\_", "_").split()), format


def test_the_header_holds_what_it_follows_from(seen: Seen) -> None:
    assert seen.story.fact(read_study(seen.data.folder)["device"])


def test_nobody_is_shown_a_traceback(seen: Seen) -> None:
    texts = [*seen.notes, *(record.reason for record in seen.data.records)]
    assert not [text for text in texts if "Traceback" in text]


def test_what_this_lack_means_for_the_trials(seen: Seen) -> None:
    seen.story.more(seen)
