"""Which meter is taken: in order, ready to be read, with the reason of each that was passed over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from explorer_agent import meters
from explorer_agent.doctor import power
from explorer_agent.doctor.look import Look
from explorer_agent.messages import AgentError
from explorer_agent.meters import METERS, choose, describe
from explorer_agent.meters.declared import Declared
from explorer_agent.testing import MeterContract, SteadyMeter

from ..talk import FAKE, Talk

FIGURES = {"idle_w": 5, "busy_core_w": 3}


class TestDeclared(MeterContract):
    meter = Declared({"idle_w": 5, "busy_core_w": 3.5})


class Absent(SteadyMeter):
    """One that says why not, or fails to."""

    def available(self) -> str:
        return "its cable is not plugged in"


class Broken(SteadyMeter):
    def available(self) -> str:
        raise OSError(5, "Input/output error")


class Lazy(SteadyMeter):
    """Ready only when it was asked whether it is available, as RAPL's counters are."""

    ready = False

    def available(self) -> str:
        self.ready = True
        return ""

    def rails(self) -> list[str]:
        return ["a", "b"] if self.ready else []


class Unplugged(Absent):
    mendable = True


class OnGpu(SteadyMeter):
    units = ("gpu",)
    what = "a fake of a GPU's"


Put = Callable[..., None]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Have only these meters there."""

    def only(**found: Any) -> None:
        monkeypatch.setattr(meters, "METERS", found)

    return only


def test_the_order_is_from_the_board_s_own_sensors_to_an_estimate() -> None:
    assert list(METERS)[:5] == ["ina3221", "jtop", "nvml", "rapl", "declared"]


def test_the_first_that_works_is_taken_and_the_others_say_why_not(put: Put) -> None:
    put(absent=Absent, broken=Broken, gpu=OnGpu, lazy=Lazy, declared=Declared)
    choice = choose(FIGURES)
    told = choice.facts()
    assert (told["name"], told["rails"]) == ("steady", ["a", "b"]), "the very one that said it is available"
    assert told["passed_over"] == {
        "absent": "its cable is not plugged in",
        "broken": "OSError: [Errno 5] Input/output error",
        "gpu": "it measures what runs on gpu, this runs on cpu",
    }


@pytest.mark.parametrize(("placement", "taken"), [("gpu", True), ("gpu+dla", True), ("dla", False), ("cpu", False)])
def test_a_gpu_s_meter_says_nothing_of_what_runs_elsewhere(put: Put, placement: str, taken: bool) -> None:
    put(gpu=OnGpu, declared=Declared)
    choice = choose(FIGURES, placement)
    assert choice.facts()["name"] == ("steady" if taken else "declared")
    assert ("gpu" in choice.passed_over) == (not taken)
    if not taken:
        with pytest.raises(AgentError, match=f"meter gpu cannot be used: .*this runs on {placement}"):
            choose({"name": "gpu"}, placement)


def test_none_is_none_and_all_say_why(put: Put) -> None:
    put(absent=Absent, declared=Declared)
    choice = choose({})
    assert choice.meter is None
    told = choice.facts()
    assert (told["name"], sorted(told["passed_over"])) == ("none", ["absent", "declared"])
    assert told["why_not"] == (
        "absent: its cable is not plugged in; declared: idle_w and busy_core_w not declared for this device"
    )


def test_one_asked_for_by_name_is_that_one_or_a_refusal() -> None:
    assert choose({"name": "declared", **FIGURES}).facts()["name"] == "declared"
    with pytest.raises(AgentError, match="unknown meter 'crystal'"):
        choose({"name": "crystal"})
    with pytest.raises(AgentError, match="busy_core_w not declared"):
        choose({"name": "declared", "idle_w": 3})


@pytest.mark.parametrize("figures", [{"idle_w": True, "busy_core_w": 1}, {"idle_w": -1, "busy_core_w": 1}])
def test_what_is_no_power_is_not_declared(figures: Mapping[str, Any]) -> None:
    assert "idle_w not declared" in Declared(figures).available()


def test_every_meter_is_described_in_the_order_of_asking(put: Put) -> None:
    put(absent=Absent, unplugged=Unplugged, gpu=OnGpu, lazy=Lazy)
    told = describe()
    assert list(told) == ["absent", "unplugged", "gpu", "lazy"]
    assert (told["absent"]["mendable"], told["unplugged"]["mendable"]) == (False, True)
    assert (told["absent"]["available"], told["absent"]["why_not"]) == (False, "its cable is not plugged in")
    assert (told["gpu"]["units"], told["gpu"]["what"]) == (["gpu"], "a fake of a GPU's")
    assert told["lazy"]["rails"] == ["a", "b"]


def test_one_that_cannot_even_be_described_is_not_there(put: Put) -> None:
    class Mute(SteadyMeter):
        closed = False

        def facts(self) -> dict[str, Any]:
            raise RuntimeError("no words")

        def close(self) -> None:
            Mute.closed = True

    put(mute=Mute)
    assert describe()["mute"] == {
        "available": False,
        "mendable": False,
        "why_not": "RuntimeError: no words",
        "what": "",
    }
    assert Mute.closed


def test_our_meters_say_what_they_are_in_a_line() -> None:
    assert all(0 < len(facts["what"]) <= 80 for facts in describe().values()), "and fit a list"


def test_the_reasons_come_with_the_measurement(shared: Talk) -> None:
    built = shared.build(shared.script(latency_s=0.0005))
    plan = {"warmup_s": 0.01, "window_s": 0.01, "budget_s": 0.05, "idle_s": 0.0, "cooldown_s": 0.0}
    words = {"engine": built["engine"], "deployment": FAKE, "plan": plan}
    told, _ = shared.ask("measure", **words, meter={"name": "auto", **FIGURES})
    assert told["type"] == "measure", told
    asked = list(METERS)
    taken = told["meter"]["name"]
    assert list(told["meter"]["passed_over"]) == asked[: asked.index(taken)]
    assert all(told["meter"]["passed_over"].values())
    refused, _ = shared.ask("measure", **words, meter={"name": "nvml"})
    assert (refused["type"], "this runs on cpu" in refused["text"]) == ("error", True)
    assert not math.isnan(told["load_s"])


def looked_at(**found: dict[str, Any]) -> list[tuple[str, str]]:
    """What the doctor says of these meters: (state, found)."""
    told = {name: {"available": not facts.get("why_not"), "why_not": "", **facts} for name, facts in found.items()}
    look = Look(Path("/nonexistent"), {"meters": told}, root=Path("/nonexistent"))
    return [(one["state"], one["found"]) for one in power.meters(look)]


DECLARED = {"why_not": "idle_w not declared"}


def test_the_doctor_says_which_is_taken_and_why_not_those_before_it() -> None:
    rapl = {"policy": "package_dram/1", "lag_s": 0.001}
    told = looked_at(ina3221={"why_not": "no sensor"}, rapl=rapl, declared=DECLARED)
    assert told == [("ok", "rapl is taken (total package_dram/1)"), ("note", "passed over: ina3221: no sensor")]


def test_the_doctor_says_what_is_taken_for_what_runs_on_a_gpu() -> None:
    told = looked_at(nvml={"units": ["gpu"], "lag_s": 1.0}, rapl={}, candle={}, declared=DECLARED)
    assert told == [
        ("ok", "nvml is taken for what runs on gpu (up to 1.0 s late); rapl is taken; candle by its name"),
    ]
    told = looked_at(nvml={"units": ["gpu"]}, rapl={"why_not": "hidden"}, declared=DECLARED)
    assert told[0] == ("ok", "nvml is taken for what runs on gpu")
    assert told[-1] == ("note", "none for what does not run on gpu")


def test_the_doctor_says_when_there_is_none() -> None:
    told = looked_at(ina3221={"why_not": "no sensor"}, jtop={"why_not": "no service"}, declared=DECLARED)
    assert told == [("warn", "none that can be used; ina3221: no sensor; jtop: no service")]
