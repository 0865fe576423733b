"""Conditions of a measurement: what is read, what is judged by it, and how long is waited for a cool board."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures import boards

from explorer_agent import board, conditions, cooling, undo
from explorer_agent.readiness import judged

from .talk import FAKE, Talk

ALARM = "sys/class/thermal/cooling_device0/cur_state"
CLK = "sys/kernel/debug/bpmp/debug/clk"
Change = Callable[[boards.Tree], object]


@pytest.fixture
def tree(tmp_path: Path) -> boards.Tree:
    return boards.programs(boards.make("orin-nx", tmp_path / "board"))


def lock(tree: boards.Tree) -> None:
    with (tree.root / "imitation.json").open() as nothing_to_say:
        undo.run(tree.root, nothing_to_say.fileno(), "jetson_clocks")


def flags(tree: boards.Tree, change: Change, *, asked: str = "lock", **series: list[float]) -> list[str]:
    """Of a measurement in which `change` happens."""
    before = board.state(tree.root)
    change(tree)
    seen = {f"state_{conditions.NAMES.index(name)}": values for name, values in series.items()}
    return conditions.flags(before, board.state(tree.root), seen, asked, root=tree.root)


def oc3(tree: boards.Tree) -> Path:
    return next((tree.root / "sys/devices/i2c").glob("*/hwmon/*/oc3_event_cnt"))


@pytest.mark.parametrize("name", boards.BOARDS)
def test_what_is_read_on_every_board(name: str, tmp_path: Path) -> None:
    tree = boards.programs(boards.make(name, tmp_path))
    tree.write(f"{CLK}/emc/rate", "2133000000\n")
    probe = conditions.probe(tree.root)
    assert len(probe.series) == len(conditions.NAMES)
    told = dict(zip(conditions.NAMES, probe.read(), strict=True))
    assert told["gpu_hz"] == 306_000_000
    assert told["cpu_khz_min"] == 1_090_400
    assert told["emc_hz"] == 2_133_000_000
    assert told["throttling"] == 0
    assert told["swap_used_mb"] == 0
    assert 30 < told["temperature_c"] < 60, "and no PMIC at 100 °C"
    assert math.isnan(told["dla_hz"])
    assert math.isnan(told["gpu_load"])


def test_where_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert all(map(math.isnan, conditions.probe(tmp_path).read()))
    nothing = board.state(tmp_path)
    assert conditions.flags(nothing, nothing, {}, root=tmp_path) == []
    assert cooling.Cooler(tmp_path).wait(60) == {"seconds": 0.0, "from_c": None, "to_c": None, "gave_up": ""}


def test_the_clocks_of_the_dla(tree: boards.Tree) -> None:
    for number, hertz in enumerate((1_600_000_000, 614_400_000)):
        tree.write(f"{CLK}/dla{number}_core/rate", f"{hertz}\n")
    assert conditions.probe(tree.root).read()[conditions.NAMES.index("dla_hz")] == 1_600_000_000
    assert board.state(tree.root)["dla_hz"] == 1_600_000_000


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda tree: None, []),
        (lambda tree: tree.write(ALARM, "1\n"), ["throttled"]),
        (lambda tree: oc3(tree).write_text("40\n"), ["over-current"]),
        (lambda tree: tree.write("sys/class/devfreq/17000000.gpu/min_freq", "306000000\n"), ["clocks-moved"]),
        (lambda tree: tree.write("var/lib/nvpmodel/status", "pmode:0002 fmode:fanNull\n"), ["clocks-moved"]),
        (lambda tree: tree.write("proc/vmstat", "pswpin 9000\npswpout 17\n"), ["swapping"]),
    ],
    ids=["all is well", "alarm", "current peaks", "clock let go", "mode changed", "swap"],
)
def test_what_happens_meanwhile(change: Change, found: list[str], tree: boards.Tree) -> None:
    tree.write("proc/vmstat", "pswpin 8000\npswpout 17\n")
    lock(tree)
    assert flags(tree, change) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda tree: tree.write(ALARM, "2\n"), ["too-warm"]),
        (lambda tree: tree.write("proc/812/comm", "gnome-shell\n"), ["desktop-running"]),
        (lambda tree: tree.write("sys/devices/gpu.0/load", "430\n"), ["someone-on-the-gpu"]),
        (lambda tree: tree.write("sys/class/devfreq/17000000.gpu/min_freq", "306000000\n"), ["clocks-not-locked"]),
    ],
    ids=["an alarm that does not go", "desktop", "gpu in use", "not locked"],
)
def test_what_was_so_before(change: Change, found: list[str], tree: boards.Tree) -> None:
    lock(tree)
    change(tree)
    assert flags(tree, lambda tree: None) == found


def test_what_is_seen_only_in_between(tree: boards.Tree) -> None:
    lock(tree)
    assert flags(tree, lambda tree: None, throttling=[0.0, math.nan, 1.0, 0.0]) == ["throttled"]
    assert flags(tree, lambda tree: None, gpu_hz=[1_200_500_000.0, 900_000_000.0]) == ["clocks-moved"]
    assert flags(tree, lambda tree: None, cpu_khz_min=[2_101_600.0, 1_990_000.0]) == ["clocks-moved"]
    quiet = [2_101_600.0, 2_080_000.0, 0.0, math.nan]
    assert flags(tree, lambda tree: None, cpu_khz_min=quiet) == [], "counters are 1 % off; a processor may be asleep"


def test_a_jetson_whose_clocks_nobody_locked_is_marked(tree: boards.Tree) -> None:
    assert flags(tree, lambda tree: None, asked="leave") == ["clocks-not-locked"]


def test_on_a_laptop(tmp_path: Path) -> None:
    """A desktop and free clocks are what a laptop has, a few events of heat too."""
    tree = boards.laptop(tmp_path)
    tree.write("proc/812/comm", "gnome-shell\n")
    count = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    assert flags(tree, lambda tree: tree.write(count, "9\n"), asked="leave") == []
    assert flags(tree, lambda tree: tree.write(count, "90\n"), asked="leave") == ["throttled"]
    assert flags(tree, lambda tree: None) == ["clocks-not-locked"], "as was asked for"
    tree.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq", "4700000\n")
    assert flags(tree, lambda tree: None, cpu_khz_min=[3_000_000.0]) == [], "an x86 clock reads as its mean"


class Clock:
    """Time that passes by sleeping, in which the board's temperature goes its course."""

    def __init__(self, tree: boards.Tree, course: Callable[[float], float]) -> None:
        self.tree, self.course, self.now = tree, course, 0.0
        self.sleep(0.0)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.tree.write("sys/class/thermal/thermal_zone1/temp", f"{self.course(self.now) * 1000:.0f}\n")


@pytest.fixture
def cool(tree: boards.Tree, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Waits on a board that goes through a course of temperature, having begun the first time at `calm`."""
    cooler = cooling.Cooler(tree.root)

    def wait(course: Callable[[float], float], at_most_s: float = 60, calm: float | None = None) -> dict[str, Any]:
        for way in ([lambda _: calm] if calm is not None else []) + [course]:
            monkeypatch.setattr(cooling, "time", Clock(tree, way))
            found = cooler.wait(at_most_s)
        return found

    return wait


Cool = Callable[..., dict[str, Any]]


def test_what_begins_first_does_not_wait(cool: Cool) -> None:
    assert cool(lambda now: 60.0) == {"seconds": 0.0, "from_c": 60.0, "to_c": 60.0, "gave_up": ""}


def test_waits_until_it_is_nearly_as_cool_as_it_was(cool: Cool) -> None:
    found = cool(lambda now: 45 + 30 * math.exp(-now / 8), calm=45.0)
    assert found["gave_up"] == ""
    assert found["seconds"] == pytest.approx(8 * math.log(30 / 5), abs=0.5)
    assert found["to_c"] <= 50


def test_gets_no_cooler_on_a_warmer_day(cool: Cool) -> None:
    found = cool(lambda now: 58.0, calm=45.0)
    assert (found["gave_up"], found["seconds"]) == ("", 5.0)
    assert cool(lambda now: 58.0)["seconds"] == 0.0, "and is not waited for again"


def test_gives_up(cool: Cool) -> None:
    found = cool(lambda now: 90 - now / 2, at_most_s=20, calm=45.0)
    assert found["gave_up"] == "still 80 °C after 20 s"


def test_an_alarm_that_stands_at_rest_costs_seconds_and_marks_instead_of_voiding(cool: Cool, tree: boards.Tree) -> None:
    tree.write(ALARM, "1\n")
    found = cool(lambda now: 97.0)
    assert (found["gave_up"], found["seconds"]) == ("gpu-throttle-alert at 97 °C, although nothing runs", 5.0)
    reply = judged({"type": "done", "flags": ["unstable", "throttled"]}, {"cooldown": found})
    assert reply["flags"] == ["unstable", "too-warm"]
    assert reply["cooldown"]["gave_up"]
    kept = judged({"type": "done", "flags": ["throttled"]}, {"cooldown": {**found, "gave_up": ""}})
    assert kept["flags"] == ["throttled"]


def test_nobody_waits_for_a_job_that_is_cancelled(tree: boards.Tree) -> None:
    tree.write(ALARM, "1\n")
    assert cooling.Cooler(tree.root).wait(60, stop=lambda: True)["seconds"] == 0.0


def measured(talk: Talk, *, meanwhile: Callable[[], object] = lambda: None, budget_s: float = 0.05) -> dict[str, Any]:
    """The reply to a measurement by a real agent; `meanwhile` is called when it tells that it has begun."""
    plan = {"warmup_s": 0.01, "window_s": 0.01, "windows_min": 2, "idle_s": 0.0, "relative_interval": 1e-9}
    engine = talk.build(talk.script())["engine"]
    number = talk.say("measure", engine=engine, deployment=FAKE, plan={**plan, "budget_s": budget_s})
    while (message := talk.hear()[0]).get("id") != number:
        if message.get("kind") == "progress":
            meanwhile()
    return message


@pytest.mark.parametrize("clocks", ["lock", pytest.param("leave", marks=pytest.mark.slow)])
def test_a_real_agent_marks_and_voids(clocks: str, start: Callable[..., Talk], tree: boards.Tree) -> None:
    talk = start("--root", str(tree.root), "--clocks", clocks)
    marks = {"clocks-not-locked"} if clocks == "leave" else set()
    assert {"throttled", "too-warm", "clocks-moved", "clocks-not-locked"} & {*measured(talk)["flags"]} == marks
    header = measured(talk, meanwhile=lambda: tree.write(ALARM, "1\n"), budget_s=1.5)
    assert "throttled" in header["flags"]
    assert "gpu-throttle-alert" in header["board_after"]["throttling"]
    tree.write(ALARM, "0\n")
    gpu = "sys/class/devfreq/17000000.gpu/min_freq"
    header = measured(talk, meanwhile=lambda: tree.write(gpu, "306000000\n"), budget_s=1.5)
    assert ("clocks-moved" in header["flags"]) is (clocks == "lock")
    if clocks == "lock":
        assert "clocks-moved" not in measured(talk)["flags"], "locked again before the next"


@pytest.mark.slow
def test_a_board_that_throttles_at_rest_still_gives_numbers(start: Callable[..., Talk], tree: boards.Tree) -> None:
    tree.write(ALARM, "1\n")
    header = measured(start("--root", str(tree.root)))
    assert "too-warm" in header["flags"]
    assert "throttled" not in header["flags"]
    assert "although nothing runs" in header["cooldown"]["gave_up"]
