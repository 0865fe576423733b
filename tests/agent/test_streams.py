"""Reading and writing that end: with the stream, the lease, a host that does not read, a word from another thread."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO, cast

import pytest

from explorer_agent import streams
from explorer_agent.streams import Incoming, Link, Outgoing
from explorer_agent.wire import ProtocolError, Reader, Writer, encode

Ends = tuple[io.FileIO, io.FileIO]


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """What is written to the second can be read from the first."""
    fds = os.pipe() if request.param == "pipe" else [end.detach() for end in socket.socketpair()]
    with io.FileIO(fds[0], "r") as read, io.FileIO(fds[1], "w") as write:
        yield read, write


def reader(end: io.FileIO, link: Link) -> Reader:
    return Reader(cast(BinaryIO, io.BufferedReader(Incoming(end.fileno(), link), 1 << 18)))


def outgoing(end: io.FileIO, link: Link | None = None) -> BinaryIO:
    return cast(BinaryIO, Outgoing(end.fileno(), link or Link()))


def test_frames_come_through(ends: Ends) -> None:
    read, write = ends
    link, body = Link(), os.urandom(3_000_000)
    thread = threading.Thread(target=lambda: Writer(outgoing(write)).write({"type": "x"}, body))
    thread.start()
    frame = reader(read, link).read()
    assert frame is not None
    assert frame.body.read() == body
    thread.join()


def test_the_end_of_the_stream_is_the_end(ends: Ends) -> None:
    read, write = ends
    link = Link()
    incoming = Incoming(read.fileno(), link)
    assert not incoming.ended()
    write.write(encode({"type": "last"}))
    write.close()
    assert incoming.ended(), "although there is something left to read"
    ours = Reader(cast(BinaryIO, io.BufferedReader(incoming)))
    frame = ours.read()
    assert frame is not None
    assert frame.message["type"] == "last"
    assert ours.read() is None


def test_silence_is_the_end_between_frames_and_a_cut_within_one(ends: Ends) -> None:
    read, write = ends
    link = Link()
    link.lease_s = 0.2
    assert reader(read, link).read() is None
    assert "silent" in link.why
    link = Link()
    link.lease_s = 0.2
    write.write(b'{"type":"put","body":9}\nabc')
    frame = reader(read, link).read()
    assert frame is not None
    with pytest.raises(ProtocolError, match="6 bytes before the end"):
        frame.body.read()


def test_what_waits_to_be_read_counts_as_heard(ends: Ends) -> None:
    """An agent that was busy, or stopped, for longer than the lease does not take its host for dead."""
    read, write = ends
    link = Link()
    link.lease_s = 0.2
    write.write(encode({"type": "waits"}))
    time.sleep(0.4)
    assert reader(read, link).read() is not None


def test_writing_ends_with_a_host_that_does_not_read(ends: Ends) -> None:
    _, write = ends
    link = Link()
    link.lease_s = 0.3
    with pytest.raises(TimeoutError, match="has read nothing"):
        outgoing(write, link).write(bytes(10_000_000))
    assert link.why, "and so does reading"


def test_without_a_lease_too(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STALL_S", 0.3)
    with pytest.raises(TimeoutError):
        outgoing(ends[1]).write(bytes(10_000_000))


def test_a_slow_host_is_not_a_dead_one(ends: Ends) -> None:
    """Its every read counts, however long the whole takes."""
    read, write = ends
    link, size = Link(), 1_500_000
    link.lease_s = 2.0

    def sip() -> None:
        left = size
        while left:
            time.sleep(0.1)
            left -= len(os.read(read.fileno(), 100_000))

    thread = threading.Thread(target=sip)
    thread.start()
    assert outgoing(write, link).write(bytes(size)) == size
    thread.join()


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_hanging_up_wakes_whoever_waits(ends: Ends, how: str) -> None:
    read, write = ends
    link, ended = Link(), threading.Event()

    def wait() -> None:
        if how == "reading":
            assert reader(read, link).read() is None
        else:
            with pytest.raises(OSError, match="over"):
                outgoing(write, link).write(bytes(10_000_000))
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    time.sleep(0.1)
    link.hang_up("over")
    assert ended.wait(60)
    link.hang_up("again")
    assert link.why == "over"


def test_a_cut_frame_is_the_last(ends: Ends) -> None:
    """What followed it would be taken for its body."""
    writer = Writer(outgoing(ends[1]))

    def body() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk failed")

    with pytest.raises(OSError, match="the disk failed"):
        writer.write({"type": "get"}, body(), size=8)
    with pytest.raises(OSError, match="an earlier frame was cut"):
        writer.write({"type": "note"})


def test_a_frame_that_cannot_be_written_cuts_nothing(ends: Ends) -> None:
    writer = Writer(outgoing(ends[1]))
    with pytest.raises(ValueError, match="JSON"):
        writer.write({"type": "x", "v": float("nan")})
    writer.write({"type": "x"})
    assert os.read(ends[0].fileno(), 100) == b'{"type":"x"}\n'


def test_a_host_that_is_gone_is_told_from_its_pipe(ends: Ends) -> None:
    ends[0].close()
    with pytest.raises(OSError, match="pipe"):
        outgoing(ends[1]).write(bytes(10))
