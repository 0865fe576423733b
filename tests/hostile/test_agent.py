"""The agent against hosts that are broken or hostile: every frame ends in an error of ours or in a reply, the agent
lives or ends in good order, and no file appears but under its own sha256 in the agent's home.

    fields   a real agent in a process of its own; after each frame of noise a question that has to be answered
    lines    sessions in this process, which end with the first line that is none; their jobs in one real nursery
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import itertools
import os
import re
import socket
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from agent.talk import FAKE, Talk
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.transports.bundle import make_bundle
from explorer_agent import meters, plugins, runtimes, serve, session
from explorer_agent.jobs import Foreman
from explorer_agent.streams import Incoming, Link, Outgoing
from explorer_agent.wire import Message, Reader

from .noise import QUIET, Line, lines
from .patience import in_time

Converse = Callable[[bytes], list[Message]]

KINDS = {"infeasible", "failed", "busy", "unsupported", "protocol"}
CHOSEN = {"plugins": ["explorer_agent.testing"], "only": ["fake"]}
SOURCE, INPUTS = b'{"latency_s": 0.0001}', b"samples"
DEPLOYMENT = {**FAKE, "precision": "fp32", "batch": 1, "threads": 1, "streams": 1, "placement": "cpu", "power_mode": ""}
PLAN = {
    **{"warmup_s": 0.001, "window_s": 0.001, "windows_min": 2, "budget_s": 0.01, "relative_interval": 0.5},
    **{"idle_s": 0.0, "inputs": ""},
}
OWN = re.compile(
    r"blobs(/[0-9a-f]{2}(/[0-9a-f]{62})?)?|(unproven|parts)(/[0-9a-f]{64}|/new-\w+)?|(builds|replies)(/[0-9a-f]{64})?"
)


def requests(engine: str) -> dict[str, tuple[Message, bytes]]:
    """What a good host asks, by name: the message without its id, and its body."""
    source, inputs = _sha256(SOURCE), _sha256(INPUTS)
    job = {"deployment": DEPLOYMENT, "timeout_s": 5.0, "memory_mb": 0.0}
    measure = {"type": "measure", "engine": engine, "plan": PLAN, "meter": {"name": "steady"}, "once": "study/1/0"}
    return {
        "has": ({"type": "has", "sha256": [source, "0" * 64]}, b""),
        "put": ({"type": "put", "sha256": _sha256(b"abc"), "size": 3, "kind": "network", "offset": 0}, b"abc"),
        "get": ({"type": "get", "sha256": inputs, "offset": 0}, b""),
        "build": ({"type": "build", "source": source, **job}, b""),
        "measure": ({**measure, **job}, b""),
        "infer": ({"type": "infer", "engine": engine, "inputs": inputs, **job}, b""),
        "cancel": ({"type": "cancel", "job": 3}, b""),
    }


class Place:
    """A folder with the agent's home in it, and round about what nobody may touch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.home = folder / "the agent's\nhome"
        for name in ("user", "temporary", "here"):
            (folder / name).mkdir()
            (folder / name / "precious").write_text(name)
        self.before: dict[str, Any] = {}

    def around(self) -> dict[str, Any]:
        """All there is outside the home."""
        found = (path for path in self._folder.rglob("*") if self.home not in (path, *path.parents))
        return {str(path): path.read_bytes() if path.is_file() else path.is_symlink() for path in found}

    def begin(self) -> None:
        """Remember what is here before the noise."""
        self.before, self._own = self.around(), {path.name for path in self.home.iterdir()}

    def is_untouched(self) -> None:
        assert self.around() == self.before
        for path in self.home.rglob("*"):
            below = str(path.relative_to(self.home))
            assert OWN.fullmatch(below) or below in self._own, below
            assert not path.is_symlink()
            if re.match(r"blobs/../.", below):
                assert _sha256(path.read_bytes()) == path.parent.name + path.name, "a file is what its name says"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return made


def judge(message: Message) -> str:
    """What an answer is, by one word; a failure that nobody thought of is none that is allowed."""
    if message["type"] != "error":
        return str(message["type"])
    assert message["kind"] in KINDS, message
    assert message["text"], message
    assert "in _answer" not in str(message.get("trace")), message["trace"]
    return str(message["kind"])


class Speaker:
    """A host that says noise to a real agent, and starts another one when that ended in good order."""

    def __init__(self, start: Callable[[], Talk]) -> None:
        self._start = start
        self.talk = start()
        self.starts = 1
        self.heard = Counter[str]()
        self.heard[judge(self.talk.hear()[0])] += 1
        for data in (SOURCE, INPUTS):
            self.talk.put(data)
        self.engine: str = self.talk.build(_sha256(SOURCE), batch=1)["engine"]

    def say(self, line: Line) -> None:
        """Say `line`, and see that the agent answers the next question or has ended as it should."""
        self.talk.number += 1
        number = self.talk.number
        try:
            self.talk.out.write(line.bytes_for(number))
            self.talk.out.flush()
            self.talk.say("cancel", job=number)
            in_time(lambda: self._until(self.talk.say("has", sha256=[])))
        except (BrokenPipeError, EOFError):
            assert self.talk.close() == 0, "it ended, but not in good order"
            self._again()

    def _until(self, number: int) -> None:
        while True:
            frame = self.talk.reader.read()
            if frame is None:
                raise EOFError
            frame.body.read()
            self.heard[judge(frame.message)] += 1
            if frame.message.get("id") == number:
                return

    def _again(self) -> None:
        self.talk = self._start()
        self.starts += 1
        self.heard[judge(self.talk.hear()[0])] += 1


def fuzz_fields(examples: int, place: Place, bundle: Path) -> Counter[str]:
    words = ("--plugin", "explorer_agent.testing", "--runtime", "fake", "--wait", "30")
    speaker = Speaker(lambda: Talk(sys.executable, bundle, place.home, *words))
    place.begin()

    @settings(QUIET, max_examples=examples)
    @given(line=st.one_of(*(lines(*asked, only=("mild",)) for asked in requests(speaker.engine).values())))
    def said(line: Line) -> None:
        speaker.say(line)

    try:
        said()
    finally:
        status = speaker.talk.close()
    assert status == 0
    place.is_untouched()
    return speaker.heard


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"))[0]


@pytest.mark.slow
def test_fields_of_noise_are_answered(place: Place, bundle: Path) -> None:
    heard = fuzz_fields(500, place, bundle)
    assert heard["protocol"] > 50
    assert heard["has"] >= 500


@pytest.mark.slow
def test_ten_thousand_frames_of_noise_are_answered(place: Place, bundle: Path) -> None:
    assert fuzz_fields(10_000, place, bundle)["has"] >= 10_000


def test_a_flood_of_questions_is_refused_and_not_heaped_up(place: Place, bundle: Path) -> None:
    """Jobs wait in a queue that has an end; of the doctor there is one."""
    talk = Talk(sys.executable, bundle, place.home, "--plugin", "explorer_agent.testing", "--runtime", "fake")
    talk.hear()
    hang = talk.script(do="hang")
    for _ in range(1200):
        talk.say("build", source=hang, deployment=FAKE)
    for _ in range(200):
        talk.say("check")
    last = talk.say("has", sha256=[])
    in_time(lambda: talk.answer(last))
    refused = Counter(judge(message) for message in talk.notes)
    assert refused["busy"] >= 200 - 1 + 1200 - 1001
    threads = len(list(Path(f"/proc/{talk.process.pid}/task").iterdir()))
    assert threads < 20
    assert in_time(talk.close) == 0


class Shared:
    """One foreman for many sessions, so that not each has to start a nursery."""

    def __init__(self, foreman: Foreman) -> None:
        self._foreman = foreman

    def for_session(self, _: Mapping[str, Any], note: Callable[[Message], None], **__: Any) -> Shared:
        self._foreman._note = note
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._foreman, name)

    def close(self) -> None:
        self._foreman.cancel(None, "the session is over")
        deadline = time.monotonic() + 60
        while self._foreman.busy():
            assert time.monotonic() < deadline, "a job does not end"
            time.sleep(0.001)


@pytest.fixture
def converse(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Converse]:
    """Says bytes to an agent in this process, after which the host is gone; gives all that it answers."""
    tables: list[dict[str, Any]] = [runtimes.RUNTIMES, meters.METERS, plugins.LOADED]
    before = [dict(table) for table in tables]
    place.home.mkdir()
    foreman = Foreman(CHOSEN, lambda _: None, home=place.home)
    monkeypatch.setattr(session, "Foreman", Shared(foreman).for_session)
    monkeypatch.setattr(serve, "heed_signals", lambda _: None)

    sessions = itertools.count(1)

    def said(data: bytes) -> list[Message]:
        if next(sessions) % 100 == 0:
            gc.collect()  # a link is part of a cycle, and holds its pipe until it is collected
        ours, theirs = socket.socketpair()
        monkeypatch.setattr(serve, "claim", partial(_claim, theirs))
        answers = bytearray()
        with theirs, ours, _both(partial(_feed, ours, data), partial(_drain, ours, answers)):
            assert in_time(lambda: serve.serve(session.Settings(home=place.home, chosen=CHOSEN))) == 0
            theirs.shutdown(socket.SHUT_RDWR)
        stream = Reader(io.BytesIO(bytes(answers)))
        return [frame.message for frame in iter(stream.read, None)]

    yield said
    foreman.close()
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


def _claim(stream: socket.socket, link: Link) -> tuple[Incoming, BinaryIO, BinaryIO]:
    incoming = Incoming(stream.fileno(), link)
    weakref.finalize(link, _close, link.woken, link._wake)
    return incoming, cast(BinaryIO, io.BufferedReader(incoming)), cast(BinaryIO, Outgoing(stream.fileno(), link))


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


@contextlib.contextmanager
def _both(*targets: Callable[[], None]) -> Iterator[None]:
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def _feed(ours: socket.socket, said: bytes) -> None:
    with contextlib.suppress(OSError):
        ours.sendall(said)
        ours.shutdown(socket.SHUT_WR)


def _drain(ours: socket.socket, answers: bytearray) -> None:
    while piece := ours.recv(1 << 16):
        answers += piece


def fuzz_lines(examples: int, place: Place, converse: Converse) -> Counter[str]:
    good = requests("0" * 64)
    heard = Counter[str]()
    assert [judge(message) for message in converse(b"")] == ["hello"]
    place.begin()

    @settings(QUIET, max_examples=examples)
    @given(said=st.lists(st.one_of(*(lines(*asked) for asked in good.values())), min_size=1, max_size=4))
    def session_of(said: list[Line]) -> None:
        found = converse(b"".join(line.bytes_for(number) for number, line in enumerate(said)))
        assert found[0]["type"] == "hello"
        heard.update(judge(message) for message in found)
        heard["said"] += len(said)

    session_of()
    place.is_untouched()
    return heard


def test_lines_of_noise_end_a_session_in_words(place: Place, converse: Converse) -> None:
    assert fuzz_lines(150, place, converse)["protocol"] > 50


@pytest.mark.slow
def test_ten_thousand_lines_of_noise_end_sessions_in_words(place: Place, converse: Converse) -> None:
    assert fuzz_lines(4500, place, converse)["said"] >= 10_000


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
