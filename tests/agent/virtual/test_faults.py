"""What can be wrong with a virtual board, and what cannot."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest

from explorer_agent.messages import UNSUPPORTED, AgentError
from explorer_agent.virtual.boards import AGX_ORIN_64, NANO
from explorer_agent.virtual.faults import Faults


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gremlins": 1}, "unknown fault 'gremlins'"),
        ({"fan": 0}, "fan of a virtual board cannot be 0"),
        ({"fan": "half"}, "cannot be 'half'"),
        ({"fan": True}, "cannot be True"),
        ({"noise": -0.1}, "cannot be -0.1"),
        ({"samples": 1.5}, "cannot be 1.5"),
        ({"reboot_s": float("nan")}, "cannot be nan"),
        ({"over_current_s": [[1.0]]}, r"cannot be \[\[1.0\]\]"),
        ({"over_current_s": ["ab"]}, r"cannot be \['ab'\]"),
        ({"reboot_modes": ["MAX"]}, "cannot be MAX"),
        ({"dead_rails": ["POM_5V_IN"]}, "cannot be POM_5V_IN"),
        ({"dead_rails": [1]}, r"cannot be \[1\]"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(AgentError, match=words) as refusal:
        Faults.of(given, AGX_ORIN_64)
    assert refusal.value.kind == UNSUPPORTED


def test_what_can_be() -> None:
    given = {"over_current_s": [[1, 0.5]], "fan": 0.3, "samples": 512, "dead_rails": ["POM_5V_GPU"]}
    faults = Faults.of(given, NANO)
    assert faults.lag_s == pytest.approx(3.38, abs=0.01)
    assert [faults.over_current(second) for second in (0.9, 1.0, 1.49, 1.5)] == [False, True, True, False]
    assert [faults.events(second) for second in (0.5, 1.0, 9.0)] == [0, 1, 1]


def test_noise_is_as_large_as_it_was_asked_for_and_seeded() -> None:
    faults = Faults(noise=0.02, spikes=0.0)
    found = [faults.factors(random.Random(1), 0.0) for _ in range(2)]
    values = [found[0]() for _ in range(4000)]
    assert statistics.fmean(values) == pytest.approx(1.0, abs=0.002)
    assert statistics.stdev(values) == pytest.approx(0.02, rel=0.05)
    assert [found[1]() for _ in range(4000)] == values


def test_spikes_and_drift() -> None:
    spiky = Faults(noise=0.0, spikes=0.1, spike=1.0).factors(random.Random(2), 0.0)
    grown = [factor for factor in (spiky() for _ in range(4000)) if factor > 1]
    assert len(grown) == pytest.approx(400, rel=0.2)
    assert max(grown) <= 2
    assert Faults(noise=0.0, spikes=0.0, drift=0.1).factors(random.Random(), 5.0)() == pytest.approx(1.5)


def test_a_reading_is_noisy_and_never_negative() -> None:
    chance = random.Random(3)
    readings = [Faults(noise_w=0.5).reading_w(0.1, chance) for _ in range(500)]
    assert min(readings) == 0
    assert max(readings) > 0.5
