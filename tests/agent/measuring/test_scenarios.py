"""Several in flight, several in turn, fixed arrival, and every trouble that a measurement of itself can see."""

from __future__ import annotations

import itertools
import threading
import time
from array import array
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from explorer_agent.measuring import arrivals, verdict
from explorer_agent.measuring.lanes import Lanes, Window
from explorer_agent.measuring.measure import Entrant, measure
from explorer_agent.measuring.rounds import orders
from explorer_agent.measuring.steady import is_steady
from explorer_agent.messages import AgentError, Deployment, Plan, refuse
from explorer_agent.testing import FakeEngine, FakeRuntime, hog

QUICK = Plan(warmup_s=0.02, window_s=0.02, budget_s=0.1, windows_min=3, relative_interval=1.0)
ALONE = verdict.Share(0.0, 1.0, 0.0)


def entrant(engine: str = "a" * 64, *, streams: int = 1, batch: int = 1, **script: Any) -> Entrant:
    fake = FakeEngine({"waits": True, **script})
    deployment = Deployment("fake", streams=streams, batch=batch, threads=1)
    return Entrant(lambda: [fake.step(None) for _ in range(streams)], deployment, engine)


def taken(*entrants: Entrant, plan: Plan = QUICK) -> tuple[dict[str, Any], dict[str, Any]]:
    header, series = measure(entrants, plan, None, tell=lambda _: None)
    assert all(isinstance(data, array) for data in series.values())
    return header, {name: np.array(data) for name, data in series.items()}


def test_streams_overlap_and_every_inference_of_all_of_them_is_in_one_window() -> None:
    header, series = taken(entrant(streams=3, latency_s=0.004))
    assert header["streams"] == 3
    assert series["window_count"].sum() == len(series["latency_s"])
    assert np.all(series["window_start_s"][1:] == series["window_end_s"][:-1]), "they never pause between windows"
    seconds = (series["window_end_s"] - series["window_start_s"]).sum()
    assert 1.2 < series["latency_s"].sum() / seconds <= 3.2, "so many in flight, on a loaded machine too"


def test_what_ends_a_stream_ends_the_measurement() -> None:
    def broken() -> None:
        time.sleep(0.001)
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the device is gone")

    for call in (lambda lanes: lanes.run(10_000_000), _one_window):
        with pytest.raises(RuntimeError, match="the device is gone"):
            call(Lanes([broken, broken]))


def _one_window(lanes: Lanes) -> Window:
    with lanes.windows() as following:
        return following(10_000_000)


def test_entrants_take_turns_in_an_order_that_is_shuffled_but_the_same_again() -> None:
    plan = Plan(warmup_s=0.02, budget_s=0.0, rounds=7, block_s=0.005)
    beside = [entrant(), entrant("b" * 64, latency_s=0.003), entrant("c" * 64)]
    header, series = taken(*beside, plan=plan)
    assert [facts["engine"][0] for facts in header["entrants"]] == ["a", "b", "c"]
    assert len(series["latency_s"]) == len(series["window_count"]) == header["windows"] == 0
    assert series["block_round"].tolist() == sorted(list(range(7)) * 3)
    order = series["block_entrant"].reshape(7, 3).tolist()
    assert all(sorted(turn) == [0, 1, 2] for turn in order)
    assert len({tuple(turn) for turn in order}) > 1
    assert order == list(orders(["a" * 64, "b" * 64, "c" * 64], 7)) != list(orders(["d"] * 3, 7))
    assert series["block_count"].sum() == len(series["block_latency_s"])
    assert np.all(series["block_start_s"][1:] >= series["block_end_s"][:-1])
    each = (series["block_end_s"] - series["block_start_s"]) / series["block_count"]
    assert np.median(each[series["block_entrant"] == 1]) > np.median(each[series["block_entrant"] == 0])


def test_rounds_end_when_the_ratio_is_tight_but_a_race_runs_them_all() -> None:
    plan = Plan(warmup_s=0.01, window_s=0.01, budget_s=0.05, relative_interval=0.9, rounds=30, block_s=0.002)
    _, series = taken(entrant(), entrant("b" * 64), plan=plan)
    assert 6 <= series["block_round"][-1] + 1 < 30


def test_a_plan_of_nothing_is_refused() -> None:
    with pytest.raises(AgentError, match="measures nothing"):
        taken(entrant(), plan=Plan(budget_s=0.0))


def test_the_level_that_can_be_served_is_found() -> None:
    def queue(_: object, plan: Plan, batch: int, *, subjects: int, count: int) -> arrivals.Level:
        """One server that takes 4 ms: 250 a second, which is two and a half subjects."""
        arrived = [int((n + 1) * batch / (subjects * plan.rate_hz) * 1e9) for n in range(count)]
        done = list(itertools.accumulate(arrived, lambda free, now: max(free, now) + 4_000_000, initial=0))[1:]
        return arrivals.Level(subjects, done[-1] / 1e9, [end - begin for begin, end in zip(arrived, done, strict=True)])

    levels = arrivals.search(Lanes([lambda: None]), Plan(rate_hz=100.0, deadline_ms=60.0), 1, 250.0, level=queue)
    held = [level.subjects for level in levels if arrivals.passed(level.latencies, 60.0)]
    lost = [level.subjects for level in levels if not arrivals.passed(level.latencies, 60.0)]
    assert (max(held), min(lost)) == (2, 3)


def test_an_engine_of_microseconds_serves_no_more_than_it_can_do() -> None:
    def step() -> None:
        until = time.perf_counter() + 50e-6
        while time.perf_counter() < until:
            pass

    plan = Plan(rate_hz=25.0, deadline_ms=10.0)
    levels = arrivals.search(Lanes([step]), plan, 1, 20000.0)
    held = [level.subjects for level in levels if arrivals.passed(level.latencies, 10.0)]
    assert max(held, default=0) * 25 <= 20000 * 1.05, "459 batches take 23 ms, however many arrive"


def test_batches_arrive_on_a_schedule_that_does_not_wait() -> None:
    slow = iter([0.05, *[0.0] * 60])
    plan = Plan(rate_hz=100.0)
    level = arrivals.serve([lambda: time.sleep(next(slow))], plan, 2, subjects=4, count=44)
    late_ms = np.array(level.latencies) / 1e6
    assert len(late_ms) == 44
    assert level.seconds >= 44 * 2 / 400, "44 batches of two at 400 samples a second"
    assert late_ms[0] >= 50
    assert 40 < late_ms[1] < late_ms[0], "5 ms later, and the engine was still at the first"


def test_a_level_that_is_lost_is_not_served_to_its_end() -> None:
    level = arrivals.serve([lambda: time.sleep(0.003)], Plan(rate_hz=5000.0, deadline_ms=1.0), 1, subjects=1, count=459)
    assert 44 <= len(level.latencies) < 459
    assert arrivals.passed(level.latencies, 1.0) is False
    assert arrivals.passed(level.latencies[:43], 1.0) is None


@pytest.mark.parametrize("limit", [0, 1, 2, 7, 40, 1000])
def test_levels_double_and_then_close_in(limit: int) -> None:
    tried: dict[int, bool] = {}
    level: int | None = 12
    while level is not None and len(tried) < 30:
        tried[level] = level <= limit
        level = arrivals.next_level(tried)
    low, high = max((n for n in tried if tried[n]), default=0), min(n for n in tried if not tried[n])
    assert level is None
    assert low <= limit < high <= low + max(1, low // arrivals.FINE)


def test_a_level_takes_the_batches_that_a_percentile_needs_if_there_is_time() -> None:
    plan = Plan(rate_hz=25.0)
    assert [arrivals.batches_of(n, plan, batch) for n, batch in ((100, 1), (2, 1), (1, 8), (1, 16))] == [
        2500,
        250,
        44,
        0,
    ]


def test_arrivals_too_few_to_be_judged_are_told() -> None:
    asked = Plan(rate_hz=25.0)
    lost = arrivals.Level(4, 1.0, [10**9] * 44)
    assert list(verdict.arrival_flags([], asked)) == list(verdict.arrival_flags([lost], asked)) == ["arrival-too-short"]
    assert not list(verdict.arrival_flags([arrivals.Level(1, 1.0, [10**9] * 44)], asked)), "not even one: that is known"
    assert not list(verdict.arrival_flags([lost, arrivals.Level(2, 1.0, [1] * 44)], asked))
    assert not list(verdict.arrival_flags([], Plan()))


def test_what_arrived_stands_in_the_series() -> None:
    plan = Plan(warmup_s=0.01, window_s=0.01, budget_s=0.03, windows_min=2, relative_interval=9.0, rate_hz=500.0)
    header, series = taken(entrant(latency_s=0.001, batch=4), plan=replace(plan, deadline_ms=15.0))
    assert len(series["arrival_subjects"]) == len(series["arrival_seconds"]) == len(series["arrival_count"]) >= 1
    assert series["arrival_count"].sum() == len(series["arrival_latency_s"])
    assert header["windows"] >= 2


@pytest.mark.parametrize("seed", range(3))
def test_drift_is_seen_and_noise_is_not_taken_for_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert not verdict.drifts(rng.normal(100, 5, 30).tolist())
    assert not verdict.drifts((np.linspace(100, 101, 30) + rng.normal(0, 0.1, 30)).tolist()), "sure, but irrelevant"
    assert verdict.drifts((np.linspace(100, 110, 30) + rng.normal(0, 2, 30)).tolist())
    assert not verdict.drifts([1.0, 2.0, 3.0]), "too few to say"


def test_warm_up_by_trend() -> None:
    assert not is_steady([100, 90, 82, 76, 71, 68, 66, 65])
    assert is_steady([65, 66, 65, 64, 66, 65, 64, 65])
    assert is_steady([100.0, 100.1, 100.2, 100.3, 100.4, 100.5, 100.6, 100.7]), "a trend of no relevance"
    assert is_steady([100, 98])
    assert not is_steady([100, 80, 60])


def test_an_engine_that_drifts_or_was_hardly_run_is_flagged() -> None:
    plan = Plan(warmup_s=0.01, window_s=0.02, budget_s=0.6, windows_min=30, relative_interval=1e-6, queries_min=10**9)
    header, _ = taken(entrant(drift_per_s=4.0), plan=plan)
    assert {"drifting", "unstable", "fewer-queries"} <= set(header["flags"])
    short = Plan(warmup_s=0.01, window_s=0.01, budget_s=0.02, windows_min=2)
    assert "too-short" in taken(entrant(latency_s=0.02), plan=short)[0]["flags"]


def test_noise_of_the_fake_is_as_large_as_told_and_the_same_again() -> None:
    lasts = [FakeEngine({"noise": 0.2, "seed": 4})._latencies() for _ in range(2)]
    once, again = ([next(those) for _ in range(500)] for those in lasts)
    assert once == again
    assert np.std(np.log(once)) == pytest.approx(0.2, rel=0.1)


def test_who_had_the_processor() -> None:
    cores = FakeRuntime().describe()["streams_max"]
    starved = verdict.Share(cores - 0.4, 0.4, None)
    assert list(verdict.processor_flags(starved)) == ["starved", "disturbed"]
    assert list(verdict.processor_flags(verdict.Share(0.3, 1.0, 0.9))) == ["starved", "disturbed"]
    assert list(verdict.processor_flags(verdict.Share(0.3, 1.0, 0.1))) in (["disturbed"], [])  # on one core: full
    assert list(verdict.processor_flags(ALONE)) == list(verdict.processor_flags(verdict.Share(None, 1, None))) == []


def test_a_starved_engine_is_flagged() -> None:
    hogs = [hog() for _ in range(4 * FakeRuntime().describe()["streams_max"])]
    try:
        plan = Plan(warmup_s=0.02, window_s=0.1, budget_s=1.0, windows_min=10)
        header, _ = taken(entrant(waits=False), plan=plan)
    finally:
        for process in hogs:
            process.kill()
            process.wait()
    assert {"starved", "disturbed"} <= set(header["flags"]), header


def test_more_threads_than_cores_over_all_streams_are_refused() -> None:
    facts = {"available": True, "why_not": "", "placements": ["cpu"], **FakeRuntime().describe()}
    board = {"runtimes": {"fake": dict(facts, streams_max=4)}, "cores": 4, "power_modes": []}
    refuse(Deployment("fake", streams=2, threads=2), board)
    with pytest.raises(AgentError, match="2 streams of 3 threads each, the board has 4 cores"):
        refuse(Deployment("fake", streams=2, threads=3), board)
    with pytest.raises(AgentError, match="at most 4"):
        refuse(Deployment("fake", streams=5), board)
