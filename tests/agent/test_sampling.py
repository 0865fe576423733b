"""Sampling beside a job: on its clock, each probe at its own pace, whatever becomes of probe, process or job."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from explorer_agent import sampling
from explorer_agent.sampling import Probe, spare_cores, watched

PATIENCE_S = 60.0


def clock() -> list[float]:
    return [time.perf_counter(), math.nan]


def children() -> set[str]:
    return {path.name for path in Path("/proc").glob("[0-9]*") if _parent(path) == str(os.getpid())}


def _parent(process: Path) -> str:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:  # it has ended
        return ""


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_readings_stand_on_the_jobs_clock_and_reach_over_its_edges() -> None:
    with watched([Probe("meter", ("meter_0", "meter_1"), clock, 0.005)]) as watch:
        start = time.perf_counter()
        time.sleep(0.2)
        end = time.perf_counter()
    times, seen = np.array(watch.series["meter_time_s"]), np.array(watch.series["meter_0"])
    assert times[0] < start < end < times[-1]
    assert np.median(np.abs(times - seen)) < 0.02, "one clock in both processes"
    assert np.all(np.diff(times) > 0)
    assert all(math.isnan(number) for number in watch.series["meter_1"]), "no reading is no number"
    facts = watch.facts["meter"]
    assert facts["readings"] == len(times) == len(seen) == len(watch.series["meter_1"]) >= 3
    assert facts["hz"] == pytest.approx((len(times) - 1) / (times[-1] - times[0]))
    assert facts["max_gap_s"] == pytest.approx(np.diff(times).max())
    assert facts["cpu_s"] > 0
    assert facts["wall_s"] > 0
    assert facts["failure"] == ""
    assert facts["cpu_share"] is None or 0 < facts["cpu_share"] <= 1


def test_a_slow_probe_delays_no_other() -> None:
    def slow() -> Sequence[float]:
        time.sleep(0.3)
        return [1.0]

    with watched([Probe("meter", ("meter_0",), lambda: [2.0], 0.01), Probe("state", ("state_0",), slow, 1.0)]) as watch:
        time.sleep(0.5)
    assert watch.facts["state"]["readings"] <= 3
    assert watch.facts["meter"]["readings"] > 3 * watch.facts["state"]["readings"]
    assert watch.facts["state"]["wall_s"] >= 0.3 * watch.facts["state"]["readings"]


def test_a_probe_that_fails_ends_its_own_series_and_no_other() -> None:
    numbers = iter([1.0, 2.0])

    def fails() -> Sequence[float]:
        try:
            return [next(numbers)]
        except StopIteration:
            raise OSError(5, "Input/output error") from None

    probes = [Probe("meter", ("meter_0",), fails, 0.01), Probe("state", ("state_0",), lambda: [3.0], 0.01)]
    with watched(probes) as watch:
        time.sleep(0.2)
    assert list(watch.series["meter_0"]) == [1.0, 2.0]
    assert watch.facts["meter"]["failure"] == "OSError: [Errno 5] Input/output error"
    assert watch.facts["state"]["failure"] == ""
    assert watch.facts["state"]["readings"] > 2


def test_a_probe_that_never_answers_is_given_up_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "FIRST_S", 0.05)
    monkeypatch.setattr(sampling, "LAST_S", 0.05)
    with watched([Probe("meter", ("meter_0",), lambda: [float(threading.Event().wait())], 0.01)]) as watch:
        pass
    assert "did not answer" in watch.facts["meter"]["failure"]
    assert len(watch.series["meter_time_s"]) == len(watch.series["meter_0"]) == 0


def test_numbers_that_do_not_fit_the_series_are_refused() -> None:
    with watched([Probe("meter", ("meter_0", "meter_1"), lambda: [1.0], 0.01)]) as watch:
        pass
    assert watch.facts["meter"]["failure"] == "ValueError: 1 numbers for 2 series"


def test_a_sampling_process_that_was_killed_costs_the_readings_and_nothing_else() -> None:
    before = children()
    with watched([Probe("meter", ("meter_0",), lambda: [1.0], 0.01)]) as watch:
        (process,) = children() - before
        os.kill(int(process), signal.SIGKILL)
    assert "signal 9" in watch.facts["meter"]["failure"]
    assert watch.series["meter_time_s"] == watch.series["meter_0"]
    assert children() == before


def test_a_job_that_fails_leaves_no_sampling_process() -> None:
    before = children()
    with pytest.raises(ZeroDivisionError), watched([Probe("meter", ("meter_0",), lambda: [1.0], 0.01)]):
        _ = 1 / 0
    assert children() == before


def test_sampling_ends_with_a_job_that_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    job = os.fork()
    if job == 0:
        os.setsid()  # as a job is: its group is ended by whoever ends it, but not always
        with watched([Probe("meter", ("meter_0",), lambda: [float(os.getpid())], 0.01)]):
            (process,) = children()
            told.with_suffix(".part").write_text(process)
            told.with_suffix(".part").rename(told)
            time.sleep(PATIENCE_S)
        os._exit(0)
    wait_until(told.exists)
    os.kill(job, signal.SIGKILL)
    os.waitpid(job, 0)
    wait_until(lambda: _gone(Path("/proc", told.read_text())))


def _gone(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_nothing_to_read_starts_no_process() -> None:
    before = children()
    with watched([]) as watch:
        assert children() == before
    assert watch.series == watch.facts == {}


def test_it_stays_off_the_cores_that_the_job_needs() -> None:
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        pytest.skip("one core is everybody's")
    try:
        os.sched_setaffinity(0, {mine[0]})
        assert mine[-1] in spare_cores(1), "outside those that the job may use"
        with watched([Probe("meter", ("meter_0",), lambda: [min(os.sched_getaffinity(0))], 0.01)]) as watch:
            pass
        core = watch.facts["meter"]["core"]
        assert core != mine[0]
        assert set(watch.series["meter_0"]) == {core}
    finally:
        os.sched_setaffinity(0, mine)
    assert spare_cores(0) == [core for core in range(os.cpu_count() or 1) if core not in mine]
    assert spare_cores(1)[-1] == mine[-1]
