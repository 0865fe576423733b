"""The sensors of every Jetson as a meter: what it reads, what it says of itself, and the whole way in real time."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fixtures import boards, waveforms
from fixtures.waveforms import Drawn, Supply

from explorer.statistics import Measurement, derive
from explorer_agent.meters import METERS, choose
from explorer_agent.meters.ina3221 import Ina3221
from explorer_agent.sampling import Watch, of_meter, watched
from explorer_agent.testing import MeterContract


class TestOnAnOrin(MeterContract):
    @pytest.fixture(autouse=True)
    def _on_a_board(self, tmp_path: Path) -> None:
        self.meter = Ina3221({}, root=boards.make("agx-orin", tmp_path).root)


class TestWhereThereIsNoSensor(MeterContract):
    @pytest.fixture(autouse=True)
    def _on_a_laptop(self, tmp_path: Path) -> None:
        self.meter = Ina3221({}, root=boards.laptop(tmp_path).root)
        assert "no sensor of the kinds ina3221 and ina238" in self.meter.available()


@pytest.mark.parametrize("board", boards.BOARDS)
def test_every_board_has_its_rails_and_a_total_by_name(board: str, tmp_path: Path) -> None:
    tree = boards.make(board, tmp_path)
    meter = Ina3221({}, root=tree.root)
    assert meter.available() == ""
    facts = meter.facts()
    assert facts["policy"] == tree.spec.total
    assert sum(meter.read()[rail] for rail in facts["total"]) == pytest.approx(tree.spec.total_w)
    assert list(meter.rails()) == sorted(Drawn(tree).rails, key=list(meter.rails()).index)


def test_it_is_asked_before_all_other_meters() -> None:
    assert next(iter(METERS)) == "ina3221"


def test_a_machine_without_such_sensors_falls_back_and_says_so() -> None:
    choice = choose({"name": "auto", "idle_w": 5, "busy_core_w": 3})
    assert choice.meter is not None
    assert choice.meter.name == "ina3221" or "no sensor" in choice.passed_over["ina3221"]


def test_another_policy_can_be_asked_for_by_name(tmp_path: Path) -> None:
    tree = boards.make("agx-orin", tmp_path)
    facts = Ina3221({"policy": "sum_without_vddq/1"}, root=tree.root).facts()
    assert (facts["policy"], facts["total"]) == ("sum_without_vddq/1", [0, 1, 2])
    assert [other["policy"] for other in facts["totals"]] == ["sum_all/1"]
    assert "counted twice" in facts["totals"][0]["doubt"]
    assert "these rails allow sum_all/1" in Ina3221({"policy": "sum_of_six/1"}, root=tree.root).available()


def test_rails_of_which_none_answers_are_no_meter(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    for name in Drawn(tree).rails:
        tree.rail(name).gate()
    assert "none of its rails answers: VDD_IN" in Ina3221({}, root=tree.root).available()


def test_how_it_smooths_is_told_by_the_chip_or_declared(tmp_path: Path) -> None:
    root = boards.make("orin-nano", tmp_path).root
    told = Ina3221({}, root=root).facts()
    assert told["lag_s"] == pytest.approx(3.38, abs=0.01)
    assert told["lag_means"] == "mean of 512 samples"
    assert told["settle_s"] == 2 * told["lag_s"]
    assert (told["samples"], told["update_interval_ms"]) == ({"1-0040": 512}, {"1-0040": 7})
    assert Ina3221({"lag_s": 3}, root=root).facts()["lag_means"] == "first order, as declared"
    assert "lag_s" not in Ina3221({}, root=boards.make("nano", tmp_path / "nano").root).facts(), "not told, not made up"


def test_the_step_of_its_sensors_follows_from_the_shunt(tmp_path: Path) -> None:
    tree = boards.make("agx-orin", tmp_path)
    assert Ina3221({}, root=tree.root).facts()["step_w"] == pytest.approx([0.4, 0.4, 0.1, 0.0994])
    (tree.rail("VDD_GPU_SOC").volts.parent / "shunt1_resistor").write_text("5000\n")
    assert Ina3221({}, root=tree.root).facts()["step_w"][0] == pytest.approx(0.16)
    assert Ina3221({}, root=boards.make("tx2", tmp_path / "tx2").root).facts()["step_w"] == [None] * 6


@contextmanager
def drawing(tree: boards.Tree, supplies: dict[str, Supply], tau_s: float) -> Iterator[None]:
    """A process that writes what the sensors show, as time goes by, from now on."""
    sensors = {n: waveforms.first_order(s, tau_s) if tau_s else s.at for n, s in supplies.items()}
    begin = time.perf_counter()
    writer = os.fork()
    if writer == 0:
        try:
            drawn = Drawn(tree)
            while True:
                for name in supplies:
                    drawn.replace(name, sensors[name](time.perf_counter() - begin))
                time.sleep(0.002)
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


def measured(meter: Ina3221, watch: Watch, edges: list[float], work: float, end: float, after: float) -> Measurement:
    count = np.full(len(edges) - 1, 100.0)
    series = {
        "latency_s": np.full(int(count.sum()), 0.01),
        **{"window_start_s": edges[:-1], "window_end_s": edges[1:], "window_count": count, "window_cpu_s": count},
        **{"idle_s": [work - 1.5, work - 0.1], "idle_after_s": [after, end], **watch.series},
    }
    told = {"name": meter.name, "quantity": meter.quantity, "rails": list(meter.rails())}
    header = {"meter": {**meter.facts(), **told}, "estimated": False, "flags": [], "load_s": 0.0, "first_s": 0.0}
    header["sampler_failure"] = watch.facts["meter"]["failure"]
    return Measurement(header, {name: np.asarray(data, np.float64) for name, data in series.items()})


@pytest.mark.slow
@pytest.mark.parametrize(("board", "tau_s"), [("nano", 0.0), ("agx-orin", 0.0), ("thor", 0.0), ("orin-nx", 3.0)])
def test_the_whole_way_in_real_time(board: str, tau_s: float, tmp_path: Path) -> None:
    """Files that change under the real sampling process, on the real clock; a busy machine may delay a reading, which
    its stamp then tells.
    """
    tree = boards.make(board, tmp_path)
    meter = Ina3221({"lag_s": tau_s}, root=tree.root)
    lasts, settle_s = max(4.0, 5.2 * tau_s), 5 * tau_s
    work, first, last = 2.0, 2.5, 2.5 + lasts
    names = Drawn(tree).rails
    knots = [(work, 1.0), (work, 2.0), (first + lasts / 3, 2.0), (first + lasts / 3, 3.0), (last, 2.5), (last, 1.0)]
    supplies = {name: Supply([(t, w * (2 + n)) for t, w in knots]) for n, name in enumerate(names)}
    with drawing(tree, supplies, tau_s):
        begin = time.perf_counter()
        with watched([of_meter(meter)]) as watch:
            threading.Event().wait(last + settle_s + 1.6)
    edges = [begin + first + lasts * part / 8 for part in range(9)]
    after = begin + last + settle_s
    taken = measured(meter, watch, edges, begin + work, after + 1.5, after)
    metrics, _, flags = derive(taken, 1)
    total = [meter.rails()[rail] for rail in meter.facts()["total"]]
    joules = sum(supplies[name].joules(first, last) for name in total)
    assert not {"rail-missing", "meter-failed", "power-lags"} & set(flags)
    delayed = watch.facts["meter"]["max_gap_s"] / lasts  # share of the time that one gap leaves in the dark
    within = (0.03 if tau_s else 0.01) + delayed / 4
    assert metrics["energy_mj"].value == pytest.approx(joules / 800 * 1e3, rel=within)
    net = joules - sum(supplies[name].at(0.0) for name in total) * lasts
    assert metrics["energy_net_mj"].value == pytest.approx(net / 800 * 1e3, rel=2 * within)
    assert not any(map(math.isnan, watch.series["meter_0"]))
