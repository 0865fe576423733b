"""A question with a name is worked out once, and its reply given as often as it is asked for, by whichever agent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from explorer_agent.cache import Cache

from .talk import FAKE, Talk, family

Start = Callable[..., Talk]
QUICK = {"warmup_s": 0.02, "window_s": 0.02, "budget_s": 0.2, "windows_min": 3, "relative_interval": 0.5}


def question(talk: Talk, **fields: Any) -> dict[str, Any]:
    engine = talk.build(talk.script(latency_s=0.001))["engine"]
    return {"engine": engine, "deployment": FAKE, "plan": QUICK, **fields}


def test_the_same_question_gets_the_same_reply_and_another_its_own(shared: Talk) -> None:
    talk = shared
    asked = question(talk, once="study/7/0")
    (first, body), (again, same) = (talk.ask("measure", **asked) for _ in range(2))
    assert (first["cached"], again["cached"]) == (False, True)
    assert same == body
    assert talk.ask("measure", **{**asked, "once": "study/7/1"})[0]["cached"] is False
    assert talk.ask("measure", **{**asked, "meter": {"name": "steady"}})[0]["cached"] is False
    assert talk.ask("measure", **asked)[1] == body, "still, however often"


def test_a_question_without_a_name_is_asked_anew(shared: Talk) -> None:
    asked = question(shared)
    assert [shared.ask("measure", **asked)[0]["cached"] for _ in range(2)] == [False, False]


def test_a_reply_that_was_heard_is_on_the_disk(start: Start) -> None:
    talk = start()
    asked = question(talk, once="study/7/0")
    _, body = talk.ask("measure", **asked)
    talk.process.kill()
    again, same = start().ask("measure", **asked)
    assert again["cached"] is True
    assert same == body


def test_a_reply_that_the_link_swallowed_is_not_worked_out_twice(start: Start) -> None:
    talk = start("--linger", "30")
    asked = question(talk, once="study/7/0")
    talk.say("measure", **asked)
    deadline = time.monotonic() + 60
    while len(family(talk.process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    talk.incoming.close()  # nobody will hear it
    talk.process.stdin.close()  # type: ignore[union-attr]
    assert start("--wait", "60").ask("measure", **asked)[0]["cached"] is True


def test_a_failure_is_not_kept(shared: Talk) -> None:
    engine = shared.build(shared.script(then="raise"))["engine"]
    asked = {"engine": engine, "deployment": FAKE, "plan": QUICK, "once": "study/8/0"}
    replies = [shared.ask("measure", **asked)[0] for _ in range(2)]
    assert [reply["text"] for reply in replies] == ["RuntimeError: compiler said no"] * 2


@pytest.mark.parametrize("once", [7, None, ["a"], {"a": 1}])
def test_a_name_is_text(shared: Talk, once: Any) -> None:
    assert shared.ask("measure", **question(shared, once=once))[0]["kind"] == "protocol"


@pytest.mark.parametrize("once", ["../../etc/passwd", "a/b\n\0", "\ud800", "ü" * 5000])
def test_any_text_is_a_name(shared: Talk, once: str) -> None:
    asked = question(shared, once=once)
    assert [shared.ask("measure", **asked)[0].get("cached") for _ in range(2)] == [False, True]


def test_a_reply_that_cannot_be_kept_is_told_all_the_same(start: Start) -> None:
    """A measurement that is not kept is worth more than none; and it says so."""
    talk = start()
    asked = question(talk, once="study/7/0")
    replies = talk.home / "replies"
    for file in replies.iterdir():
        file.unlink()
    replies.rmdir()
    replies.write_text("in the way")
    reply, body = talk.ask("measure", **asked)
    assert reply["type"] == "measure"
    assert body
    assert "Not a directory" in reply["not_kept"]


def test_replies_asked_for_stay_longest(tmp_path: Any) -> None:
    cache = Cache(tmp_path, room=7000)
    for number in range(3):
        cache.keep(number, {}, bytes(2000))
    assert cache.get(0) is not None
    cache.keep(3, {}, bytes(2000))
    assert [cache.get(number) is not None for number in range(4)] == [True, False, True, True]
