"""A board without a battery wakes up in 1970 and learns the date while it works: no deadline may depend on that."""

from __future__ import annotations

import glob
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import explorer_agent

from .talk import FAKE, Talk

DAY_S = 86400
LIBRARY = next(iter(sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))), "")
Start = Callable[..., Talk]


class Clock:
    """The clock on the wall of one process and its children, to be set at any time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    if not LIBRARY:
        pytest.skip("the package faketime is not installed")
    clock = Clock(tmp_path / "offset")
    for name, value in clock.environment.items():
        monkeypatch.setenv(name, value)
    return clock


def beats(talk: Talk, count: int) -> None:
    """Hear `count` heartbeats."""
    while count:
        count -= talk.hear()[0].get("kind") == "heartbeat"


# Not under Python 3.11 and later: there libfaketime makes every time.sleep end in EINVAL once the date has jumped, for
# it takes an absolute deadline of the monotonic clock for one of the clock on the wall.
@pytest.mark.parametrize(
    ("python", "jump"), [("3.8", -DAY_S), pytest.param("3.10", DAY_S, marks=pytest.mark.slow)], indirect=["python"]
)
def test_a_clock_that_jumps_changes_nothing(start: Start, clock: Clock, jump: int, python: str) -> None:
    talk = start("--lease", "30", python=python)
    running = talk.say("build", source=talk.script(do="hang"), deployment=FAKE, timeout_s=3)
    beats(talk, 1)
    clock.set(jump)
    beats(talk, 1)
    reply, _ = talk.answer(running)
    assert "longer than the 3 s" in reply["text"], "not before, and not a day later"
    source = talk.script(latency_s=0.001)
    built = talk.build(source)
    clock.set(-jump)
    plan = {"warmup_s": 0.02, "window_s": 0.05, "budget_s": 0.3}
    measured, _ = talk.ask("measure", engine=built["engine"], deployment=FAKE, plan=plan, meter={"name": "steady"})
    assert measured["type"] == "measure", measured
    assert talk.build(source)["cached"]
    talk.say("lease", seconds=1)
    clock.set(0)
    assert talk.process.wait(60) == 0, "the lease ran out"


def test_the_library_really_sets_the_clock(clock: Clock) -> None:
    clock.set(-DAY_S)
    told = subprocess.run([sys.executable, "-c", "import time; print(time.time())"], capture_output=True, check=True)
    assert float(told.stdout) < time.time() - DAY_S / 2


def test_the_agent_never_asks_for_the_date() -> None:
    """But once, to tell people since when a board has been in use."""
    agent = Path(explorer_agent.__file__).parent
    asking = re.compile(r"time\.time\(|time\.time_ns|datetime|CLOCK_REALTIME")
    assert not [file.name for file in agent.rglob("*.py") if asking.search(file.read_text(encoding="utf-8"))]
