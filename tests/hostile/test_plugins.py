"""Runtimes and meters of the user's own that misbehave, and names on the command line that are none: told in words, at
once where that can be, and otherwise for the one job; the agent lives.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from explorer.device import Device, check, connect
from explorer.errors import Infeasible, JobFailed, NoDevice, TrialEnding
from explorer.statistics import derive
from explorer.transports.bundle import make_bundle

from .noise import WORDS

GOOD = "from explorer_agent.testing import FakeEngine, FakeRuntime, SteadyMeter\n"
DEPLOYMENT = {"runtime": "mine", "precision": "fp32", "batch": 1, "threads": 1}
PLAN = {"warmup_s": 0.01, "window_s": 0.01, "windows_min": 2, "budget_s": 0.05, "relative_interval": 0.5, "idle_s": 0.0}


def reach(folder: Path, code: str) -> Device:
    """The agent of this machine with the plug-in `code`, and the runtime `mine` if it brings one."""
    (folder / "mine.py").write_text(GOOD + code)
    options: dict[str, Any] = {"plugins": ["mine"]}
    if "RUNTIMES" in code:
        options["runtimes"] = ["mine"]
    if '"mine": Mine' in code.partition("METERS")[2]:
        options["meter"] = {"name": "mine"}
    return connect("local:", cache=folder / "cache", options=options, search=folder)


def runtime(*lines: str) -> str:
    """A runtime that differs from a good one in `lines`."""
    body = "\n".join(f"    {line}" for line in lines)
    return f"class Mine(FakeRuntime):\n{body}\nRUNTIMES = {{'mine': Mine()}}\n"


def meter(*lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f'class Mine(SteadyMeter):\n{body}\nRUNTIMES = {{"mine": FakeRuntime()}}\nMETERS = {{"mine": Mine}}\n'


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (runtime("def describe(self): return {'version': 3, 'precisions': {}}"), "runtimes.mine.version must be str"),
        (runtime("def describe(self): return {'version': '3', 'precisions': []}"), "mine.precisions must be dict"),
        ("RUNTIMES = {3: FakeRuntime()}", "named by a word, not by 3"),
        ("RUNTIMES = [FakeRuntime()]", "must be a dict"),
        (meter("def available(self): return 1 / 0"), "'mine' cannot be used: ZeroDivisionError"),
        (meter("def __init__(self, wanted): wanted['port'].open()"), "'mine' cannot be used: KeyError: 'port'"),
    ],
)
def test_what_describes_itself_badly_is_no_device(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(NoDevice, match=words):
        reach(tmp_path, code)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (runtime("def describe(self): return {'version': object()}"), "ended with exit status 1"),
        (runtime("def available(self): raise SystemExit"), "ended with exit status 1"),
        ("RUNTIMES = {'mine': 'a word'}", "ended with exit status 1"),
    ],
)
def test_a_runtime_that_cannot_be_asked_is_not_available(tmp_path: Path, code: str, words: str) -> None:
    with reach(tmp_path, code) as device, pytest.raises(Infeasible, match=words):
        check(DEPLOYMENT, device.capabilities, name=device.name)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (runtime("def build(self, *_): return {'layers': {'fp32': 'all'}}"), "build.layers must be int"),
        (runtime("def build(self, *_): return ['fp32']"), "TypeError|ValueError"),
        (runtime("def build(self, *_): return {'error': float('nan')}"), "exit status 1|not JSON compliant"),
        (runtime("def build(self, *_): return {'type': 'measure', 'id': 99, 'engine': 'x', 'layers': {}}"), ""),
        (runtime("def load(self, *_): return None"), "AttributeError"),
        (meter("def read(self): return [float('inf'), 1.0]"), "a number that is none"),
        (meter("def facts(self): return {'estimated': True}"), "measure.meter needs idle_w"),
        (meter("quantity = 'kWh'"), "neither J nor W"),
    ],
)
def test_what_it_yields_is_looked_at(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "source").write_text("{}")
    with reach(tmp_path, code) as device:
        if words:
            with pytest.raises(JobFailed, match=words) as failed:
                device.measure(device.build(tmp_path / "source", DEPLOYMENT), DEPLOYMENT, PLAN)
            assert str(failed.value).startswith("local:")
        else:
            assert len(device.build(tmp_path / "source", DEPLOYMENT).engine) == 64, "no field of the wire is its to set"
        assert device.round_trip_s() < 60, "and the agent lives"


def test_a_rail_that_has_no_reading_leaves_no_energy(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("{}")
    with reach(tmp_path, meter("def read(self): return [float('nan'), 1.0]")) as device:
        taken = device.measure(device.build(tmp_path / "source", DEPLOYMENT), DEPLOYMENT, PLAN)
    metrics, _, flags = derive(taken, 1)
    assert "rail-missing" in flags
    assert not {"power_w", "energy_mj", "energy_net_mj"} & set(metrics)


@pytest.mark.parametrize("line", ["def read(self): return [1.0]", "def rails(self): return []"])
def test_numbers_for_other_rails_than_it_names_leave_no_energy(tmp_path: Path, line: str) -> None:
    (tmp_path / "source").write_text("{}")
    with reach(tmp_path, meter(line)) as device:
        taken = device.measure(device.build(tmp_path / "source", DEPLOYMENT), DEPLOYMENT, PLAN)
    metrics, _, flags = derive(taken, 1)
    assert "meter-failed" in flags
    assert "energy_mj" not in metrics


def test_a_meter_that_fails_midway_is_told_and_not_taken_for_one_that_read_less(tmp_path: Path) -> None:
    lines = (
        "count = 0",
        "def read(self):",
        "    Mine.count += 1",
        "    return [1.0, {}[7] if 3 < Mine.count else 2.0]",
    )
    (tmp_path / "source").write_text("{}")
    with reach(tmp_path, meter(*lines)) as device:
        try:
            taken = device.measure(device.build(tmp_path / "source", DEPLOYMENT), DEPLOYMENT, {**PLAN, "idle_s": 0.3})
        except TrialEnding as ending:
            assert "KeyError: 7" in str(ending)  # noqa: PT017  it may fail at the last reading too, which is the job's own
        else:
            assert "meter-failed" in derive(taken, 1)[2]


def test_what_it_prints_when_imported_is_no_word_of_the_agents(tmp_path: Path) -> None:
    code = "import os\nprint('{\"type\":\"hello\"}')\nos.write(1, b'noise\\n')\nRUNTIMES = {'mine': FakeRuntime()}\n"
    with reach(tmp_path, code) as device:
        assert list(device.capabilities["runtimes"]) == ["mine"]


@pytest.mark.parametrize(("option", "begin"), [("--plugin", 0), ("--runtime", 3)])
def test_names_that_are_none_are_refused_in_words(tmp_path: Path, option: str, begin: int) -> None:
    bundle, _ = make_bundle(tmp_path / "cache")
    words_of_noise = [word for word in WORDS if "\0" not in word and word.isprintable()]
    for word in (*words_of_noise[begin::6], "", "json/../../x", ".relative", "a\nb", "a" * 3000):  # a process each
        words = [sys.executable, "-I", str(bundle), "serve", "--home", str(tmp_path / "home"), f"{option}={word}"]
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, cwd=tmp_path, timeout=120, check=False
        )
        said = json.loads(done.stdout)
        assert (done.returncode, said["type"], said["kind"]) == (1, "error", "unsupported"), said
        assert not done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]
