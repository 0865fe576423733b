"""The results folder: nothing torn, nothing lost, one writer."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.errors import BadInput
from explorer.result import RECORD_FORMAT, Evaluation, Metric, Record, StageTime, Stopped
from explorer.store import TRIALS, newest, open_store, read, set_aside

STUDY = {"study": "s", "objectives": [{"metric": "accuracy", "direction": "max"}], "experiment": {}}


def record(number: int) -> Record:
    evaluation = Evaluation(
        metrics={"accuracy": Metric(0.9, 0.85, 0.95), "params": Metric(10.0)},
        estimated=("energy_mj",),
        stages={"prune": StageTime(1.5, True)},
        artifacts={"engine": "ab" * 32},
        flags=("unstable",),
    )
    params = {"batch": number, "precision": "int8"}
    return Record(
        number, "complete", params, "local:", "2026-01-01T00:00:00+00:00", 2.0, evaluation, {"feasible": -0.1}
    )


def write(folder: Path, count: int) -> None:
    with open_store(folder, STUDY) as store:
        for number in range(count):
            evaluation = replace(record(number).evaluation, raw={"series": [number]})
            store.append(replace(record(number), evaluation=evaluation))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "s", 3)
    data = read(tmp_path / "s")
    assert data.records == tuple(record(n) for n in range(3))
    assert data.name == "s"
    assert [o.metric for o in data.objectives] == ["accuracy"]
    assert json.loads(gzip.decompress((tmp_path / "s" / "raw" / "0002.json.gz").read_bytes())) == {"series": [2]}


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_a_torn_tail_is_passed_over_and_then_cut_off(tmp_path: Path, cut: int) -> None:
    folder = tmp_path / "s"
    write(folder, 3)
    trials = folder / TRIALS
    trials.write_bytes(trials.read_bytes()[:-cut])
    assert [r.number for r in read(folder).records] == [0, 1]
    with open_store(folder, STUDY) as store:
        assert [r.number for r in store.records] == [0, 1]
        store.append(record(2))
    assert [r.number for r in read(folder).records] == [0, 1, 2]
    assert trials.read_bytes().count(b"\n") == 3


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    write(tmp_path / "s", 2)
    trials = tmp_path / "s" / TRIALS
    trials.write_bytes(b"{]\n" + trials.read_bytes())
    with pytest.raises(BadInput, match=r"trials\.jsonl:1: cannot read this record"):
        read(tmp_path / "s")


def test_a_newer_record_is_refused_in_words(tmp_path: Path) -> None:
    write(tmp_path / "s", 1)
    trials = tmp_path / "s" / TRIALS
    trials.write_text(trials.read_text().replace('"format":1', '"format":99'))
    with pytest.raises(BadInput, match=f"newer than {RECORD_FORMAT}"):
        read(tmp_path / "s")


def test_what_an_older_program_can_say_is_written_as_it_would(tmp_path: Path) -> None:
    stopped = Stopped("short bench", 0.9962)
    found = replace(record(1).evaluation, previewed={"accuracy": 594})
    early = replace(record(1), state="dominated", evaluation=found, reason="dominated", stopped=stopped)
    with open_store(tmp_path / "s", STUDY) as store:
        store.append(record(0))
        store.append(early)
    lines = [json.loads(line) for line in (tmp_path / "s" / TRIALS).read_text().splitlines()]
    assert [line["format"] for line in lines] == [1, 2]
    assert not {"previewed", "stopped"} & set(lines[0])
    assert read(tmp_path / "s").records[1] == early


def test_not_a_number_never_reaches_the_disk(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", STUDY) as store:
        broken = Record(0, "complete", {}, "d", "", 1.0, Evaluation({"accuracy": Metric(float("nan"))}))
        with pytest.raises(ValueError, match="Out of range float"):
            store.append(broken)
    assert read(tmp_path / "s").records == ()


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    code = "from pathlib import Path; from explorer.store import open_store\n"
    code += f"with open_store(Path({str(tmp_path)!r}), {STUDY}): pass"
    with open_store(tmp_path, STUDY):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another run writes to this study" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_newest_is_the_one_written_to_last(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no study yet"):
        newest(tmp_path)
    write(tmp_path / "b", 1)
    write(tmp_path / "a", 1)
    write(tmp_path / "b", 1)
    assert newest(tmp_path).name == "b"


def test_set_aside_keeps_everything(tmp_path: Path) -> None:
    assert set_aside(tmp_path / "s") is None
    write(tmp_path / "s", 2)
    assert set_aside(tmp_path / "s") == tmp_path / "s.old-1"
    write(tmp_path / "s", 1)
    assert set_aside(tmp_path / "s") == tmp_path / "s.old-2"
    assert len(read(tmp_path / "s.old-1").records) == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write the results folder"), open_store(tmp_path / "file" / "s", STUDY):
        pass


def test_what_was_begun_and_never_recorded_is_remembered(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", STUDY) as store:
        for number in range(3):
            store.begin(number, {"batch": number})
        store.append(Record(1, "failed", {"batch": 1}, "d", "", 1.0))
        with (tmp_path / "s" / "begun.jsonl").open("ab") as file:
            file.write(b'{"number": 3, "par')  # a write that was killed
        assert store.unfinished() == {0: {"batch": 0}, 2: {"batch": 2}}


def test_boards_are_kept_in_the_order_they_were_measured(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", STUDY) as store:
        for name in ("b", "a", "b"):
            store.append_board({"board": name})
        assert [line["board"] for line in store.boards] == ["b", "a", "b"]
