"""The journal of changes: undone in reverse, read back, repeatable; and data, which nobody executes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from explorer_agent.undo import Journal, writing

from .tree import BOOT, CPU, GPU, JETSON_CLOCKS, NVPMODEL, Board

LOW = f"{CPU}/cpufreq/policy0/scaling_min_freq"


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


@pytest.fixture
def journal(tmp_path: Path, board: Board) -> Journal:
    return Journal(tmp_path / "home", root=board.root, by="me")


def lines(tmp_path: Path) -> list[str]:
    path = tmp_path / "home/undo.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def test_the_last_change_is_undone_first(journal: Journal, board: Board, tmp_path: Path) -> None:
    for text in ("1", "2", "3"):
        journal.promise([writing(board.root / LOW, board.root)])
        board.put(LOW, text)
    assert journal.pending()
    undone = journal.undo()
    assert board.get(LOW) == "729600"
    assert [words.rpartition(" ")[2] for words in undone.done] == ["2", "1", "729600"]
    assert not lines(tmp_path)
    assert not journal.pending()
    assert journal.undo() == journal.undo(), "nothing is left, so nothing is done"


def test_a_knob_is_named_by_where_it_really_is(board: Board) -> None:
    entry = writing(board.root / "sys/class/devfreq/17000000.gpu/min_freq", board.root)
    assert entry == {"do": "write", "path": f"/{GPU}/min_freq", "text": "306000000"}


def test_only_the_own_session_is_undone_by_a_watchdog(journal: Journal, board: Board, tmp_path: Path) -> None:
    """A slow watchdog of an agent that was killed must not undo what the next agent has set."""
    Journal(tmp_path / "home", root=board.root, by="next").promise([writing(board.root / LOW, board.root)])
    board.put(LOW, 1)
    journal.promise([writing(board.root / f"{GPU}/min_freq", board.root)])
    board.put(f"{GPU}/min_freq", 7)
    assert journal.undo(own=True).failed == []
    assert (board.get(LOW), board.get(f"{GPU}/min_freq")) == ("1", "306000000")
    assert len(lines(tmp_path)) == 1


def test_a_torn_last_line_was_never_relied_on(journal: Journal, board: Board, tmp_path: Path) -> None:
    journal.promise([writing(board.root / LOW, board.root)])
    board.put(LOW, 1)
    with open(tmp_path / "home/undo.jsonl", "a") as file:
        file.write('{"do": "write", "path": "/sys/dev')
    assert journal.undo().failed == []
    assert board.get(LOW) == "729600"
    assert not lines(tmp_path)


def test_what_cannot_be_put_back_is_not_promised(journal: Journal, board: Board, tmp_path: Path) -> None:
    board.put(LOW, "two words")
    with pytest.raises(ValueError, match="never does"):
        journal.promise([writing(board.root / LOW, board.root)])
    assert not lines(tmp_path)


WRITE = {"do": "write", "path": f"/{LOW}", "text": "1", "boot": "first-boot"}
TAMPERED = {
    "a file outside /sys": {**WRITE, "path": "/etc/passwd"},
    "a way out of /sys": {**WRITE, "path": "/sys/../secret/devfreq/x/min_freq"},
    "a way out through dots": {**WRITE, "path": "/sys/devices/../../secret/devfreq/x/min_freq"},
    "a dangerous file of /sys": {**WRITE, "path": "/sys/kernel/uevent_helper"},
    "a relative path": {**WRITE, "path": LOW},
    "a link that leads out": {**WRITE, "path": "/sys/link/devfreq/x/min_freq"},
    "a value of several words": {**WRITE, "text": "1 2"},
    "a value of several lines": {**WRITE, "text": "1\n2"},
    "a value that is no text": {**WRITE, "text": 1},
    "a path that is no text": {**WRITE, "path": ["/sys"]},
    "a program": {"do": "run", "argv": ["touch", "/tmp/x"]},
    "a program as its own action": {"do": ["touch"]},
    "an action that is an object": {"do": {}},
    "a power mode with words": {"do": "nvpmodel", "mode": "0; touch x"},
    "a power mode that is true": {"do": "nvpmodel", "mode": True},
    "no action": {"path": f"/{LOW}"},
    "a list": [1],
    "a number": 3,
}


@pytest.mark.parametrize("entry", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_tampered_line_is_refused_in_words_and_kept(
    entry: object, journal: Journal, board: Board, tmp_path: Path
) -> None:
    board.give("nvpmodel", NVPMODEL, "usr/sbin")
    board.put("secret/devfreq/x/min_freq", "secret")
    (board.root / "sys/link").symlink_to(board.root / "secret")
    journal.promise([writing(board.root / LOW, board.root)])
    path = tmp_path / "home/undo.jsonl"
    path.write_text(json.dumps(entry) + "\n" + path.read_text() + json.dumps(entry) + "\n")
    board.put(LOW, 5)
    undone = journal.undo()
    assert len(undone.failed) == 2
    assert board.get(LOW) == "729600", "the line between them is undone all the same"
    assert board.get("secret/devfreq/x/min_freq") == "secret"
    assert board.calls() == []
    assert lines(tmp_path) == [json.dumps(entry)] * 2
    assert len(journal.undo().failed) == 2, "and again, for as long as they lie there"


@pytest.mark.parametrize("line", ["[" * 100_000, "{", "\0\0", "\N{DEVANAGARI DIGIT ONE}", "NaN", "9" * 5000])
def test_a_line_that_is_no_entry_is_refused(line: str, journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/undo.jsonl").write_text(line + "\n")
    assert len(journal.undo().failed) == 1


def test_after_a_restart_only_the_power_mode_is_still_to_undo(journal: Journal, board: Board) -> None:
    board.give("nvpmodel", NVPMODEL, "usr/sbin")
    board.give("jetson_clocks", JETSON_CLOCKS)
    board.put("mode", 0)
    journal.promise([{"do": "nvpmodel", "mode": 2}, {"do": "jetson_clocks"}, writing(board.root / LOW, board.root)])
    board.put(BOOT, "second-boot")
    board.put(LOW, 100)
    undone = journal.undo()
    assert undone.failed == []
    assert board.get(LOW) == "100", "as the board came up with it"
    assert board.get("mode") == "2"
    assert not any("jetson_clocks" in call for call in board.calls())


def test_a_mode_that_wants_a_restart_is_told_and_kept(journal: Journal, board: Board, tmp_path: Path) -> None:
    board.give("nvpmodel", NVPMODEL, "usr/sbin")
    board.put("mode", 0)
    board.put("wants_reboot", "")
    journal.promise([{"do": "nvpmodel", "mode": 2}])
    assert "the power mode is 0 still, was 2" in journal.undo().failed[0]
    assert len(lines(tmp_path)) == 1
    (board.root / "wants_reboot").unlink()
    assert journal.undo().done == ["power mode 2"]


def test_a_missing_program_and_a_vanished_knob(journal: Journal, board: Board) -> None:
    journal.promise([{"do": "nvpmodel", "mode": 2}, writing(board.root / LOW, board.root)])
    (board.root / LOW).unlink()
    undone = journal.undo()
    assert undone.failed == ["this board has no nvpmodel"]
    assert undone.done == [f"/{LOW}: no longer there"]


def test_two_never_undo_at_once(journal: Journal, board: Board, bundle: Path, tmp_path: Path, python: str) -> None:
    board.give("nvpmodel", NVPMODEL, "usr/sbin")
    board.put("mode", 0)
    board.put("slow", 0.3)
    journal.promise([{"do": "nvpmodel", "mode": mode} for mode in (1, 2)])
    code = "import sys; sys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\n"
    code += "from explorer_agent.undo import Journal\nJournal(Path(sys.argv[2]), root=Path(sys.argv[3])).undo()"
    words = ["-I", "-W", "error", "-c", code, str(bundle), str(tmp_path / "home"), str(board.root)]
    both = [subprocess.Popen([each, *words]) for each in (python, sys.executable)]
    assert [process.wait(60) for process in both] == [0, 0]
    calls = [call for call in board.calls() if "-m" in call]
    assert calls == ["nvpmodel begins -m 2", "nvpmodel ends -m 2", "nvpmodel begins -m 1", "nvpmodel ends -m 1"]
