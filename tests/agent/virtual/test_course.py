"""The time of a job on a virtual board: moments behind each other, and what is seen of them."""

from __future__ import annotations

import pytest

from explorer_agent.messages import AgentError
from explorer_agent.virtual.boards import AGX_ORIN_64, ORIN_NX_16
from explorer_agent.virtual.course import BEGIN_S, STEP_S, Course
from explorer_agent.virtual.faults import Faults
from explorer_agent.virtual.thermal import HELD

MAXN = AGX_ORIN_64.modes["MAXN"]


def course(**faults: object) -> Course:
    return Course(AGX_ORIN_64, MAXN, Faults.of(faults, AGX_ORIN_64), 0)


def test_time_passes_in_steps_without_a_gap() -> None:
    found = course()
    found.spend(1.1, {"gpu": 10.0})
    found.spend(0.4)
    assert found.now_s == pytest.approx(BEGIN_S + 1.5)
    assert all(one.end_s == other.start_s for one, other in zip(found.moments, found.moments[1:], strict=False))
    assert max(moment.end_s - moment.start_s for moment in found.moments) <= STEP_S + 1e-9


def test_what_was_the_case_at_a_moment() -> None:
    found = course()
    found.spend(1.0, {"gpu": 10.0})
    found.spend(1.0, {"dla": 2.0})
    assert found.at(BEGIN_S + 0.5).parts == {"gpu": 10.0}
    assert found.at(BEGIN_S + 1.5).parts == {"dla": 2.0}
    assert found.at(BEGIN_S - 1).parts == found.at(BEGIN_S + 9).parts == {}


def test_a_mean_reaches_back_over_what_was() -> None:
    found, idle = course(), [9 * 0.36, 9 * 0.12, 9 * 0.4, 9 * 0.12]
    found.spend(1.0)
    found.spend(1.0, {"gpu": 10.0})
    assert found.mean_rails(BEGIN_S + 1.0, 0.5) == pytest.approx(idle)
    assert found.mean_rails(BEGIN_S + 2.0, 0.5)[0] == pytest.approx(idle[0] + 10)
    assert found.mean_rails(BEGIN_S + 1.25, 0.5)[0] == pytest.approx(idle[0] + 5)
    assert found.mean_rails(BEGIN_S + 0.1, 0.5) == pytest.approx(idle), "before the job it idled too"
    assert found.mean_rails(BEGIN_S + 9.0, 0.5) == pytest.approx(idle)


def test_it_warms_up_and_holds_its_clocks_back() -> None:
    found = course(ambient_c=85.0)
    before = found.heat.celsius
    found.spend(60.0, {"gpu": 40.0})
    assert found.heat.celsius > before + 3
    assert (found.heat.throttled, found.clocks) == (True, HELD)


def test_over_current_holds_clocks_while_it_lasts() -> None:
    found = course(over_current_s=[[1.0, 0.5]])
    seen = []
    for _ in range(8):
        seen.append(found.clocks)
        found.spend(0.25)
    assert seen == [1.0] * 4 + [0.5] * 2 + [1.0] * 2


def test_more_than_the_budget_is_counted() -> None:
    mode = ORIN_NX_16.modes["10W"]
    found = Course(ORIN_NX_16, mode, Faults(), 0)
    found.spend(1.0, {"gpu": 5.0})
    assert found.exceeded == 0
    found.spend(1.0, {"gpu": 8.0})
    assert found.exceeded == 4


def test_a_restart_ends_the_job_at_its_moment() -> None:
    found = course(reboot_s=1.0)
    found.spend(0.9)
    with pytest.raises(AgentError, match="restarted"):
        found.spend(0.2)
