"""Random faults at random moments of running studies, over a real sshd: what is lost, doubled, hung?

    python benchmarks/faults.py [--faults 200] [--seed 1] [--lanes 6]

Each study has a board of its own whose runtime takes time and does nothing (tests/faults). A fault strikes at a random
moment of a random phase, and after three in ten of them another one while the study recovers; once two more
candidates are recorded the next one does. When a study ends, what the board keeps is compared with what was recorded.
Behind a relay anybody can run this; root gets every other board behind a link in a network namespace, and a small disk
that can be filled.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults.board import Board, board
from faults.clock import Clock, why_no_clock
from faults.scene import Hung, Scene, wait_for
from faults.troubles import MOMENT_S, Missed, Trouble, possible
from network import why_no_link

TRIALS, FAULTS_EACH = 40, 12
TIME_OUT_S = 180.0  # for two more records after a fault, and for the end of a study
DISK_MB = 150
TWICE = 0.3  # share of faults that another one follows within 3 s
PHASES = ("build", "built", "measure", "measured", "infer")


@dataclass
class Tally:
    """What has happened so far, in all lanes."""

    wanted: int
    count: Counter[str] = field(default_factory=Counter)
    recovered_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    blamed: list[str] = field(default_factory=list)
    ended: int = 0  # runs that ended with exit status 3, and were started again
    missed: int = 0  # there was nothing to strike at
    studies: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, kinds: Sequence[str], seconds: float) -> None:
        """Count what struck; the second of two is what the recovery is counted from."""
        with self.lock:
            for kind in kinds:
                self.count[kind] += 1
                print(f"{self.count.total():4}  {kind}", file=sys.stderr, flush=True)
            if kinds:
                self.recovered_s[kinds[-1]].append(seconds)

    @property
    def enough(self) -> bool:
        return self.count.total() >= self.wanted

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.hung or self.blamed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=6, help="studies at a time")
    parser.add_argument("--only", default="", help="kinds whose name holds this text")
    given = parser.parse_args()
    folder, tally, started = Path(tempfile.mkdtemp(prefix="faults-")), Tally(given.faults), time.monotonic()
    with ThreadPoolExecutor(given.lanes) as lanes:
        running = [lanes.submit(_lane, folder, number, given, tally) for number in range(given.lanes)]
        for lane in running:
            lane.result()
    print(_told(tally, minutes=(time.monotonic() - started) / 60))
    if not tally.clean:
        print(f"everything about it is below {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _lane(folder: Path, number: int, given: argparse.Namespace, tally: Tally) -> None:
    """Studies one after the other, until there were faults enough."""
    dice = random.Random(f"{given.seed} {number}")
    link, count = os.geteuid() == 0 and number % 2 == 1 and not why_no_link(), 0
    while not tally.enough:
        place = folder / f"{number}-{count}"
        count += 1
        clocks = [None, None] if why_no_clock() else [Clock(place / side) for side in ("near", "far")]
        disk_mb = DISK_MB if os.geteuid() == 0 else 0
        with board(place / "board", link=link, disk_mb=disk_mb, clock=clocks[1]) as there:
            _study(there, Scene(place / "host", there, {"wait_s": 1}, TRIALS, clock=clocks[0]), dice, given, tally)
        if tally.clean:
            shutil.rmtree(place)


def _study(there: Board, scene: Scene, dice: random.Random, given: argparse.Namespace, tally: Tally) -> None:
    kinds = [kind for kind in possible(scene, disk=os.geteuid() == 0) if given.only in kind.name]
    now, excused = "the start", list[tuple[float, float]]()
    try:
        process = scene.start()
        for _ in range(FAULTS_EACH):
            _at_a_random_moment(scene, process, dice)
            if process.poll() is not None or tally.enough:
                break
            struck = _kinds(kinds, dice)
            now = ", then ".join(kind.name for kind in struck)
            process = _strike(scene, process, struck, dice, tally, excused)
        now = f"the end, after {now}"
        while _ended_early(scene, scene.ends(process, within_s=TIME_OUT_S), tally):
            process = scene.start()
        verdict = scene.judge(excused=excused)
        with tally.lock:
            tally.studies += 1
            tally.lost += [f"{scene.folder}: {text}" for text in verdict.lost]
            tally.doubled += [f"{scene.folder}: {text}" for text in verdict.doubled]
            tally.blamed += [f"{scene.folder}: {text}" for text in verdict.blamed]
    except Hung as hung:
        tally.hung.append(f"{scene.folder}: {now}: {hung}")
    finally:
        scene.close()


def _kinds(kinds: Sequence[Trouble], dice: random.Random) -> list[Trouble]:
    """A fault to strike with, and now and then another one that strikes while the study recovers from it."""
    (first,) = dice.choices(kinds, [kind.share for kind in kinds])
    others = [kind for kind in kinds if kind.alone is False]
    if first.alone or dice.random() > TWICE:
        return [first]
    return [first, *dice.choices(others, [kind.share for kind in others])]


def _strike(
    scene: Scene,
    process: subprocess.Popen[bytes],
    kinds: Sequence[Trouble],
    dice: random.Random,
    tally: Tally,
    excused: list[tuple[float, float]],
) -> subprocess.Popen[bytes]:
    """A fault or two, and the recovery; the process of the host, which may be another one.

    `excused` is added to: see `Scene.judge`.
    """
    struck = []
    for kind in kinds:
        if struck:
            time.sleep(dice.uniform(0.0, 3.0))
        began = time.monotonic()
        try:
            if kind.act(scene, dice):
                process = scene.start()
            struck.append(kind.name)
            excused += [(began - MOMENT_S, time.monotonic() + MOMENT_S)] * kind.costs
        except Missed:
            tally.missed += 1
    over, before, seconds = time.monotonic(), len(scene.records()), None
    while (more := len(scene.records()) - before) < 2 and process.poll() != 0:
        seconds = time.monotonic() - over if more and seconds is None else seconds
        if process.poll() is not None and _ended_early(scene, process.returncode, tally):
            process = scene.start()
        if time.monotonic() - over > TIME_OUT_S:
            raise Hung(f"no two records within {TIME_OUT_S:.0f} s: {scene.said()[-2000:]}")
        time.sleep(0.02)
    tally.enter(struck, time.monotonic() - over if seconds is None else seconds)
    return process


def _ended_early(scene: Scene, code: int, tally: Tally) -> bool:
    """Whether the run ended by itself with the board out of reach: said, saved, and to be started again."""
    if code == 0:
        return False
    if code != 3 or "board.yaml" not in scene.said():
        raise Hung(f"exit status {code}: {scene.said()[-2000:]}")
    tally.ended += 1
    return True


def _at_a_random_moment(scene: Scene, process: subprocess.Popen[bytes], dice: random.Random) -> None:
    """Soon after a phase has begun or ended."""
    phase = dice.choice(PHASES)
    before = sum(line["what"] == phase for line in scene.ledger())
    wait_for(
        lambda: sum(line["what"] == phase for line in scene.ledger()) > before or process.poll() is not None,
        f"{phase}: {scene.said()[-2000:]}",
        TIME_OUT_S,
    )
    time.sleep(dice.uniform(0.0, 0.25))


def _median_and_worst(seconds: Sequence[float]) -> tuple[str, str]:
    return (f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}") if seconds else ("–", "–")


def _told(tally: Tally, *, minutes: float) -> str:
    rows = [("fault", "count", "median s", "worst s")]
    for name, count in sorted(tally.count.items()):
        rows.append((name, str(count), *_median_and_worst(tally.recovered_s.get(name, []))))
    every = [one for seconds in tally.recovered_s.values() for one in seconds]
    rows.append(("all", str(tally.count.total()), *_median_and_worst(every)))
    lines = [f"{name:<42}{count:>6}{median:>10}{worst:>9}" for name, count, median, worst in rows]
    lines += [f"{tally.studies} studies of {TRIALS} candidates in {minutes:.1f} minutes"]
    lines += [f"ended with exit status 3 and went on when started again: {tally.ended}"]
    for words in (*tally.lost, *tally.doubled, *tally.hung, *tally.blamed):
        lines.append(f"  {words}")
    lines.append(f"innocent candidates blamed = {len(tally.blamed)}")
    lines.append(f"lost / doubled / hung = {len(tally.lost)} / {len(tally.doubled)} / {len(tally.hung)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
