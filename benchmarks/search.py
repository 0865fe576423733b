"""How many evaluations, and how many hours, do samplers need to the same front? On spaces whose truth is known.

    python benchmarks/search.py --seeds 20 --workers 2 --plot plots

Problems: the four tables of `search_spaces/tx2` (real, two objectives, no noise) and families A, B and C of `families`
(synthetic, three objectives, noise, shared stages, impossible candidates; every seed is another board and another
network); `refusals` and `small` show what becomes of impossible candidates and of a space that is exhausted.

    sampler ──ask──► candidate ──► the problem's measurement, or refusal ──tell──► sampler
                         └─► true hypervolume of all that was asked so far / that of the whole space

Every sampler is asked through the program's own `Search`: an ask is a distinct candidate, the first one is the
baseline, a refusal is told as a violated constraint, and so is an accuracy below what the study demands. An evaluation
is an ask, refused or not. The samplers see noisy values; how far they have come is judged by true ones. Hours count
each stage once for all candidates that share it; a table has no stages but the measurement. `ours` is the sampler by
itself, `foretold` knows what an analytic model says, as it does in the program; both choose per second `by time`. Of a
table no model says anything.

It exits with 1 when a bar is missed. A bar is judged where both of its sides, and `ours`, have
been run.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path

from contest import MINE, PEERS, SAMPLERS, SLOW, Course, Goal, contest, run_all
from families import FAMILIES, family
from families.problem import Problem
from families.recorded import recorded

from explorer.replay.course import UNTIL
from explorer.replay.summary import cost, median, share_at

TX2 = tuple(f"inceptionv3_{side}x{side}" for side in (200, 400, 600, 800))
CHECKPOINTS = (25, 50, 100, 200, 400)  # evaluations

# Bars. Evaluations to 99 %, ours / a peer's, at most: on a table, on a family.
TRIALS_ON_TX2 = {"tpe": 0.45, "nsga2": 0.25, "gp": 0.65}
TRIALS_ON_FAMILIES = {"tpe": 0.4, "nsga2": 0.2, "gp": 0.65}
SHARE_OF_TABLE = 0.06  # evaluations to 99 %, at most
HOURS_ON_FAMILIES = {"by time": 0.7, "foretold by time": 0.5}  # to 99 %, ours / the best peer's, at most
AFTER, SHARE_AFTER = 100, 0.97  # hypervolume on `refusals` after so many evaluations, at least

Courses = Mapping[str, Sequence[Course]]  # by sampler


@dataclass(frozen=True)
class Job:
    """One search to run."""

    problem: str
    sampler: str
    seed: int
    budget: int

    @property
    def of(self) -> tuple[str, str]:
        return self.problem, self.sampler


def run(job: Job) -> Course:
    found = problem(job.problem, job.seed)
    until = inf if job.problem == "small" else UNTIL
    least = AFTER if job.problem == "refusals" else 0
    return contest(found, job.sampler, job.seed, budget=job.budget, until=until, least=least)


@functools.lru_cache(maxsize=8)
def problem(name: str, seed: int) -> Problem:
    return family(name, seed) if name in FAMILIES else recorded(name)


GOALS = {
    "to 95 %": Goal(0.95, "evaluations"),
    "to 99 %": Goal(0.99, "evaluations"),
    "hours to 95 %": Goal(0.95, "hours"),
    "hours to 99 %": Goal(0.99, "hours"),
}


def table(name: str, courses: Courses) -> Iterator[str]:
    """A problem's results as Markdown."""
    seeds = ", ".join(f"{sampler} {len(all_)}" for sampler, all_ in courses.items())
    yield f"\n{name} ({next(iter(courses.values()))[0].size} candidates; seeds: {seeds})\n"
    yield f"| sampler | {' | '.join(GOALS)} | ms an ask | {' | '.join(f'at {n}' for n in CHECKPOINTS)} | refused |"
    yield "|---" * (len(GOALS) + len(CHECKPOINTS) + 3) + "|"
    for sampler, all_ in courses.items():
        cells = [cost(all_, goal).said(2 if goal.unit == "hours" else 0) for goal in GOALS.values()]
        cells.append(f"{median(all_, lambda course: course.ask_ms):.1f}")
        cells += [f"{share_at(all_, evaluations):.3f}" for evaluations in CHECKPOINTS]
        cells.append(f"{sum(course.refused / len(course.rows) for course in all_) / len(all_):.0%}")
        yield f"| {sampler} | {' | '.join(cells)} |"


def ratios(courses: Courses) -> Iterator[str]:
    """Each of ours against each peer, by medians."""
    for mine, peer in itertools.product(MINE, PEERS):
        if mine in courses and peer in courses:
            shown = (f"{what} {ratio(courses, mine, peer, goal):.2f}" for what, goal in GOALS.items())
            yield f"{mine} / {peer}: {', '.join(shown)}"


def ratio(courses: Courses, mine: str, peer: str, goal: Goal) -> float:
    """By medians; a peer that did not get there counts as if its last evaluation had brought it there."""
    theirs = median(courses[peer], goal.cost)
    return median(courses[mine], goal.cost) / (theirs if isfinite(theirs) else median(courses[peer], goal.least))


@dataclass(frozen=True)
class Verdict:
    """What a bar asks for, and whether it is kept; NaN keeps no bar."""

    what: str
    value: float
    most: float

    @property
    def kept(self) -> bool:
        return self.value <= self.most

    def __str__(self) -> str:
        return f"{'ok  ' if self.kept else 'MISS'} {self.what}: {self.value:.3g}   (bar {self.most:g})"


def verdicts(name: str, courses: Courses) -> Iterator[Verdict]:
    """All bars that can be judged on a problem with the samplers that have been run."""
    if "ours" not in courses:
        return
    mine = courses["ours"]
    yield Verdict(f"{name}: repeated evaluations", sum(course.repeated for course in mine), 0)
    if name == "refusals":
        yield Verdict(f"{name}: refused by a rule that was told", sum(course.refused_again for course in mine), 0)
        missing = 1 - share_at(mine, AFTER)
        yield Verdict(f"{name}: hypervolume missing after {AFTER}", missing, round(1 - SHARE_AFTER, 9))
    elif name == "small":
        yield Verdict(f"{name}: candidates left", sum(course.size - len(set(course.rows)) for course in mine), 0)
    else:
        yield from compared(name, courses)


def compared(name: str, courses: Courses) -> Iterator[Verdict]:
    """Against the peers."""
    trials, hours = GOALS["to 99 %"], GOALS["hours to 99 %"]
    bars = TRIALS_ON_TX2 if name in TX2 else TRIALS_ON_FAMILIES
    for mine, (peer, bar) in itertools.product(("ours", "foretold"), bars.items()):
        if mine in courses and peer in courses:
            yield Verdict(f"{name}: evaluations to 99 %, {mine} / {peer}", ratio(courses, mine, peer, trials), bar)
    if name in TX2:
        share = median(courses["ours"], trials.cost) / courses["ours"][0].size
        yield Verdict(f"{name}: share of the table to 99 %", share, SHARE_OF_TABLE)
        if "random" in courses:
            behind = max(share_at(courses["random"], n) - share_at(courses["ours"], n) for n in CHECKPOINTS)
            yield Verdict(f"{name}: hypervolume behind random, at worst", behind, 0)
    peers = [peer for peer in PEERS if peer in courses]
    for mine, bar in HOURS_ON_FAMILIES.items():
        if name not in TX2 and mine in courses and peers:
            best = max(ratio(courses, mine, peer, hours) for peer in peers)
            yield Verdict(f"{name}: hours to 99 %, {mine} / the best of {', '.join(peers)}", best, bar)


def main() -> int:
    args = arguments()
    seeds = {sampler: args.slow_seeds if sampler in SLOW else args.seeds for sampler in args.samplers}
    jobs = [
        Job(name, sampler, args.first_seed + seed, args.budget)
        for name in args.problems
        for sampler in args.samplers
        for seed in range(seeds[sampler])
    ]
    found = run_all(run, jobs, args.workers)
    for name, courses in found.items():
        print("\n".join([*table(name, courses), "", *ratios(courses)]))
    print()
    judged = [verdict for name, courses in found.items() for verdict in verdicts(name, courses)]
    print("\n".join(map(str, judged)))
    if args.plot:
        from explorer.replay.curves import figure

        args.plot.mkdir(parents=True, exist_ok=True)
        for name, courses in found.items():
            figure(name, courses).savefig(args.plot / f"{name}.png", dpi=120)
    return 0 if all(verdict.kept for verdict in judged) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare samplers on spaces whose truth is known.")
    everything = (*TX2, *FAMILIES)
    parser.add_argument("--problems", nargs="+", choices=everything, default=list(everything), metavar="NAME")
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=20, help="of each sampler but the slow ones")
    parser.add_argument("--slow-seeds", type=int, default=5, help=f"of {' and '.join(SLOW)}, which take seconds an ask")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=10_000, help="evaluations at most")
    parser.add_argument("--workers", type=int, default=2, help="processes, a core each")
    parser.add_argument("--plot", type=Path, help="folder for curves of hypervolume against evaluations and hours")
    args = parser.parse_args()
    if "qnehvi" in args.samplers and importlib.util.find_spec("botorch") is None:
        parser.error("qnehvi needs BoTorch, which is not installed: make .venv/.peers, or name other --samplers")
    return args


if __name__ == "__main__":
    sys.exit(main())
