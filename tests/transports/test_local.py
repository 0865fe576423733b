"""The local pipe: its agent hears no Ctrl-C, leaves nothing behind, and its last words are heard."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer.transports.bundle import make_bundle
from explorer.transports.local import LocalTransport
from explorer_agent.wire import Reader


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[LocalTransport]:
    bundle, _ = make_bundle(tmp_path)
    found = LocalTransport(
        bundle, home=tmp_path / "home", words=["--plugin", "explorer_agent.testing", "--runtime", "fake"]
    )
    yield found
    found.close()


def test_it_is_in_a_session_of_its_own(transport: LocalTransport) -> None:
    assert os.getsid(transport.pid) == transport.pid


def test_closing_ends_the_agent_and_may_be_done_twice(transport: LocalTransport) -> None:
    frame = Reader(transport.incoming).read()
    assert frame is not None
    transport.close()
    assert not Path(f"/proc/{transport.pid}").exists()
    transport.close()
    assert transport.last_words() == ""


def test_a_stopped_agent_is_ended_by_force(transport: LocalTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.transports.local.PATIENCE_S", 0.3)
    os.kill(transport.pid, signal.SIGSTOP)
    before = time.monotonic()
    transport.close()
    assert time.monotonic() - before < 5
    assert not Path(f"/proc/{transport.pid}").exists()


def test_last_words_tell_how_it_ended(tmp_path: Path) -> None:
    bundle = tmp_path / "bad.pyz"
    bundle.write_bytes(b"this is no zip")
    transport = LocalTransport(bundle, home=tmp_path / "home")
    assert Reader(transport.incoming).read() is None
    words = transport.last_words()
    assert "SyntaxError" in words
    assert "ended with status 1" in words
    transport.close()


def test_a_process_that_has_a_thousand_files_open_can_talk_to_it(tmp_path: Path) -> None:
    bundle, _ = make_bundle(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 2000:
        pytest.skip("this process may open fewer than 2000 files")
    with contextlib.ExitStack() as many:
        many.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2000), limits[1]))
        for _ in range(1100):
            many.enter_context(open(os.devnull, "rb"))
        talk = LocalTransport(bundle, home=tmp_path / "home", words=["--plugin", "explorer_agent.testing"])
        try:
            assert Reader(talk.incoming).read()
            talk.outgoing.write(b"{}\n")
            talk.outgoing.flush()
        finally:
            talk.close()
