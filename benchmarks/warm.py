"""How many evaluations does it save to learn from an earlier study, and how many does a useless one cost?

    python benchmarks/warm.py --seeds 20 --workers 2

The problems are the families A, B and C of `families`. An earlier study is a search of its own with as many records as
`--records` says, as noisy as any:

    cold       nothing is known
    sibling    the same network on another board
    stranger   another network on another board of the family: much of how it behaves is the same all the same
    nonsense   the sibling's figures, shuffled among its candidates

Evaluations are counted as in `benchmarks/search.py`. It exits with 1 when a bar is missed; a bar is judged on the
medians over the seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from contest import OURS, run_all
from families import family
from families.problem import Problem

from explorer.replay.course import Course, Goal, search_through
from explorer.replay.summary import cost, median
from explorer.result import Record

GOAL = Goal(0.95, "evaluations")
OTHER = 1000  # added to a seed: that of another board, or network
KINDS = ("cold", "sibling", "stranger", "nonsense")
# Bars: evaluations to the goal as a share of those when cold.
MOST = {"sibling": 0.7, "stranger": 1.05, "nonsense": 1.05}


@dataclass(frozen=True)
class Job:
    """One search to run."""

    family: str
    kind: str
    seed: int
    records: int
    sampler: str

    @property
    def of(self) -> tuple[str, str]:
        return self.family, self.kind


def run(job: Job) -> Course:
    found = family(job.family, job.seed)
    earlier = [] if job.kind == "cold" else [records_of(other(job), job)]
    return search_through(found, OURS, job.seed, budget=found.size, until=GOAL.share, earlier=earlier)


def other(job: Job) -> Problem:
    """What the earlier study was of."""
    board = job.seed + OTHER
    return family(job.family, board if job.kind == "stranger" else job.seed, board=board)


def records_of(problem: Problem, job: Job) -> list[Record]:
    """What a study of this problem has written down."""
    course = search_through(problem, job.sampler, job.seed, budget=job.records, until=inf)
    draws = ((number, row, np.random.default_rng([job.seed, row])) for number, row in enumerate(course.rows))
    found = [problem.record(*draw) for draw in draws]
    return found if job.kind != "nonsense" else shuffled(found, np.random.default_rng(job.seed))


def shuffled(records: Sequence[Record], rng: np.random.Generator) -> list[Record]:
    """Those that were measured, each with the figures of another."""
    measured = [record for record in records if record.metrics]
    order = rng.permutation(len(measured)).tolist()
    return [replace(one, evaluation=measured[k].evaluation) for one, k in zip(measured, order, strict=True)]


Courses = Mapping[str, Sequence[Course]]  # by kind


def judged(name: str, courses: Courses) -> bool:
    """Print a family's results; whether its bars are kept."""
    cold = median(courses["cold"], GOAL.cost)
    for kind, all_ in courses.items():
        print(f"{name} {kind}: {cost(all_, GOAL).said(0)} evaluations to 95 %, {len(all_)} seeds")
    shares = {kind: median(courses[kind], GOAL.cost) / cold for kind in MOST}
    for kind, share in shares.items():
        kept = "ok  " if share <= MOST[kind] else "MISS"
        print(f"{kept} {name}: {kind} / cold: {share:.3g}   (bar {MOST[kind]:g})")
    return all(share <= MOST[kind] for kind, share in shares.items())


def main() -> int:
    args = arguments()
    jobs = [
        Job(name, kind, args.first_seed + seed, args.records, args.earlier)
        for name in args.families
        for seed in range(args.seeds)
        for kind in KINDS
    ]
    found = run_all(run, jobs, args.workers)
    kept = [judged(name, courses) for name, courses in found.items()]
    return 0 if all(kept) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What an earlier study saves, and what a useless one costs.")
    parser.add_argument("--families", nargs="+", choices=("A", "B", "C"), default=["A", "B", "C"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--records", type=int, default=100, help="of the earlier study")
    parser.add_argument("--earlier", choices=(OURS, "random"), default=OURS, help="the sampler of the earlier study")
    parser.add_argument("--workers", type=int, default=2, help="processes, a core each")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
