"""The loop, on the real agent over a local pipe: three endings, budgets, resuming, and a device that dies."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from explorer.config import load
from explorer.errors import BadInput, NoDevice
from explorer.report import render
from explorer.result import Record
from explorer.space import Candidate
from explorer.store import read
from explorer.study import Ending, budget, run
from tests.fixtures.watching import Watching

SPACE = """\
study: s
model: {onnx: net.onnx}
space:
  batch: [1, 2, 3, 4]
  threads: [1, 2]
precision: fp32
runtime: onnxruntime
objectives: {throughput_ips: max, model_mb: min}
search: {sampler: random, seed: 3}
measure: {warmup_s: 0.02, window_s: 0.03, windows_min: 2, budget_s: 0.1, relative_interval: 0.5, idle_s: 0}
"""


@dataclass
class Place:
    """A folder with a space file in it."""

    folder: Path
    cache: Path

    def run(self, text: str = SPACE, *, watching: Watching | None = None, fresh: bool = False) -> Ending:
        (self.folder / "space.yaml").write_text(text)
        experiment = load(self.folder / "space.yaml")
        return run(
            experiment,
            results=self.folder / "results",
            cache=self.cache,
            watcher=watching or Watching(),
            fresh=fresh,
        )

    @property
    def records(self) -> tuple[Record, ...]:
        return read(self.folder / "results" / "s").records


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Place:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path / "net.onnx")
    return Place(tmp_path, tmp_path / "cache")


def keys(records: tuple[Record, ...]) -> set[tuple[object, ...]]:
    return {Candidate(record.params).key for record in records}


def test_the_whole_space_once_and_then_it_is_exhausted(place: Place) -> None:
    watching = Watching()
    ending = place.run(watching=watching)
    assert "exhausted: all 8" in ending.reason
    assert [r.number for r in place.records] == list(range(8))
    assert len(keys(place.records)) == 8
    assert all(r.state == "complete" and r.metrics["throughput_ips"].value > 0 for r in place.records)
    names = {path.name for path in (ending.folder / "raw").iterdir()}
    assert names >= {f"{n:04d}{kind}.json.gz" for n in range(8) for kind in ("", ".score")}
    assert watching.etas[-1] == 0
    again = place.run()
    assert "exhausted" in again.reason
    assert again.records == ()


def test_a_budget_is_for_the_study_and_not_for_the_run(place: Place) -> None:
    limited = SPACE.replace("seed: 3", "seed: 3, trials: 3")
    assert "budget of 3 trials" in place.run(limited).reason
    assert place.run(limited).records == ()
    assert len(place.run(SPACE.replace("seed: 3", "seed: 3, trials: 5")).records) == 2
    assert len(keys(place.records)) == 5


def test_it_ends_when_nothing_is_left_to_gain_and_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "ASKS", 1)
    text = SPACE.replace("batch: [1, 2, 3, 4]", "batch: [1, 2, 3, 4, 5, 6, 7]").replace("model_mb", "latency_ms")
    text = text.replace("sampler: random", "sampler: front, stop_below: 0.99, race: off")
    ending = place.run(text)
    assert ending.stop == "gain"
    assert ending.reason.startswith("nothing is left to gain: the last 1 proposals were each expected to enlarge")
    assert 6 <= len(ending.records) < 14
    told = json.loads(str(render(ending.folder, pareto=True, format="json")))
    assert told["ended"] == {"stop": "gain", "why": ending.reason}
    assert f"The last run ended: {ending.reason}." in told["notes"]
    again = place.run(text)
    assert (again.stop, again.records) == ("gain", ())


def test_a_sampler_that_expects_nothing_is_told_of(place: Place) -> None:
    watching = Watching()
    text = SPACE.replace("seed: 3", "seed: 3, trials: 1, stop_below: 0.5")
    assert place.run(text, watching=watching).stop == "trials"
    assert "search.stop_below has no effect: random does not tell what it expects to gain, as front does" in (
        watching.notes
    )


def test_time_is_a_budget_too(place: Place) -> None:
    assert place.run(SPACE.replace("seed: 3", "seed: 3, timeout: 1s")).reason.startswith("the time is up")
    assert len(place.records) < 8


def test_what_the_device_cannot_run_costs_no_work(place: Place) -> None:
    watching, text = Watching(), SPACE.replace("threads: [1, 2]", "threads: [2, 4096]")
    ending = place.run(text, watching=watching)
    assert "4 candidates have been tried, the other 4 of 8 are impossible" in ending.reason
    assert [r.params["threads"] for r in place.records] == [2] * 4
    words = "4 of 8 candidates are impossible on this board: 4: 4096 threads asked for, the board has"
    assert len([note for note in watching.notes if note.startswith(words)]) == 1
    report = render(ending.folder, pareto=True, format="md")
    assert f"Never tried: {words}" in str(report), "nothing is hidden"
    assert place.run(text).records == ()


def test_a_space_of_which_nothing_is_possible_is_refused_in_words(place: Place) -> None:
    text = SPACE.replace("threads: [1, 2]", "threads: [4096]")
    with pytest.raises(BadInput, match=r"all 4 candidates are impossible on this board\n +seen: 4: 4096 threads"):
        place.run(text)
    assert len(place.run(SPACE.replace("seed: 3", "seed: 3, trials: 1")).records) == 1, "the folder is nobody's yet"


@pytest.mark.slow
def test_refusals_of_an_earlier_version_are_kept_and_what_is_left_goes_on(place: Place) -> None:
    text = SPACE.replace("threads: [1, 2]", "threads: [2, 4096]")
    folder = place.run(text.replace("seed: 3", "seed: 3, trials: 1")).folder
    old = Record(
        1, "infeasible", {"batch": 1, "threads": 4096}, "local:", "2026-11-21T08:00:00+00:00", 0.0, reason="no"
    )
    with (folder / "trials.jsonl").open("ab") as file:
        file.write(json.dumps(old.to_json()).encode() + b"\n")
    place.run(text)
    states = [(r.number, r.state, r.params["threads"]) for r in place.records]
    assert states[:2] == [(0, "complete", 2), (1, "infeasible", 4096)]
    assert states[2:] == [(n, "complete", 2) for n in (2, 3, 4)]


def test_a_broken_constraint_keeps_what_was_measured(place: Place) -> None:
    place.run(SPACE + 'constraints: ["latency_ms <= 0.0001", "model_mb <= 100"]\n')
    for record in place.records:
        assert record.state == "infeasible"
        assert record.constraints["latency_ms <= 0.0001"] > 0 > record.constraints["model_mb <= 100"]
        assert record.metrics["latency_ms"].value > 0.0001
        assert "infer" not in record.evaluation.stages  # cheap before dear
        assert "latency_ms <= 0.0001 is broken" in record.reason


def test_a_constraint_that_cannot_be_judged_is_not_taken_for_kept(place: Place) -> None:
    limited = SPACE.replace("seed: 3", "seed: 3, trials: 1").replace(
        "windows_min: 2, budget_s: 0.1", "windows_min: 2, budget_s: 0.06"
    )
    slow = limited.replace("batch: [1, 2, 3, 4]", "batch: [512]")
    place.run(slow + 'constraints: ["latency_p99_ms <= 1000"]\n')
    (record,) = place.records
    assert record.state == "failed"
    assert "latency_p99_ms was not measured" in record.reason


def test_a_score_that_fails_is_tried_twice_and_kept_as_failed(place: Place) -> None:
    (place.folder / "mine.py").write_text(
        "import numpy as np\n"
        "class Data:\n"
        "    sample_shape, classes = (SHAPE), 2\n"
        "    def evaluation(self): return np.zeros((4, *self.sample_shape), np.float32)\n"
        "    def calibration(self, count): return np.zeros((count, *self.sample_shape), np.float32)\n"
        "    def fingerprint(self): return 'mine'\n"
        "    def score(self, outputs): raise RuntimeError('no gallery')\n".replace("SHAPE", shape_of(place))
    )
    text = SPACE.replace("objectives: {throughput_ips: max", "objectives: {accuracy: max")
    watching = Watching()
    place.run(
        text.replace("space:", 'dataset: "mine:Data"\nspace:').replace("seed: 3", "seed: 3, trials: 1"),
        watching=watching,
    )
    (record,) = place.records
    assert record.state == "failed"
    assert record.reason.startswith("the dataset's score failed: RuntimeError: no gallery")
    assert "mine.py" in record.reason
    assert [note for note in watching.notes if "tried once more" in note]


def shape_of(place: Place) -> str:
    from explorer.datasets.reference import FloatReference

    return repr(FloatReference(place.folder / "net.onnx").sample_shape)


def agents(place: Place) -> list[psutil.Process]:
    """The agents that serve this place, by the home they were given."""
    home = str(place.cache / "agent")
    children = psutil.Process().children(recursive=True)
    return [p for p in children if p.status() != psutil.STATUS_ZOMBIE and home in p.cmdline()]


def test_a_device_that_dies_is_connected_again_and_nothing_is_lost(place: Place) -> None:
    def kill(turn: int) -> None:
        if turn == 3:
            for process in agents(place):
                process.kill()

    watching = Watching(on_trial=kill)
    place.run(watching=watching)
    assert len(keys(place.records)) == 8
    assert {r.state for r in place.records} == {"complete"}
    assert [note for note in watching.notes if "connecting again" in note]
    assert agents(place) == []


@pytest.mark.slow
def test_a_device_that_keeps_dying_ends_the_run_and_not_the_study(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    import explorer.fleet.duties as duties
    import explorer.fleet.member as member

    monkeypatch.setattr(member, "BACK_OFF_S", (0.0,))
    connect = duties.connect

    def stillborn(*args: object, **kwargs: object) -> object:
        device = connect(*args, **kwargs)  # type: ignore[arg-type]
        if len(place.records if (place.folder / "results" / "s" / "study.json").exists() else ()) >= 2:
            device.close()
            time.sleep(0.5)  # long enough for the study to have given the board up meanwhile
        return device

    monkeypatch.setattr(duties, "connect", stillborn)

    def kill(turn: int) -> None:
        if turn == 3:
            for process in agents(place):
                process.kill()

    with pytest.raises(NoDevice, match="finished nothing between"):
        place.run(watching=Watching(on_trial=kill))
    assert len(place.records) == 2
    # Nobody connects any more, who would have the next run's agent go as one of its own that it had lost.
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("board ")]
    monkeypatch.setattr(duties, "connect", connect)
    place.run()
    assert len(keys(place.records)) == 8
    assert {r.state for r in place.records} == {"complete"}


@pytest.mark.slow
def test_another_experiment_in_the_folder_is_refused_with_the_difference(place: Place) -> None:
    place.run(SPACE.replace("seed: 3", "seed: 3, trials: 1"))
    changed = SPACE.replace("[1, 2, 3, 4]", "[1, 2]")
    with pytest.raises(BadInput, match=r"space\.batch: \[1, 2, 3, 4\] → \[1, 2\]"):
        place.run(changed)
    watching = Watching()
    place.run(changed, fresh=True, watching=watching)
    assert "set aside as" in watching.notes[0]
    assert len(place.records) == 4
    assert len(read(place.folder / "results" / "s.old-1").records) == 1


def test_study_json_describes_the_experiment_and_the_machine(place: Place) -> None:
    place.run(SPACE.replace("seed: 3", "seed: 3, trials: 1"))
    study = json.loads((place.folder / "results" / "s" / "study.json").read_text())
    assert study["objectives"][0] == {"metric": "throughput_ips", "direction": "max"}
    assert study["experiment"]["space"]["batch"] == [1, 2, 3, 4]
    assert study["device"]["name"] == "local:"
    assert len(study["device"]["agent_sha"]) == 64, "of all code that measured"
