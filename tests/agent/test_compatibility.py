"""Old and new understand each other: a host that knows less, a host that knows more, and a store that others filled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from explorer_agent.cache import Cache
from explorer_agent.messages import AgentError
from explorer_agent.wire import PROTOCOL, Reader, Writer

from .talk import FAKE, Talk

Start = Callable[..., Talk]
PLAN = {"warmup_s": 0.02, "window_s": 0.02, "budget_s": 0.2}


def test_a_host_from_before_leases_holders_and_names_of_questions(start: Start) -> None:
    """It starts the agent with three options, and hears hello as the very first word."""
    talk = start("--wait", "5.0", hello=False)
    hello, _ = talk.hear()
    assert (hello["type"], hello["protocol"]) == ("hello", PROTOCOL)
    assert {"runtimes", "meters", "power_modes", "fingerprint", "cores", "memory_mb"} <= set(hello["capabilities"])
    source = b'{"latency_s": 0.001}'
    sha256 = hashlib.sha256(source).hexdigest()
    answer, _ = talk.ask("has", sha256=[sha256])
    assert answer["missing"] == [sha256]
    talk.ask("put", source, sha256=sha256, kind="network", size=len(source), offset=0)
    built = talk.ask("build", source=sha256, deployment=FAKE, timeout_s=900.0)[0]
    asked = {"engine": built["engine"], "deployment": FAKE, "plan": PLAN, "meter": {}, "timeout_s": 900.0}
    assert [talk.ask("measure", **asked)[0]["cached"] for _ in range(2)] == [False, False]
    assert talk.ask("get", sha256=sha256)[1] == source
    assert talk.close() == 0


def test_an_old_host_that_waits_hears_no_notes(start: Start) -> None:
    """It would take the first word for a hello it does not understand."""
    first = start("--holder", "anna")
    second = start("--wait", "30", hello=False)
    first.close()
    assert second.hear()[0]["type"] == "hello"


def test_a_host_that_knows_more(shared: Talk) -> None:
    """Fields from the future are passed over, requests from the future refused, and the line lives on."""
    future: dict[str, Any] = {"mood": "blue", "nested": {"a": [1, {"b": None}]}, "flag": True}
    source = shared.put(b'{"latency_s": 0.001, "more": 1}')
    built, _ = shared.ask("build", source=source, deployment=FAKE, **future)
    assert built["type"] == "build"
    asked = {"engine": built["engine"], "deployment": FAKE, "plan": {**PLAN, **future}, **future}
    assert shared.ask("measure", **asked)[0]["type"] == "measure"
    assert shared.ask("teleport", **future)[0]["kind"] == "unsupported"
    assert shared.ask("has", sha256=[], **future)[0]["type"] == "has"


def test_what_an_agent_can_do_is_told_in_hello(start: Start) -> None:
    told = start(hello=False).hear()[0]["capabilities"]["requests"]
    assert {"build", "cancel", "check", "get", "has", "infer", "lease", "measure", "put", "verify"} <= set(told)


def test_an_error_of_an_older_agent_has_no_cause() -> None:
    error = AgentError.from_wire({"type": "error", "kind": "failed", "text": "no"})
    assert (error.cause, error.sha256, error.hint) == ("", "", "")
    assert "cause" not in error.to_wire(), "nor does one without a cause say so"


def test_a_home_of_an_earlier_agent_is_used_on(start: Start, tmp_path: Path) -> None:
    """Its folders may be open to others, its files have times instead of counts, its lock tells less."""
    home = tmp_path / "home"
    data = b'{"latency_s": 0.001}'
    sha256 = hashlib.sha256(data).hexdigest()
    place = home / "blobs" / sha256[:2]
    place.mkdir(parents=True)
    (home / "parts").mkdir()
    (place / sha256[2:]).write_bytes(data)
    (home / "parts" / "new-abc").write_bytes(b"left by a crash")
    (home / "lock").write_text(json.dumps({"pid": 1, "user": "u", "since": "2024-01-01 00:00:00"}))
    talk = start()
    assert talk.ask("has", sha256=[sha256])[0]["missing"] == []
    assert talk.build(sha256)["type"] == "build"


def test_a_kept_reply_of_an_earlier_agent_is_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.keep(["question"], {"seconds": 1.0}, b"body")
    (file,) = tmp_path.iterdir()
    with open(file, "wb") as stream:
        Writer(stream).write({"type": "kept", "seconds": 2.0, "from": "another version"}, b"other")
    with open(file, "rb") as stream:
        assert Reader(stream).read() is not None
    found = cache.get(["question"])
    assert found is not None
    assert (found[0]["seconds"], found[1]) == (2.0, b"other")
