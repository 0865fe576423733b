"""A meter that lags makes a measurement longer: before, meanwhile, and after."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import boards

from explorer.statistics import Measurement, derive
from explorer_agent.measuring import lagging
from explorer_agent.measuring.measure import Entrant, measure
from explorer_agent.messages import Plan
from explorer_agent.meters.ina3221 import Ina3221
from explorer_agent.testing import FakeEngine, SteadyMeter

PLAN = Plan(warmup_s=0.05, window_s=0.05, budget_s=0.3, windows_min=3, relative_interval=1.0, idle_s=0.4)


def test_a_plan_lasts_as_long_as_the_meter_needs(tmp_path: Path) -> None:
    meter = Ina3221({}, root=boards.make("orin-nano", tmp_path).root)
    plan = lagging.long_enough(Plan(), meter, facts := meter.facts())
    assert plan.warmup_s == lagging.settle_s(facts) == 2 * facts["lag_s"]
    assert plan.windows_min * plan.window_s > 5 * facts["lag_s"]
    assert plan.budget_s > 5 * facts["lag_s"]


def test_fifty_readings_are_had_where_the_budget_allows(tmp_path: Path) -> None:
    meter = Ina3221({}, root=boards.make("nano", tmp_path).root)
    plan = lagging.long_enough(Plan(), meter, meter.facts())
    assert plan.windows_min * plan.window_s >= 50 * meter.period_s
    assert (plan.warmup_s, plan.budget_s) == (Plan().warmup_s, Plan().budget_s)
    short = lagging.long_enough(PLAN, meter, meter.facts())
    assert short.windows_min * short.window_s == pytest.approx(PLAN.budget_s)


def test_a_race_is_left_as_it_is() -> None:
    race = Plan(budget_s=0.0, rounds=10)
    assert lagging.long_enough(race, SteadyMeter({}), {"lag_s": 3.0}) == race


def test_idle_stretches_begin_when_the_readings_have_settled(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    meter = Ina3221({"lag_s": 0.1}, root=tree.root)
    steps = [FakeEngine({"latency_s": 0.001}).step(None)]
    header, series = measure([Entrant(lambda: steps)], PLAN, meter, tell=lambda _: None)
    assert series["idle_s"][0] - series["meter_time_s"][0] >= 0.4
    assert series["window_start_s"][0] - series["idle_s"][1] >= 0.5
    assert series["window_end_s"][-1] - series["window_start_s"][0] >= 0.5
    assert series["idle_after_s"][0] - series["window_end_s"][-1] >= 0.5
    told = {**meter.facts(), "name": meter.name, "quantity": meter.quantity, "rails": list(meter.rails())}
    taken = Measurement.of_raw({"header": {**header, "meter": told, "estimated": False}, "series": series})
    metrics, _, flags = derive(taken, 1)
    assert metrics["power_w"].value == pytest.approx(tree.spec.total_w)
    assert metrics["energy_net_mj"].value == pytest.approx(0.0, abs=1e-6), "the board drew the same all along"
    assert not {"power-lags", "rail-missing", "no-idle-baseline", "meter-failed"} & set(flags)
