"""Fleets of real agents: one queue, boards that are lost, that come back, that differ, that are slower."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fleets import SPACE, Boards, Watching, keys, make, wait_for

import explorer.device.line
import explorer.fleet.member
from explorer.delivery import export
from explorer.errors import BadInput, NoDevice
from explorer.result import Record


@pytest.fixture
def boards(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Boards:
    monkeypatch.setattr(explorer.fleet.member, "BACK_OFF_S", (0.1,))
    return make(tmp_path, root)


def whole(boards: Boards) -> tuple[Record, ...]:
    """The records, after it was seen that every candidate is there once, and complete."""
    records = boards.records
    assert sorted(record.number for record in records) == list(range(8))
    assert len(keys(records)) == 8
    assert {record.state for record in records} == {"complete"}, [record.reason for record in records]
    return records


def test_equal_boards_share_one_queue(boards: Boards) -> None:
    boards.run(boards.add("one"), boards.add("two"))
    assert {record.device for record in whole(boards)} == {"one.yaml", "two.yaml"}
    lines = [json.loads(line) for line in (boards.folder / "results" / "s" / "boards.jsonl").read_text().splitlines()]
    assert {line["board"] for line in lines} == {"one.yaml", "two.yaml"}
    assert len({line["fingerprint"] for line in lines}) == 1
    assert all(1.5 < line["reference"]["latency_ms"]["value"] < 50 for line in lines)
    assert boards.agents("one") == boards.agents("two") == []


@pytest.mark.slow
def test_an_engine_is_fetched_from_the_board_that_ran_it(boards: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    ending = boards.run(boards.add("one"), boards.add("two"), text=SPACE.replace("seed: 3", "seed: 3, trials: 2"))
    monkeypatch.setenv("EXPLORER_CACHE", str(boards.folder / "cache"))
    assert "model.engine" in export(ending.folder, trial=1, to="engine", output=boards.folder / "out")
    assert (boards.folder / "out" / "model.engine").stat().st_size > 1000


def test_a_board_that_dies_comes_back_and_its_candidate_is_done_once(boards: Boards) -> None:
    def kill(turn: int) -> None:
        if turn == 3:
            boards.signal("two", signal.SIGKILL)

    watching = Watching(on_trial=kill)
    boards.run(boards.add("one"), boards.add("two"), watching=watching)
    whole(boards)
    assert [note for note in watching.notes if note.startswith("two.yaml") and "connecting again" in note]


@pytest.mark.slow
def test_a_silent_board_loses_its_candidate_to_another(boards: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer.device.line, "SILENCE_S", 2.0)

    def freeze(turn: int) -> None:
        if turn == 3:
            boards.signal("two", signal.SIGSTOP)

    watching = Watching(on_trial=freeze)
    try:
        boards.run(boards.add("one"), boards.add("two", patience_s=0), watching=watching)
    finally:
        boards.signal("two", signal.SIGKILL)
    whole(boards)
    assert [note for note in watching.notes if "silent" in note]


@pytest.mark.slow
def test_a_board_that_never_comes_back_leaves_with_a_word(boards: Boards) -> None:
    def destroy(turn: int) -> None:
        if turn == 3:
            (boards.folder / "two-python").write_text("#!/bin/sh\necho no power >&2; exit 1\n")
            boards.signal("two", signal.SIGKILL)

    watching = Watching(on_trial=destroy)
    boards.run(boards.add("one"), boards.add("two", patience_s=0), watching=watching)
    assert {record.device for record in whole(boards)[3:]} == {"one.yaml"}
    assert [note for note in watching.notes if "no power" in note and "given up" in note]


@pytest.mark.slow
def test_a_board_that_is_not_there_at_first_may_come_later(boards: Boards) -> None:
    one, two = boards.add("one"), boards.add("two")
    working = (boards.folder / "two-python").read_text()
    (boards.folder / "two-python").write_text("#!/bin/sh\necho still booting >&2; exit 1\n")

    def repair(turn: int) -> None:
        if turn == 1:
            (boards.folder / "two-python").write_text(working)

    watching = Watching(on_trial=repair)
    boards.run(one, two, watching=watching)
    whole(boards)
    assert [note for note in watching.notes if "still booting" in note and "going on without it" in note]


@pytest.mark.slow
def test_with_no_board_left_the_run_ends_and_the_study_goes_on_later(boards: Boards) -> None:
    def destroy(turn: int) -> None:
        if turn == 4:
            for name in ("one", "two"):
                (boards.folder / f"{name}-python").write_text("#!/bin/sh\nexit 1\n")
                boards.signal(name, signal.SIGKILL)

    one, two = boards.add("one", patience_s=0), boards.add("two", patience_s=0)
    with pytest.raises(NoDevice, match="no board is left; the study is saved") as caught:
        boards.run(one, two, watching=Watching(on_trial=destroy))
    assert "one.yaml" in str(caught.value)
    assert "two.yaml" in str(caught.value)
    assert len(boards.records) < 8
    boards.add("two")
    boards.run(one, two, only=("two.yaml",))  # one board less, the same study
    whole(boards)


def test_none_of_the_boards_is_there(boards: Boards) -> None:
    names = [boards.add(name) for name in ("one", "two")]
    for name in ("one", "two"):
        (boards.folder / f"{name}-python").write_text(f"#!/bin/sh\necho {name} is off >&2; exit 1\n")
    with pytest.raises(NoDevice, match=r"(?s)no board of the fleet.*one is off.*two is off"):
        boards.run(*names)


def test_boards_that_differ_are_refused_in_words(boards: Boards) -> None:
    with pytest.raises(BadInput, match=r"(?s)two\.yaml is another kind of board.*cores: 1, not 2.*make two studies"):
        boards.run(boards.add("one", cores="0,1"), boards.add("two", cores="0"))
    assert boards.agents("one") == []


@pytest.mark.slow
def test_a_study_goes_on_with_another_board_of_its_kind_and_with_no_other_kind(boards: Boards) -> None:
    few = SPACE.replace("seed: 3", "seed: 3, trials: 2")
    boards.run(boards.add("one"), text=few)
    with pytest.raises(BadInput, match="cores: 1, not 2"):
        boards.run(boards.add("other", cores="0"))
    boards.run(boards.add("two"))
    assert [record.device for record in whole(boards)] == ["one.yaml"] * 2 + ["two.yaml"] * 6


@pytest.mark.slow
def test_a_slower_board_is_brought_to_the_scale_of_the_first(boards: Boards) -> None:
    watching = Watching()
    boards.run(boards.add("one", latency_s=0.005), boards.add("two", latency_s=0.010), watching=watching)
    whole(boards)
    first = json.loads((boards.folder / "results" / "s" / "boards.jsonl").read_text().splitlines()[0])["board"]
    scaled = [record for record in boards.records if record.evaluation.scaled]
    assert scaled
    assert any(record.device != first for record in scaled)
    slower = 0.5 if first == "one.yaml" else 2.0
    raw = {path.name for path in (boards.folder / "results" / "s" / "raw").iterdir()}
    for record in scaled:
        factors = dict(record.evaluation.scaled)
        if record.device == first:  # its own drift is taken out where there is any, which is small
            factors = {"latency_ms": 1.0, "throughput_ips": 1.0, **factors}
        factor = 1.0 if record.device == first else slower
        assert factors["latency_ms"] == pytest.approx(factor, rel=0.15)
        assert factors["throughput_ips"] == pytest.approx(1 / factor, rel=0.15)
        assert record.metrics["latency_ms"].value == pytest.approx(5.1 if slower == 0.5 else 10.1, rel=0.2)
        assert f"{record.number:04d}.json.gz" in raw
    assert [note for note in watching.notes if "its reference lies apart" in note]


@pytest.mark.slow
def test_a_candidate_that_takes_boards_down_is_failed_and_the_night_goes_on(boards: Boards) -> None:
    boards.run(boards.add("one", deadly=3))
    records = {record.params["batch"]: record for record in boards.records}
    assert len(boards.records) == 8
    assert {record.state for record in boards.records if record.params["batch"] != 3} == {"complete"}
    assert records[3].state == "failed"
    assert "lost with this candidate 3 times" in records[3].reason
    assert "one.yaml: build" in records[3].reason


@pytest.mark.slow
def test_a_board_that_finishes_nothing_leaves_and_no_candidate_is_blamed(boards: Boards) -> None:
    one = boards.add("one", deadly=1)
    with pytest.raises(NoDevice, match=r"(?s)one\.yaml: build.*finished nothing between.*the study is saved"):
        boards.run(one, text=SPACE.replace("batch: [1, 2, 3, 4]", "batch: [1]"))
    assert boards.records == ()


@pytest.mark.slow
def test_one_board_goes_the_same_way_twice(boards: Boards, tmp_path: Path) -> None:
    orders = []
    for seed in (3, 3, 4):
        boards.run(boards.add("one"), text=SPACE.replace("seed: 3", f"seed: {seed}, trials: 5"))
        orders.append([record.params for record in boards.records])
        shutil.rmtree(boards.folder / "results")
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.slow
def test_a_host_that_is_killed_finds_its_measurement_kept(boards: Boards, root: Path) -> None:
    """kill -9 of the host while a board measures: the board goes on, and whoever comes back does not measure again."""
    boards.add("one", latency_s=0.05)
    text = SPACE.replace("DEVICES", "one.yaml").replace("seed: 3", "seed: 3, trials: 2")
    (boards.folder / "space.yaml").write_text(
        text.replace("window_s: 0.05", "window_s: 2, reference_every: 0").replace("0.2", "4")
    )
    environment = {**os.environ, "EXPLORER_CACHE": str(boards.folder / "cache")}
    command = [sys.executable, "-m", "explorer", "run", "--space", "space.yaml"]
    host = subprocess.Popen(command, cwd=boards.folder, env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: (boards.folder / "measured.log").exists())
    host.kill()
    host.wait()
    done = subprocess.run(command, cwd=boards.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(boards.records) == 2
    assert len(boards.measured) == 2
