"""How long does an ask of `front` take, and how much memory, on the largest spaces that it is made for?

    python benchmarks/asks.py

The problem is family B of `families` on more axes: accuracy (with a limit), throughput and energy on 8 axes, 10,368 and
20,736 candidates, of which some are impossible.

    candidates drawn at random ──► records ──► a study that goes on ──ask, tell── … ──► seconds of each ask
                                                   └─► the same with a peer of Optuna

A study goes on with some results less than a milestone at which scales are learned again, and passes it: of those asks
the worst is told apart as *refit*. The first ask of a study that goes on is another one, *restarted*: everything is
worked out at once. Processor time is told as well, for whoever shares the machine. Memory is the process' largest. A
study is a process of its own and begins with as many threads as there are cores, as the program does; peers are told of
the same records, and asked fewer times.

It exits with 1 when a bar is missed; refits are judged, restarts are not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from contest import OURS
from families import FAMILIES, family
from families.problem import Problem

from explorer.result import Record
from explorer.search.proposer import milestone
from explorer.search.search import Search
from explorer.space import Axis

RATIOS = tuple(round(0.05 * step, 2) for step in range(16))
EARLY = 5  # results before a milestone, at which a study goes on


@dataclass(frozen=True)
class Size:
    """A space, and how much is known of it.

    Attributes:
        name: of the family that is made for it.
        ratios: pruning ratios.
        results: that are known, at least.
        most_s: bar of an ask.
        peers: and how often each is asked.
    """

    name: str
    ratios: tuple[float, ...]
    results: int
    most_s: float
    peers: Mapping[str, int]

    @property
    def known(self) -> int:
        """Results that a study goes on with: some less than the next milestone."""
        return next(many for many in range(self.results, 2 * self.results) if learns(many + EARLY))


SIZES = {
    "10,368": Size("asks 10,368", RATIOS[::2], 300, 0.3, {"tpe": 10, "gp": 1}),
    "20,736": Size("asks 20,736", RATIOS, 1000, 1.0, {"tpe": 10}),
}
MOST_MB = 1000


@dataclass(frozen=True)
class Asks:
    """What the asks of a study took.

    Attributes:
        restarted: seconds of the first one.
        refit: seconds of the one that learned scales again; 0 for peers.
        seconds: of all others.
        busy: processor seconds of the median one, and of the one that took most, refits included.
        peak_mb: the process' largest memory.
    """

    restarted: float
    refit: float
    seconds: Sequence[float]
    busy: tuple[float, float]
    peak_mb: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def problem(size: Size) -> Problem:
    """Family B with more pruning ratios and multiples of channels, and one batch size that is not there."""
    wider = {"prune_ratio": size.ratios, "round_to": (4, 8, 16), "batch": (1, 4, 8, 16)}
    axes = tuple(Axis(axis.name, wider.get(axis.name, axis.values)) for axis in FAMILIES["B"].axes)
    FAMILIES[size.name] = replace(FAMILIES["B"], axes=axes)
    return family(size.name, 1)


def study(size: Size, sampler: str, asks: int) -> Asks:
    """Let a study go on for so many asks."""
    found = problem(size)
    records = list(known(found, size.known))
    told = {"constraints": found.constraints, "impossible": found.known_impossible}
    search = Search(found.space, found.objectives, sampler=sampler, seed=0, records=records, **told)  # type: ignore[arg-type]
    seconds, refits, busy, results, new = [], [], [], size.known, False
    for number in range(len(records), len(records) + asks + 1):
        begun, worked = time.perf_counter(), time.process_time()
        candidate = search.ask()
        took_s = time.perf_counter() - begun
        busy.append(time.process_time() - worked)
        assert candidate is not None, "a space of that size is not exhausted"
        (refits if seconds and new and learns(results) else seconds).append(took_s)
        row = found.rows[candidate.key]
        record = found.record(number, row, np.random.default_rng([0, row]))
        search.tell(candidate, record)
        new = measured(record)
        results += new
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    worked = statistics.median(busy[1:]), max(busy[1:])
    return Asks(seconds[0], max(refits, default=0.0), seconds[1:], worked, peak_mb)


def known(found: Problem, results: int) -> Iterator[Record]:
    """Records of candidates drawn at random, with so many results among them."""
    possible = [row for row in range(found.size) if found.space.candidates[row].key not in found.known_impossible]
    for number, row in enumerate(np.random.default_rng(0).permutation(possible).tolist()):
        if results > 0:
            record = found.record(number, row, np.random.default_rng([0, row]))
            yield record
            results -= measured(record)


def learns(results: int) -> bool:
    """Whether an objective's scales are learned again as soon as so many results are known."""
    return any(milestone(results, j) != milestone(results - 1, j) for j in range(3))


def measured(record: Record) -> bool:
    return bool(record.metrics)


def apart(size: Size, sampler: str, asks: int) -> Asks:
    """The same in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(study, size, sampler, asks).result()


def judged(name: str, size: Size, asks: int) -> bool:
    """Print what asks take on a space; whether its bars are kept."""
    ours = apart(size, OURS, asks)
    worst = max(*ours.seconds, ours.refit)
    print(f"\n{name} candidates, {size.known} to {size.known + asks} results, {asks} asks")
    print(
        f"  median {ours.median:.3f} s, 95 % {np.quantile(ours.seconds, 0.95):.3f} s, worst {max(ours.seconds):.3f} s"
    )
    print(f"  refit {ours.refit:.3f} s, restarted {ours.restarted:.3f} s, {ours.peak_mb:.0f} MB")
    print(f"  processor time: median {ours.busy[0]:.3f} s, worst {ours.busy[1]:.3f} s, refit included", flush=True)
    for peer, times in size.peers.items():
        theirs = apart(size, peer, times)
        print(f"  ours / {peer}: {ours.median / theirs.median:.2g} ({theirs.median:.3f} s, {theirs.peak_mb:.0f} MB)")
    bars = {f"{name}: worst ask, refits included, s": (worst, size.most_s), f"{name}: MB": (ours.peak_mb, MOST_MB)}
    for what, (value, most) in bars.items():
        print(f"{'ok  ' if value <= most else 'MISS'} {what}: {value:.3g}   (bar {most:g})", flush=True)
    return all(value <= most for value, most in bars.values())


def main() -> int:
    args = arguments()
    kept = [judged(name, SIZES[name], args.asks) for name in args.sizes]
    return 0 if all(kept) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How long an ask takes on large spaces.")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), metavar="CANDIDATES")
    parser.add_argument("--asks", type=int, default=40)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
