"""What a board's owner may install: each file is read by the program that will read it there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from explorer_agent import undo

AGENTS = Path(__file__).parents[2] / "agents"
SUDOERS = AGENTS / "sudoers/explorer"
RULES = AGENTS / "udev/70-explorer.rules"
UNIT = AGENTS / "systemd/explorer-agent-restore@.service"


def program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not found:
        pytest.skip(f"no {name} on this machine")
    return found


def said(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_sudo_understands_its_rules() -> None:
    assert "parsed OK" in said(program("visudo"), "-c", "-f", str(SUDOERS))


def test_sudo_allows_what_the_agent_runs_and_no_pattern_that_takes_words() -> None:
    rules = re.sub(r"\\\n\s*", "", SUDOERS.read_text())
    allowed = [each.strip() for line in re.findall(r"Cmnd_Alias \w+ = (.*)", rules) for each in line.split(",")]
    assert {each.split()[0] for each in allowed} == {"/usr/bin/jetson_clocks", "/usr/sbin/nvpmodel"}
    for word in ("--store", "--restore"):
        assert f"/usr/bin/jetson_clocks {word} /{undo.STORED_CLOCKS}" in allowed
    assert not re.search(r"[*?!]", "".join(allowed))


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name.replace("@", "@root")
    unit.write_text(UNIT.read_text().replace("/usr/bin/python3", shutil.which("python3") or "/usr/bin/python3"))
    assert said(program("systemd-analyze"), "verify", str(unit)) == ""


def rules() -> list[list[tuple[str, str, str]]]:
    lines = [line for line in RULES.read_text().splitlines() if line and not line.startswith("#")]
    return [re.findall(r'([A-Z{}]+)(==|\+=)"([^"]*)"(?:, |$)', line) for line in lines]


def test_udev_understands_its_rules() -> None:
    """By udev's own check where this one has it (254 and newer); by their form everywhere."""
    lines = [line for line in RULES.read_text().splitlines() if line and not line.startswith("#")]
    for line, words in zip(lines, rules(), strict=True):
        assert ", ".join(f'{key}{how}"{value}"' for key, how, value in words) == line
        assert {key for key, _, _ in words} <= {"ACTION", "SUBSYSTEM", "KERNEL", "TEST", "RUN"}
        assert all((how == "+=") == (key == "RUN") for key, how, _ in words)
    udevadm = shutil.which("udevadm")
    if udevadm and "verify" in said(udevadm, "--help"):
        said(udevadm, "verify", str(RULES))


def test_udev_gives_knobs_that_the_agent_turns_and_no_other() -> None:
    given = {path for words in rules() for key, _, run in words if key == "RUN" for path in run.split()[2:]}
    assert {Path(path).name for path in given} == {"scaling_min_freq", "scaling_governor", "min_freq", "energy_uj"}
