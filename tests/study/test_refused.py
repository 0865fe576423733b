"""Whatever a sampler proposes, a refused candidate never reaches the device, never counts as failed, costs no trial.

Random networks, boards and spaces go through the whole study; only the device is another: it allows everything, writes
down what it is asked, and fails at it. So what is infeasible was refused by the oracle, and what failed had reached it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import onnx
import pytest

from explorer.artifacts import Artifacts
from explorer.config import load
from explorer.errors import BadInput, JobFailed
from explorer.fleet import duties
from explorer.oracle import Graph, Target, refusals
from explorer.oracle.rules import PLACEMENTS, PRECISIONS
from explorer.result import Record
from explorer.space import Space
from explorer.store import read
from explorer.study import run
from tests.fixtures.watching import Watching
from tests.oracle import networks
from tests.oracle.networks import Net

SPACE = """\
study: s{seed}
model: net.onnx
device: "local:"
runtime: tensorrt
space:
  precision: {precisions}
  placement: {placements}
  batch: {batches}
  streams: {streams}
objectives: {{throughput_ips: max, output_error: min}}
search: {{sampler: {sampler}, trials: {trials}, seed: {seed}, race: off}}
"""
MODULES = (
    "",
    "p3448-0000",
    "p3310",
    "p3668-0000",
    "p2888-0004",
    "p3767-0005",
    "p3767-0001",
    "p3701-0005",
    "p3834-0008",
)
RELEASES = ("8.2.1", "8.5.2", "8.6.2", "10.3.0", "10.9.0", "10.13.3", "11.0.0", "11.4.1")
NETS: tuple[Callable[[], Net], ...] = (
    networks.plain,
    networks.volume,
    networks.attention,
    networks.flat,
    lambda: networks.fragments(3),
    lambda: networks.frames(3),
    lambda: Net((1, 16, 16, 16)).conv(),  # fixed at a batch of 1: seen in the very file alone
    lambda: Net(opset=22).conv().add("Relu"),
)
EXAMPLES, TRIALS = 40, 16


@dataclass
class Recording:
    """A device that allows everything and fails at all it is asked to do."""

    capabilities: Mapping[str, Any]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # file, deployment
    name: str = "recording"
    agent_sha: str = ""
    shares_host: bool = False
    better_meter: str = ""
    can_race: bool = True

    def check(self, deployment: Mapping[str, Any]) -> None:
        """Nothing is refused here."""

    def build(self, source: Path, deployment: Mapping[str, Any], **_: Any) -> NoReturn:
        self.asked.append((source.name, dict(deployment)))
        raise JobFailed("it fails at everything", final=True)

    def close(self) -> None:
        """There is nothing to let go of."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"a study whose builds all fail asks for {name}")


@dataclass(frozen=True)
class Explored:
    """A study, what it was of, and what its device was asked."""

    target: Target
    network: Path
    artifacts: Artifacts
    space: Space
    records: tuple[Record, ...]
    impossible: list[dict[str, Any]]
    asked: list[tuple[str, dict[str, Any]]]
    ruled_out: int = 0  # candidates that a trial has shown to be impossible before they were tried

    @property
    def reached(self) -> list[dict[str, Any]]:
        """Candidates whose trial the device was asked for."""
        return [{axis.name: deployment[axis.name] for axis in self.space.axes} for _, deployment in self.asked]

    def refused(self, params: Mapping[str, Any]) -> bool:
        """Whether that is known of the board and the network before anything is made."""
        graph = Graph.of(self.network, final=False)
        return bool(refusals(self.target, graph, {"runtime": "tensorrt", **params}))


def explored(seed: int, folder: Path, cache: Path) -> Explored:
    """The study that `seed` draws."""
    chance = random.Random(seed)
    folder.mkdir()
    model = chance.choice(NETS)().model()
    onnx.save(onnx.shape_inference.infer_shapes(model), folder / "net.onnx")  # its output has a type, then
    space = SPACE.format(
        seed=seed,
        precisions=["fp16", *chance.sample([one for one in PRECISIONS if one != "fp16"], 3)],
        placements=[PLACEMENTS[0], *chance.sample(PLACEMENTS[1:], 2)],
        batches=[1, chance.choice([3, 8, 5000])],
        streams=chance.sample([1, 2, 3], 2),
        trials=TRIALS,
        sampler=chance.choice(["random", "tpe", "nsga2"]),
    )
    (folder / "space.yaml").write_text(space)
    device = Recording(board(chance))
    experiment = load(folder / "space.yaml")
    target = Target.of_capabilities(device.capabilities)
    found = Explored(target, folder / "net.onnx", Artifacts(cache), experiment.space, (), [], device.asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duties, "connect", lambda *_, **__: device)
        try:
            ending = run(experiment, results=folder / "results", cache=cache, watcher=Watching())
        except BadInput as error:  # of this space the board can run nothing at all, and that is said before any trial
            (problem,) = error.problems
            assert problem.what == f"all {experiment.space.size} candidates are impossible on this board"
            return replace(found, impossible=[{"count": experiment.space.size}])
    data = read(ending.folder)
    ruled_out = sum(line["left_out"] for line in data.ruled_out)
    return replace(found, records=data.records, impossible=data.impossible, ruled_out=ruled_out)


def board(chance: random.Random) -> dict[str, Any]:
    """What a board says of itself: any module with any TensorRT, which claims to do all that there is."""
    anything = {"available": True, "why_not": "", "precisions": dict.fromkeys(PRECISIONS, ""), "streams_max": 16}
    tensorrt = {**anything, "placements": list(PLACEMENTS), "version": chance.choice(RELEASES)}
    told = {"fingerprint": "f", "cores": 4, "power_modes": [], "meters": {}, "module": chance.choice(MODULES)}
    return {**told, "runtimes": {"tensorrt": tensorrt}}


def hold_to_it(study: Explored) -> tuple[int, int]:
    """That the property holds; how many candidates were refused, and how many reached the device."""
    told = [(record.params, record.state, record.reason) for record in study.records]
    known = [candidate for candidate in study.space.candidates if study.refused(candidate.params)]
    assert sum(line["count"] for line in study.impossible) == len(known), "each is counted, with its reason"
    possible = study.space.size - len(known) - study.ruled_out
    assert len(study.records) == min(TRIALS, possible), "and none has cost a trial"
    reached = study.reached
    for file, deployment in study.asked:  # the reference engine is among them
        graph = Graph.of(study.artifacts.path(file))
        assert not refusals(study.target, graph, deployment), (deployment, study.target)
    for record in study.records:
        assert not study.refused(record.params), told
        if record.state == "infeasible":
            assert record.params not in reached, "the very file was refused"
        else:
            assert record.state == "failed", told
    return len(known), len(study.asked)


def test_a_refused_candidate_never_reaches_the_device(tmp_path: Path) -> None:
    refused, reached = hold_to_it(explored(1, tmp_path / "study", tmp_path / "cache"))
    assert refused
    assert reached


@pytest.mark.slow
def test_and_so_it_is_of_many_boards_networks_and_spaces(tmp_path: Path) -> None:
    studies = [explored(seed, tmp_path / str(seed), tmp_path / "cache") for seed in range(EXAMPLES)]
    refused, reached = map(sum, zip(*map(hold_to_it, studies), strict=True))
    assert min(refused, reached) > EXAMPLES, "both kinds were seen often"
    reasons = {record.reason.partition(":")[0] for study in studies for record in study.records}
    assert "its network cannot be made" in reasons, "nor does a file that is unfit for a precision end the study"
    assert "the network is fixed at a batch of 1" in " ".join(r.reason for s in studies for r in s.records)
