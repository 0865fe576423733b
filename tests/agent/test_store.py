"""The store's limit and who makes way for whom; symlinks; power cuts; a full disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from explorer_agent import disk
from explorer_agent.blobs import PARTS, Blobs
from explorer_agent.cache import Cache
from explorer_agent.messages import AgentError

from .talk import FAKE, Talk

Start = Callable[..., Talk]
MB = 10**6


def put(blobs: Blobs, number: int, size: int = MB) -> str:
    data = bytes([number]) * size
    sha256 = hashlib.sha256(data).hexdigest()
    blobs.receive(sha256, [data], size=size, offset=0)
    return sha256


def kept(blobs: Blobs, names: list[str]) -> list[bool]:
    return [blobs.path(name).exists() for name in names]


def test_what_was_used_longest_ago_makes_way(tmp_path: Path) -> None:
    before = Blobs(tmp_path, room_gb=0.0035)
    names = [put(before, number) for number in range(3)]
    before.here(names[0])
    now = Blobs(tmp_path, room_gb=0.0035)
    put(now, 9)
    assert kept(now, names) == [True, False, True], "the order of use outlives the agent"


def test_what_this_host_was_told_of_goes_last(tmp_path: Path) -> None:
    before = Blobs(tmp_path, room_gb=0.0035)
    names = [put(before, number) for number in range(3)]
    now = Blobs(tmp_path, room_gb=0.0035)
    assert now.here(names[0])
    assert now.here(names[1])
    later = [put(now, 8), put(now, 9)]
    assert kept(now, [*names, *later]) == [False, True, False, True, True], "but it goes when nothing else is left"


def test_what_a_job_needs_never_goes(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path, room_gb=0.0025)
    names = [put(blobs, number) for number in range(2)]
    loan = blobs.borrow((names[0], "engine"))
    put(blobs, 8)
    assert kept(blobs, names) == [True, False]
    again = blobs.borrow((names[0], "engine"))
    loan.back()
    loan.back()
    with pytest.raises(AgentError, match=r"3 MB are needed .* of the 2 MB that may be kept") as caught:
        put(blobs, 9, 3 * MB)
    assert caught.value.cause == "disk"
    assert kept(blobs, names) == [True, False]
    again.back()
    put(blobs, 9, 2 * MB)
    assert kept(blobs, names) == [False, False]


def test_an_engine_just_built_stays_however_large(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path, room_gb=0.001)
    first, out = put(blobs, 1), blobs.scratch()
    out.write_bytes(bytes(2 * MB))
    engine = blobs.adopt(out)
    assert kept(blobs, [first, engine]) == [False, True]


def test_a_disk_that_fills_up_makes_the_store_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(tmp_path, room_gb=1)
    names = [put(blobs, number) for number in range(3)]
    others = 100 * MB  # what somebody else leaves us
    monkeypatch.setattr(
        disk, "free_bytes", lambda place: others - sum(file.stat().st_size for file in tmp_path.rglob("*"))
    )
    others = 3 * MB + 600_000
    put(blobs, 9)
    assert kept(blobs, names) == [False, True, True]
    others = 0
    with pytest.raises(AgentError, match="no room: 1 MB are needed") as caught:
        put(blobs, 10)
    assert caught.value.cause == "disk"


def test_the_room_is_half_of_what_would_be_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=6_000_000_000))
    assert disk.room_bytes(tmp_path, 2_000_000_000, room_gb=0) == 4_000_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10**12))
    assert disk.room_bytes(tmp_path, 0, room_gb=0) == 10_000_000_000
    assert disk.room_bytes(tmp_path, 0, room_gb=50) == 50_000_000_000


def test_a_crash_leaves_a_few_transfers_and_nothing_else(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    cut = [hashlib.sha256(bytes([number])).hexdigest() for number in range(PARTS + 2)]
    for sha256 in cut:
        blobs.receive(sha256, [b"abc"], size=10, offset=0)
    blobs.scratch().write_bytes(b"half an engine")
    after = Blobs(tmp_path)
    assert [after.arrived(sha256) for sha256 in cut] == [0, 0] + [3] * PARTS
    assert len(list((tmp_path / "parts").iterdir())) == PARTS


def test_after_a_power_cut_nothing_is_believed_before_it_is_looked_at(tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("first")
    home = tmp_path / "home"
    home.mkdir()
    blobs = Blobs(home, boot_id=boot)
    good, bad = put(blobs, 1), put(blobs, 2)
    blobs.path(bad).write_bytes(bytes(MB))  # as long as it was, but never written
    assert Blobs(home, boot_id=boot).here(bad), "in the same life of the board nobody looks: that would cost seconds"
    boot.write_text("second")
    after = Blobs(home, boot_id=boot)
    assert after.here(good)
    assert not after.here(bad)
    with pytest.raises(AgentError, match="not on this device") as caught:
        after.borrow((good, "network"), (bad, "engine"))
    assert caught.value.sha256 == bad
    blobs.receive(bad, [bytes([2]) * MB], size=MB, offset=0)
    assert after.here(bad)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "outside"
    file.write_bytes(b"precious")
    yield file
    assert file.read_bytes() == b"precious"
    assert list(tmp_path.glob("outside*")) == [file]


def test_a_symlink_in_place_of_a_file_is_absent_and_replaced(tmp_path: Path, outside: Path) -> None:
    blobs = Blobs(tmp_path / "home")
    data = b"precious"
    sha256 = hashlib.sha256(data).hexdigest()
    for place in (blobs.path(sha256), tmp_path / "home/parts" / sha256, tmp_path / "home/unproven" / sha256):
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(outside)
    assert not blobs.here(sha256)
    assert blobs.arrived(sha256) == 0
    blobs.receive(sha256, [data], size=len(data), offset=0)
    assert not blobs.path(sha256).is_symlink()
    with blobs.borrow((sha256, "file")) as loan:
        assert loan.paths[0].read_bytes() == data


def test_a_symlink_in_place_of_a_folder_is_refused(tmp_path: Path, outside: Path) -> None:
    home = tmp_path / "home"
    blobs = Blobs(home)
    (tmp_path / "outside folder").mkdir()
    (home / "blobs/00").symlink_to(tmp_path / "outside folder")
    named = "00" + "1" * 62
    (tmp_path / "outside folder" / named[2:]).write_bytes(b"not ours")
    assert not blobs.here(named)
    shutil.rmtree(tmp_path / "outside folder")
    shutil.rmtree(home / "parts")
    (home / "parts").symlink_to(tmp_path)
    with pytest.raises(OSError, match="no folder of ours"):
        Blobs(home)


def test_a_kept_reply_is_never_a_symlink(tmp_path: Path, outside: Path) -> None:
    cache = Cache(tmp_path / "replies")
    cache.keep("question", {"n": 1}, b"body")
    (file,) = (tmp_path / "replies").iterdir()
    for name in (file, file.with_suffix(".new")):
        if name.exists():
            name.unlink()
        name.symlink_to(outside)
    assert cache.get("question") is None
    cache.keep("question", {"n": 2}, b"body")
    assert not file.is_symlink()
    found = cache.get("question")
    assert found is not None
    assert found[0]["n"] == 2


def test_nobody_else_can_look_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    blobs = Blobs(home)
    sha256 = put(blobs, 1)
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.rglob("*")}
    assert modes[sha256[2:]] == 0o600
    assert {modes[name] for name in ("blobs", "parts", "unproven", sha256[:2])} == {0o700}


def test_two_threads_at_once_keep_the_count(tmp_path: Path) -> None:
    """The thread that reads puts, the foreman's adopts and borrows."""
    blobs = Blobs(tmp_path, room_gb=0.01)
    failures: list[BaseException] = []

    def adopt() -> None:
        try:
            for number in range(40):
                out = blobs.scratch()
                out.write_bytes(bytes([number]) * MB)
                with blobs.borrow((blobs.adopt(out), "engine")) as loan:
                    assert loan.paths[0].stat().st_size == MB
        except BaseException as error:  # noqa: BLE001  told to the thread that asserts
            failures.append(error)

    thread = threading.Thread(target=adopt)
    thread.start()
    for number in range(40):
        put(blobs, 100 + number)
    thread.join()
    assert not failures
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) <= 12 * MB


def test_a_file_that_made_way_is_told_as_missing_and_sent_again(start: Start) -> None:
    talk = start("--room-gb", "0.000002")
    first = talk.put(b"{}" + b" " * 900)
    talk.put(b"{} " + b" " * 1500)
    reply = talk.build(first)
    assert (reply["kind"], reply["cause"], reply["sha256"]) == ("failed", "missing", first)
    talk.put(b"{}" + b" " * 900)
    built = talk.build(first)
    assert built["type"] == "build"
    assert not talk.build(first, batch=2)["cached"]


def test_more_than_fits_is_refused_and_the_line_lives_on(start: Start) -> None:
    talk = start("--room-gb", "0.001")
    data = os.urandom(2_000_000)
    reply, _ = talk.ask("put", data, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    assert (reply["kind"], reply["cause"]) == ("failed", "disk")
    assert str(talk.home) in reply["text"]
    assert talk.build(talk.script())["type"] == "build"


def test_a_job_that_finds_the_disk_full_says_so(start: Start) -> None:
    talk = start()
    reply = talk.build(talk.script(do="full"))
    assert (reply["kind"], reply["cause"]) == ("failed", "disk")
    assert list((talk.home / "parts").iterdir()) == [], "and leaves nothing"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 80 MB, of which 64 are kept free."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=80m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be made by root only")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_real_disk_that_is_full(start: Start, small: Path) -> None:
    talk = start(home=small / "home")
    engine = talk.build(talk.script(latency_s=0.001))["engine"]
    asked: dict[str, Any] = {"engine": engine, "deployment": FAKE, "plan": {"warmup_s": 0.02, "budget_s": 0.1}}
    data = os.urandom(7_000_000)
    assert talk.put(data), "half of what is free"
    (small / "others").write_bytes(bytes(shutil.disk_usage(small).free - 8192))
    reply, _ = talk.ask("put", data[1:], sha256=hashlib.sha256(data[1:]).hexdigest(), size=len(data) - 1)
    assert (reply["kind"], reply["cause"]) == ("failed", "disk")
    assert "MB are needed below" in reply["text"]
    assert talk.ask("has", sha256=[hashlib.sha256(data).hexdigest()])[0]["missing"], "what was there made way first"
    (small / "others").unlink()
    assert talk.put(data)
    assert talk.ask("measure", **asked)[0]["cause"] == "missing"


def test_an_agent_starts_on_a_disk_without_a_byte_left_and_makes_room(start: Start, small: Path) -> None:
    talk = start(home=small / "home")
    sha256 = talk.put(os.urandom(7_000_000))
    talk.close()
    (small / "home/boot").unlink()
    (small / "home/lock").unlink()
    with contextlib.suppress(OSError), open(small / "others", "wb", buffering=0) as others:
        while others.write(bytes(1 << 20)):
            pass
    after = start(home=small / "home")
    assert after.build(sha256)["cause"] == "disk"
    assert after.ask("put", b"x", sha256=hashlib.sha256(b"x").hexdigest(), size=1)[0]["cause"] == "disk"
    assert after.ask("has", sha256=[sha256])[0]["missing"] == [sha256], "it gave up all it had"
