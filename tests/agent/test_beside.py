"""Engines beside another, over the wire: what is asked, what comes back, what is refused and what is kept."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .talk import FAKE, Talk

PLAN = {"warmup_s": 0.02, "window_s": 0.01, "budget_s": 0.05, "windows_min": 2, "rounds": 6, "block_s": 0.002}


def measured(talk: Talk, engine: str, *beside: dict[str, Any], **fields: Any) -> tuple[dict[str, Any], Any]:
    asked = {"engine": engine, "deployment": FAKE, "plan": PLAN, "beside": list(beside), **fields}
    reply, body = talk.ask("measure", **asked)
    numbers = np.frombuffer(body)
    edges = np.cumsum([spec["count"] for spec in reply.get("series", ())])
    names = [spec["name"] for spec in reply.get("series", ())]
    return reply, dict(zip(names, np.split(numbers, edges[:-1]), strict=True)) if names else {}


def test_hello_says_what_can_be_measured(start: Any) -> None:
    talk = start(hello=False)
    assert talk.hear()[0]["capabilities"]["measures"] == ["beside", "arrival", "streams"]


def test_engines_take_turns_with_the_one_that_is_asked_for(shared: Talk) -> None:
    one = shared.build(shared.script(latency_s=0.001, waits=True))["engine"]
    other = shared.build(shared.script(latency_s=0.002, waits=True))["engine"]
    reply, series = measured(shared, one, {"engine": other, "deployment": FAKE})
    assert [facts["engine"] for facts in reply["entrants"]] == [one, other]
    assert reply["entrants"][1]["deployment"]["runtime"] == "fake"
    assert len(series["latency_s"]) > 0
    assert sorted(set(series["block_entrant"])) == [0, 1]
    assert reply["state"]["names"][0] == "temperature_c"
    assert len(series["state_time_s"]) == len(series["state_0"]) >= 2
    assert reply["sampling"]["state"]["failure"] == ""


def test_one_engine_may_be_beside_itself_in_another_deployment_and_without_windows(shared: Talk) -> None:
    engine = shared.build(shared.script(latency_s=0.001, waits=True))["engine"]
    race = dict(PLAN, budget_s=0.0)
    reply, series = measured(shared, engine, {"engine": engine, "deployment": dict(FAKE, threads=1)}, plan=race)
    assert len(series["latency_s"]) == len(series["window_start_s"]) == reply["windows"] == 0
    assert len(series["block_round"]) == 12


def test_who_is_beside_is_checked_like_the_engine_itself(shared: Talk) -> None:
    engine = shared.build(shared.script())["engine"]
    for beside, words in (
        ({"engine": engine, "deployment": dict(FAKE, threads=10**6)}, "threads asked for"),
        ({"engine": "0" * 64, "deployment": FAKE}, "is not on this device"),
        ({"engine": "../etc", "deployment": FAKE}, ""),
        ({"deployment": FAKE}, "needs engine"),
    ):
        reply, _ = measured(shared, engine, beside)
        assert reply["type"] == "error"
        assert words in reply["text"]
    assert "at most" in measured(shared, engine, *[{"engine": engine}] * 16)[0]["text"]


def test_a_kept_reply_is_another_one_with_others_beside(shared: Talk) -> None:
    engine = shared.build(shared.script(latency_s=0.001, waits=True))["engine"]
    beside = {"engine": engine, "deployment": dict(FAKE, threads=1)}
    first = measured(shared, engine, once="q")[0]
    with_other = measured(shared, engine, beside, once="q")[0]
    assert (first["cached"], with_other["cached"]) == (False, False)
    assert measured(shared, engine, beside, once="q")[0]["cached"] is True
    assert len(with_other["entrants"]) == 2


def test_a_starving_engine_is_flagged_over_the_wire(shared: Talk) -> None:
    engine = shared.build(shared.script(latency_s=0.002, starve=8 * len(os.sched_getaffinity(0))))["engine"]
    reply, _ = measured(shared, engine, plan=dict(PLAN, rounds=0, window_s=0.1, windows_min=10, budget_s=1.0))
    assert "starved" in reply["flags"]
