"""Files by sha256: verified, resumable, and never a path of the peer's making."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer_agent.blobs import Blobs
from explorer_agent.cache import Cache
from explorer_agent.messages import AgentError
from explorer_agent.wire import ProtocolError

DATA = b"an engine" * 1000
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


def test_what_arrives_whole_is_there(blobs: Blobs) -> None:
    blobs.receive(SHA, [DATA], size=len(DATA), offset=0)
    assert blobs.path(SHA).read_bytes() == DATA
    assert blobs.arrived(SHA) == 0


def test_a_transfer_goes_on_where_it_stopped(blobs: Blobs) -> None:
    blobs.receive(SHA, [DATA[:100], DATA[100:500]], size=len(DATA), offset=0)
    assert blobs.arrived(SHA) == 500
    blobs.receive(SHA, [DATA[500:]], size=len(DATA), offset=500)
    assert blobs.path(SHA).read_bytes() == DATA


def test_a_transfer_may_start_anew(blobs: Blobs) -> None:
    blobs.receive(SHA, [DATA[:100]], size=len(DATA), offset=0)
    blobs.receive(SHA, [DATA], size=len(DATA), offset=0)
    assert blobs.path(SHA).read_bytes() == DATA


def test_a_wrong_offset_is_refused(blobs: Blobs) -> None:
    blobs.receive(SHA, [DATA[:100]], size=len(DATA), offset=0)
    with pytest.raises(ProtocolError, match="continues at 100"):
        blobs.receive(SHA, [DATA[50:]], size=len(DATA), offset=50)


def test_how_much_has_arrived_is_told(blobs: Blobs) -> None:
    assert blobs.receive(SHA, [DATA[:100], DATA[100:500]], size=len(DATA), offset=0) == 500
    assert blobs.receive(SHA, [DATA[500:]], size=len(DATA), offset=500) == len(DATA)


def test_more_than_was_announced_is_not_written(blobs: Blobs, tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield DATA
            assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 3 * len(DATA)

    with pytest.raises(AgentError, match="damaged"):
        blobs.receive(SHA, endless(), size=len(DATA), offset=0)


@pytest.mark.parametrize("data", [b"x" + DATA[1:], DATA + b"more"])
def test_damage_is_noticed_and_nothing_of_it_kept(blobs: Blobs, data: bytes) -> None:
    with pytest.raises(AgentError, match="damaged"):
        blobs.receive(SHA, [data], size=len(DATA), offset=0)
    assert not blobs.path(SHA).exists()
    assert blobs.arrived(SHA) == 0


@pytest.mark.parametrize(
    "name",
    ["", "../../etc/passwd", "/etc/passwd", SHA[:-1], SHA + "0", SHA.upper(), SHA[:-1] + "/", "٣" * 64, SHA + "\n"],
)
def test_only_a_sha256_becomes_a_path(blobs: Blobs, name: str) -> None:
    for use in (blobs.path, blobs.arrived):
        with pytest.raises(ProtocolError):
            use(name)


def test_a_full_disk_is_seen_before_the_transfer(blobs: Blobs) -> None:
    with pytest.raises(AgentError, match="no room") as caught:
        blobs.receive(SHA, iter(()), size=1 << 60, offset=0)
    assert caught.value.hint


def test_what_is_not_there_says_so(blobs: Blobs) -> None:
    with pytest.raises(AgentError, match="the engine .* is not on this device") as caught:
        blobs.borrow((SHA, "engine"))
    assert (caught.value.cause, caught.value.sha256) == ("missing", SHA)


def test_kept_replies_survive_and_damaged_ones_are_forgotten(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.keep(["a", 1], {"seconds": 2.0}, b"body")
    found = Cache(tmp_path).get(["a", 1])
    assert found is not None
    assert (found[0]["seconds"], found[1]) == (2.0, b"body")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-2])
    assert cache.get(["a", 1]) is None
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_replies_make_way(tmp_path: Path) -> None:
    cache = Cache(tmp_path, room=5000)
    for number in range(6):
        cache.keep(number, {}, bytes(2000))
    assert cache.get(0) is None
    assert cache.get(5) is not None
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 5000
