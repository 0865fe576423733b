"""`explorer agent check` as a person and as a script meet it: here, over SSH, and where there is no device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sshd import Sshd, free_port

from explorer.artifacts import cache_root
from explorer.device import connect
from explorer.doctor import LEGEND, SECTIONS, Examination, Finding, page

FAKE = "transport: local\nplugins: [explorer_agent.testing]\nruntimes: [fake]\nwait_s: 0.1\n"


def check(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "explorer", "agent", "check", *words],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def columns(text: str) -> int:
    return max(map(len, text.splitlines()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a board of the user's own: this machine, and a runtime that needs nothing."""
    (tmp_path / "mine.yaml").write_text(f"{FAKE}home: {tmp_path}/home\n")
    return tmp_path


def test_this_machine_on_one_page() -> None:
    told = check("local:")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[:2] == ["Device local:", LEGEND]
    assert columns(told.stdout) <= 80
    assert "\x1b" not in told.stdout, "no colours in a pipe"
    titles = [line for line in lines if line in SECTIONS]
    assert titles == list(SECTIONS), "every section, in order, and nothing in a section of its own"
    assert "What would make measurements doubtful" in lines
    assert "And" not in lines
    for topic in ("reached", "request", "transfer", "agent", "python", "disk", "memory", "runtime", "temperature"):
        assert any(line[8:].startswith(f"{topic} ") for line in lines), topic
    assert "onnxruntime" in told.stdout
    assert any(line.startswith(("ready: ", "usable, but measurements would be doubtful because")) for line in lines)


def test_for_scripts_it_is_json_and_nothing_else(folder: Path) -> None:
    told = check("./mine.yaml", "--format", "json", cwd=folder)
    assert told.returncode == 0, told.stderr
    content = json.loads(told.stdout)
    assert (content["device"], content["usable"]) == ("./mine.yaml", True)
    assert content["verdict"]
    assert all(finding["state"] in ("ok", "note", "warn", "bad") for finding in content["findings"])
    assert not list((folder / "home").rglob("*.part")), "nothing of the upload that was timed is left"


def test_a_group_is_examined_one_by_one(folder: Path) -> None:
    (folder / "all.yaml").write_text("group: [./mine.yaml, ./absent.yaml]\n")
    (folder / "absent.yaml").write_text(f"{FAKE}python: /no/such/python\n")
    told = check("./all.yaml", "--format", "json", cwd=folder)
    assert told.returncode == 3
    first, second = json.loads(told.stdout)
    assert (first["usable"], second["usable"]) == (True, False)
    assert "/no/such/python" in told.stderr


@pytest.mark.parametrize(
    ("spec", "reason", "step"),
    [
        ("nowhere", "no device 'nowhere'", "ssh://user@host"),
        ("ssh://127.0.0.1:{port}", "refused", "ssh ssh://127.0.0.1:{port} python3 --version"),
        ("ssh://no-such-host.invalid", "no-such-host.invalid", "ssh ssh://no-such-host.invalid"),
    ],
)
def test_no_device_is_exit_3_with_the_reason_and_a_step(spec: str, reason: str, step: str) -> None:
    port = free_port("127.0.0.1")
    told = check(spec.format(port=port))
    assert told.returncode == 3
    assert told.stdout == ""
    assert reason in told.stderr
    assert step.format(port=port) in told.stderr
    assert "Traceback" not in told.stderr
    assert columns(told.stderr) <= 80
    scripted = check(spec.format(port=port), "--format", "json")
    assert scripted.returncode == 3
    assert json.loads(scripted.stdout)["usable"] is False


def test_a_device_in_use_names_its_holder_and_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with connect("./mine.yaml", cache=cache_root(), holder="anna@laptop, study gait in /home/anna") as device:
        told = check("./mine.yaml", cwd=folder)
        assert told.returncode == 3
        assert "in use" in told.stderr
        assert device.round_trip_s() > 0, "the one who has it keeps it"


def test_a_format_nobody_knows() -> None:
    told = check("local:", "--format", "jsn")
    assert (told.returncode, "text, json" in told.stderr) == (2, True)


def test_a_board_over_ssh(board: Sshd) -> None:
    told = check(board.spec)
    assert told.returncode in (0, 3), told.stderr  # 3: its python3 has no runtime, and the page says so
    assert columns(told.stdout) <= 80
    assert told.stdout.startswith(f"Device {board.spec}\n")
    assert "MB/s to the device" in told.stdout
    assert str(board.agent_home) in told.stdout.replace("\n" + " " * 20, "")
    if told.returncode == 3:
        assert "not usable: runtime: there is none" in told.stdout
        assert told.stderr == "", "said once"


def test_a_board_whose_key_is_unknown(board: Sshd) -> None:
    board.known_hosts.write_text("")
    told = check(board.spec)
    assert told.returncode == 3
    assert "SHA256:" in told.stderr
    assert "Traceback" not in told.stderr


FINDINGS = (
    Finding("board", "ok", "a board with a name that is so long that its line has to be wrapped at the right place"),
    Finding("clocks", "warn", "free", "hold them", because="the processor's clock is free to move"),
    Finding("clocks", "warn", "free", "hold them", because="the GPU's clock is free to move"),
    Finding("aura", "note", "what only a newer agent looks for", "keep calm"),
)


def rendered(*findings: Finding, colours: bool = False) -> str:
    console = Console(force_terminal=colours, color_system="standard" if colours else None, highlight=False)
    with console.capture() as capture:
        console.print(page(Examination("ssh://board", findings)), soft_wrap=True)
    return capture.get()


def test_the_page() -> None:
    assert rendered(*FINDINGS) == (
        "Device ssh://board\n"
        f"{LEGEND}\n"
        "\n"
        "The board\n"
        "  ok    board       a board with a name that is so long that its line has to be\n"
        "                    wrapped at the right place\n"
        "\n"
        "Power and clocks\n"
        "  warn  clocks      free\n"
        "  warn              free\n"
        "\n"
        "And\n"
        "  note  aura        what only a newer agent looks for\n"
        "                    → keep calm\n"
        "\n"
        "What would make measurements doubtful\n"
        "  1. the processor's clock is free to move; the GPU's clock is free to move\n"
        "     → hold them\n"
        "\n"
        "usable, but measurements would be doubtful because the processor's clock is free\n"
        "to move (and 1 more reason above)\n"
    )
    assert "\x1b[33mwarn" in rendered(*FINDINGS, colours=True)


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (FINDINGS[0], "ready: nothing found that would make measurements doubtful"),
        (FINDINGS[1], "usable, but measurements would be doubtful because the processor's clock is free to move"),
        (Finding("disk", "bad", "0.1 GB free"), "not usable: disk: 0.1 GB free"),
    ],
)
def test_the_verdict(finding: Finding, verdict: str) -> None:
    assert Examination("local:", (finding,)).verdict == verdict


@pytest.mark.parametrize("told", [{}, {"topic": 1, "state": "splendid"}, {"state": None, "found": ["x"], "more": 1}])
def test_findings_of_a_stranger_do_no_harm(told: dict[str, Any]) -> None:
    finding = Finding.of({"topic": "", "state": "", "found": "", "advice": "", **told})
    assert finding.state == "note"
    assert rendered(finding)


def test_a_virtual_board_says_that_it_is_one() -> None:
    told = check("sim:thor")
    assert told.returncode == 0, told.stderr
    words = " ".join(told.stdout.split())
    assert "note simulated a virtual board: what it tells" in words
    assert "14 cores" in words
    assert "nvidia-jetpack" not in words, "nobody shall install anything for it here"
    assert "NVIDIA Jetson AGX Thor" in words
    assert columns(told.stdout) <= 80
