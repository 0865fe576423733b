"""What can happen to a study, each as a function that does it, lasts as long as it lasts, and mends it.

    @trouble("link stalls", relay=True)
    def _(scene, dice): …

Random in their details: `dice` decides how long, how much, which byte. What the host itself must be started again
after says so by returning True.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from network import Relay

from faults.scene import Hung, Scene, kill, kill_host, wait_for

T = TypeVar("T")
Act = Callable[[Scene, random.Random], bool | None]
PHASES = ("build", "measure", "infer")
MOMENT_S = 0.5
SHORT_S, LONG_S = (1.0, 5.0), (20.0, 35.0)


class Missed(Exception):
    """There was nothing to strike at: no fault happened."""


@dataclass(frozen=True)
class Trouble:
    """A kind of fault.

    Attributes:
        way: what the board must be behind for it: "relay", "link", or "" for any.
        share: how often it comes, beside others with 1.
        alone: whether no other one strikes before the study has recovered: it costs the candidate under way one of its
            two tries, or needs the board to be held.
        costs: whether a measurement that ends within MOMENT_S of it may be lost: whoever is to keep it dies, or cannot.
        needs: "disk" (of its own) or "clock" where that is needed, or empty.
    """

    name: str
    act: Act
    way: str = ""
    share: float = 1.0
    needs: str = ""
    alone: bool = False
    costs: bool = False


TROUBLES: list[Trouble] = []


def trouble(name: str, **more: Any) -> Callable[[Act], Act]:
    """Enter a function in TROUBLES."""

    def enter(act: Act) -> Act:
        TROUBLES.append(Trouble(name, act, **more))
        return act

    return enter


@trouble("session killed", share=2)
def session_killed(scene: Scene, dice: random.Random) -> None:
    _hit(scene.board.sshd.kill_sessions)


@trouble("sshd killed, another at once")
def sshd_killed(scene: Scene, dice: random.Random) -> None:
    scene.board.restart()


@trouble("sshd killed, away for 1–5 s")
def sshd_away(scene: Scene, dice: random.Random) -> None:
    scene.board.restart(after_s=dice.uniform(*SHORT_S))


@trouble("link stalls for 1–5 s", way="relay")
def link_stalls(scene: Scene, dice: random.Random) -> None:
    with _stalled(scene):
        time.sleep(dice.uniform(*SHORT_S))


@trouble("link stalls for 20–35 s", way="relay", share=0.25)
def link_stalls_long(scene: Scene, dice: random.Random) -> None:
    with _stalled(scene):
        time.sleep(dice.uniform(*LONG_S))


@trouble("link stalls at a byte, then breaks", way="relay", share=2)
def link_stalls_at_a_byte(scene: Scene, dice: random.Random) -> None:
    relay = scene.board.relay
    relay.stall_after(dice.choice((1, 100, 1000, 10_000, 100_000)))
    time.sleep(dice.uniform(*SHORT_S))
    relay.reset()
    relay.go_on()


@trouble("connection reset at both ends", way="relay", share=2)
def connection_reset(scene: Scene, dice: random.Random) -> None:
    scene.board.relay.reset()


@trouble("connection dead at the host's end alone", way="relay", share=2)
def host_forsaken(scene: Scene, dice: random.Random) -> None:
    scene.board.relay.forsake()


@trouble("reply swallowed by the link", way="relay", share=2)
def reply_swallowed(scene: Scene, dice: random.Random) -> None:
    with _stalled(scene):
        time.sleep(dice.uniform(0.5, 1.5))
        scene.board.relay.reset()


@trouble("link down for 1–5 s", way="link", share=2)
def link_down(scene: Scene, dice: random.Random) -> None:
    with _cut(scene, dice.choice(("down", "drop"))):
        time.sleep(dice.uniform(*SHORT_S))


@trouble("link down for 20–35 s", way="link", share=0.25)
def link_down_long(scene: Scene, dice: random.Random) -> None:
    with _cut(scene, dice.choice(("down", "drop"))):
        time.sleep(dice.uniform(*LONG_S))


@trouble("link down, connections reset", way="link", share=2)
def link_reset(scene: Scene, dice: random.Random) -> None:
    with _cut(scene, "drop"):
        time.sleep(dice.uniform(0.1, 1.0))
        scene.board.link.reset()


@trouble("agent killed -9", share=2, costs=True)
def agent_killed(scene: Scene, dice: random.Random) -> None:
    for agent in _hit(scene.agents):
        kill(agent)


@trouble("agent stopped for 1–5 s")
def agent_stopped(scene: Scene, dice: random.Random) -> None:
    agents = _hit(scene.agents)
    for agent in agents:
        _signal(agent, signal.SIGSTOP)
    time.sleep(dice.uniform(*SHORT_S))
    for agent in agents:
        _signal(agent, signal.SIGCONT)


@trouble("nursery killed -9", alone=True, costs=True)
def nursery_killed(scene: Scene, dice: random.Random) -> None:
    for nursery in _hit(scene.nurseries):
        kill(nursery)


@trouble("worker killed -9", alone=True, costs=True)
def worker_killed(scene: Scene, dice: random.Random) -> None:
    for worker in _hit(scene.workers):
        kill(worker)


@trouble("worker out of memory", alone=True, costs=True)
def worker_out_of_memory(scene: Scene, dice: random.Random) -> None:
    trap = scene.trap(dice.choice(PHASES), "allocate")
    try:
        _hit(lambda: not trap.exists(), within_s=10)
    finally:
        trap.unlink(missing_ok=True)


@trouble("host killed -9", share=2)
def host_killed(scene: Scene, dice: random.Random) -> bool:
    kill_host(scene.processes[-1])
    time.sleep(dice.choice((0.0, dice.uniform(*SHORT_S))))
    return True


@trouble("host interrupted", costs=True)
def host_interrupted(scene: Scene, dice: random.Random) -> bool:
    scene.processes[-1].send_signal(signal.SIGINT)
    scene.ends(scene.processes[-1])
    return True


@trouble("clock jumps by up to a year", needs="clock")
def clock_jumps(scene: Scene, dice: random.Random) -> None:
    clock = dice.choice((scene.clock, scene.board.clock))
    assert clock is not None  # asked for
    clock.jump(dice.choice((-1, 1)) * 10 ** dice.uniform(0, 7.5))


@trouble("disk full for 1–5 s", needs="disk", costs=True)
def disk_full(scene: Scene, dice: random.Random) -> None:
    with scene.board.full_disk(leaving=dice.choice((0, 1 << 16, 32 << 20))):
        time.sleep(dice.uniform(*SHORT_S))


@trouble("second host", share=0.5, alone=True)
def second_host(scene: Scene, dice: random.Random) -> None:
    folder = scene.folder.with_name("second")
    scene.furnish(folder, study="second")
    process = scene.start(folder=folder)
    scene.processes.remove(process)
    try:
        code = scene.ends(process)
    finally:
        kill_host(process)
    if scene.processes[-1].poll() is None and (code != 3 or "this device is in use" not in _read(folder / "said")):
        raise AssertionError(f"a second host on a board in use: exit status {code}: {_read(folder / 'said')}")


def _read(path: Path) -> str:
    return path.read_text(errors="replace")


def possible(scene: Scene, *, disk: bool) -> list[Trouble]:
    """Those that can happen to this scene."""
    there = {"": True, "disk": disk, "clock": bool(scene.clock and scene.board.clock)}
    way = "relay" if isinstance(scene.board.way, Relay) else "link"
    return [one for one in TROUBLES if one.way in ("", way) and there[one.needs]]


@contextmanager
def _stalled(scene: Scene) -> Iterator[None]:
    scene.board.relay.stall()
    try:
        yield
    finally:
        scene.board.relay.go_on()


@contextmanager
def _cut(scene: Scene, how: str) -> Iterator[None]:
    getattr(scene.board.link, how)()
    try:
        yield
    finally:
        scene.board.link.up()


def _hit(there: Callable[[], T], within_s: float = 3.0) -> T:
    """What there is to strike at, once there is something.

    Raises:
        Missed: there is nothing.
    """
    try:
        found: T = wait_for(there, "target", within_s)
    except Hung as nothing:
        raise Missed from nothing
    return found


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
