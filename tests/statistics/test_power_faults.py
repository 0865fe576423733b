"""Every fault of a board's sensors and of their reading leaves no number, or a mark; never a wrong number."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from fixtures import boards, waveforms
from fixtures.metered import BATCH, LATENCY_S, WINDOW_S, Taken, assert_no_number, edited, rows, told_by, watch, worst

from explorer.statistics import derive
from explorer.statistics.power import rail_watts
from explorer_agent import rails


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    return watch(boards.make("orin-nx", tmp_path_factory.mktemp("plain")))


def first_of_the_total(tree: boards.Tree) -> boards.Channel:
    policy = rails.totals(rails.rails(tree.root))[0]
    if policy.rails == ("VIN",):
        (watts,) = tree.root.glob("sys/devices/i2c/*/hwmon/*/power1_input")
        return boards.Channel(watts, watts)
    return tree.rail(policy.rails[0])


@pytest.mark.parametrize("fault", ["gate", "fail", "silence"])
@pytest.mark.parametrize("board", boards.BOARDS)
def test_a_rail_of_the_total_that_stops_answering_leaves_no_number(board: str, fault: str, tmp_path: Path) -> None:
    """EIO or ENODATA, EAGAIN, gated: from the middle of the windows on."""
    tree = boards.make(board, tmp_path)
    channel = first_of_the_total(tree)

    def then(seconds: float) -> None:
        if seconds < 5.0:
            return
        if fault == "gate":
            channel.amps.write_text("-8\n")
        elif not (channel.volts.is_symlink() or channel.volts.is_fifo()):
            getattr(channel, fault)()

    taken = watch(tree, then=then)
    assert_no_number(taken, "rail-missing")
    assert list(rail_watts(taken.measurement).values()).count(None) == 1, "the others are known"


def label_of(tree: boards.Tree, name: str) -> Path:
    patterns = ("sys/devices/i2c/*/hwmon/*/in?_label", "sys/bus/i2c/drivers/ina3221x/*/*/rail_name_?")
    (file,) = [path for pattern in patterns for path in tree.root.glob(pattern) if path.read_text().strip() == name]
    return file


@pytest.mark.parametrize("board", [name for name in boards.BOARDS if name != "thor"])
@pytest.mark.parametrize("label", ["NC", "", None])
def test_a_rail_of_the_total_without_its_name_leaves_no_number(board: str, label: str | None, tmp_path: Path) -> None:
    """No other policy steps in for it: that of three rails would pass for that of four. (The one ina238 of a Thor is
    known by its kind.)
    """
    tree = boards.make(board, tmp_path)
    file = label_of(tree, rails.totals(rails.rails(tree.root))[0].rails[-1])
    taken = watch(tree, first=file.unlink if label is None else lambda: file.write_text(f"{label}\n"))
    assert_no_number(taken, "rail-missing")
    assert taken.measurement.meter["policy"] == "none"


def test_a_rail_outside_the_total_may_be_gated(tmp_path: Path) -> None:
    tree = boards.make("thor", tmp_path)
    taken = watch(tree, then=lambda seconds: tree.rail("VDD_GPU").gate())
    errors = taken.errors()
    assert math.isnan(errors.pop("VDD_GPU"))
    assert worst(errors) < 0.01
    assert taken.flags() == set()


@pytest.mark.parametrize("board", ["agx-xavier", "agx-orin", "thor"])
def test_sensors_may_be_numbered_anew_before_and_meanwhile(board: str, tmp_path: Path) -> None:
    tree = boards.make(board, tmp_path)
    tree.renumber()
    again = iter([tree.renumber])

    def then(seconds: float) -> None:
        if seconds > 5.0:
            next(again, bool)()

    taken = watch(tree, "ramping", then=then)
    assert worst(taken.errors()) < 0.01
    assert taken.flags() == set()


@pytest.mark.parametrize(("missing", "flags"), [(4, set()), (5, {"rail-missing"})])
def test_a_few_readings_that_are_missing_are_bridged(missing: int, flags: set[str], tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    channel, answered, left = tree.rail("VDD_IN"), tree.rail("VDD_IN").volts.read_text(), iter(range(missing + 1))

    def then(seconds: float) -> None:
        if seconds > 5.0:
            channel.volts.write_text("" if next(left, missing) < missing else answered)

    taken = watch(tree, "ramping", then=then)
    assert taken.flags() == flags
    if not flags:
        assert worst(taken.errors()) < 0.01


def test_a_rail_that_misses_every_fifth_reading_is_not_trusted(tmp_path: Path) -> None:
    tree, count = boards.make("orin-nx", tmp_path), itertools.count()
    channel, answered = tree.rail("VDD_IN"), tree.rail("VDD_IN").volts.read_text()
    taken = watch(tree, then=lambda _: int(channel.volts.write_text("" if next(count) % 5 == 0 else answered)) and None)
    assert_no_number(taken, "rail-missing")


def test_readings_that_end_early_are_no_reading_of_what_came_after(plain: Taken) -> None:
    assert_no_number(rows(plain, lambda times: times < 6.0), "meter-failed")
    assert_no_number(rows(plain, lambda times: times > 4.0), "meter-failed")


def test_a_long_gap_is_told(plain: Taken) -> None:
    taken = rows(plain, lambda times: (times < 4.0) | (times > 4.6))
    assert taken.flags() == {"few-power-readings"}


def test_few_readings_are_told(plain: Taken) -> None:
    every_third = rows(plain, lambda times: np.arange(len(times)) % 3 == 0)
    assert every_third.flags() == {"few-power-readings"}


def test_no_idle_stretch_means_no_net_figure_and_no_other_is_taken_for_it(plain: Taken) -> None:
    taken = edited(plain, idle_s=[1.0, 1.0], idle_after_s=[7.0, 7.0])
    metrics, _, _ = derive(taken.measurement, BATCH)
    assert "energy_net_mj" not in metrics
    assert metrics["energy_mj"].value == pytest.approx(plain.truth()["energy_mj"], rel=0.01)
    assert taken.flags() == {"no-idle-baseline"}


@pytest.mark.parametrize("left", ["idle_s", "idle_after_s"])
def test_one_idle_stretch_is_enough(plain: Taken, left: str) -> None:
    gone = {"idle_s": "idle_after_s", "idle_after_s": "idle_s"}[left]
    taken = edited(plain, **{gone: [1.0, 1.0]})
    assert worst(taken.errors()) < 0.01
    assert taken.flags() == set()


def test_an_idle_board_that_grows_warm_is_followed(plain: Taken) -> None:
    """Leakage grows by 0.1 W a second: idle before 2.1 W, after more; each window has its own idle watts taken off."""
    taken = edited(plain, meter_0=lambda series: series["meter_0"] + 0.1 * series["meter_time_s"])
    net = derive(taken.measurement, BATCH)[0]["energy_net_mj"].value
    assert net == pytest.approx(plain.truth()["energy_net_mj"], rel=0.01)


def test_windows_shorter_than_five_lags_are_told(tmp_path: Path) -> None:
    tree = boards.make("orin-nano", tmp_path)
    lag_s = told_by(tree)
    taken = watch(tree, "constant", lambda supply: waveforms.held_mean(supply, lag_s), slow=2.0)
    last = 4.9 * lag_s // WINDOW_S
    names = ("window_start_s", "window_end_s", "window_count", "window_cpu_s")
    short = edited(taken, **{name: taken.measurement.series[name][: int(last)] for name in names})
    assert "power-lags" in short.flags()


def test_windows_of_a_slow_sensors_lead_in_are_left_out(tmp_path: Path) -> None:
    """Windows that begin with the work: the mean still holds idle watts; the rest of them is long enough."""
    tree = boards.make("orin-nano", tmp_path)
    lag_s = told_by(tree)
    taken = watch(tree, "constant", lambda supply: waveforms.held_mean(supply, lag_s), slow=2.0, windows_s=8 * lag_s)
    edges = np.arange(2.4, taken.scene.end + WINDOW_S / 2, WINDOW_S)
    count = np.full(len(edges) - 1, WINDOW_S / LATENCY_S)
    early = {"window_start_s": edges[:-1], "window_end_s": edges[1:], "window_count": count, "window_cpu_s": count}
    whole = edited(taken, **early)
    assert whole.flags() == set()
    metrics, _, _ = derive(whole.measurement, BATCH)
    for name in ("power_w", "energy_mj", "energy_net_mj"):
        assert metrics[name].value == pytest.approx(taken.truth()[name], rel=0.01)
