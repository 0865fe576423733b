"""What samplers see of a measurement."""

from __future__ import annotations

import math

import pytest

from explorer.result import Evaluation, Metric, Objective, Record
from explorer.search.quantities import gain_and_sd, scaled, value_of

NET = Objective("energy_net_mj", "min")


def seen(metric: Metric, objective: Objective = NET) -> tuple[float, float]:
    record = Record(0, "complete", {}, "local:", "", 0.0, Evaluation({objective.metric: metric}))
    value, (gain, sd) = value_of(objective, record), gain_and_sd(objective, metric)
    assert value == objective.gain(gain)
    return gain, sd


@pytest.mark.parametrize("name", ["latency_ms", "energy_net_mj", "throughput_ips"])
def test_what_is_surely_more_than_nothing_is_its_logarithm(name: str) -> None:
    gain, sd = seen(Metric(2.0, 1.6, 2.5), Objective(name, "max"))
    assert gain == pytest.approx(math.log(2.0))
    assert sd == pytest.approx(math.log(2.5 / 1.6) / 3.92, rel=1e-3)
    assert seen(Metric(2.0), Objective(name, "max")) == (gain, 0.0)


def test_accuracy_is_as_it_is() -> None:
    gain, sd = seen(Metric(0.9, 0.8, 1.0), Objective("accuracy", "max"))
    assert (gain, sd) == (0.9, pytest.approx(0.2 / 3.92, rel=1e-3))


def test_less_energy_is_never_worse_however_little_is_left_of_it() -> None:
    values = (3.0, 1.0, 0.4, 0.1, 0.001, 0.0, -0.1, -0.5)
    gains = [seen(Metric(value, value - 0.4, value + 0.4))[0] for value in values]
    assert gains == sorted(gains)
    assert gains[0] < gains[1] < gains[2]
    assert max(gains) - gains[2] < 1, "and not so much better that nothing else counts"
    bare = [seen(Metric(value))[0] for value in values]
    assert bare == sorted(bare)
    assert [-scaled(NET.metric, value) for value in values] == bare


def test_who_may_have_spent_nothing_is_not_sure_to_have_spent_anything() -> None:
    """The logarithms of an interval through zero say nothing."""
    assert seen(Metric(0.1, -0.3, 0.5))[1] == pytest.approx(1.0)
    assert seen(Metric(0.5, -0.1, 1.1))[1] > seen(Metric(0.5, 0.1, 1.1))[1] > 0.5
