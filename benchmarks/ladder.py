"""How many hours does it save to try candidates in steps, the cheap ones first, and to stop who has no chance?

    python benchmarks/ladder.py --seeds 20 --workers 2

    by trials   one fidelity, the best candidate next
    by time     one fidelity, the best candidate per second next
    foretold    the same, with what an analytic model says of speed and energy: biased, and free
    ladder      the same, and a candidate ends where its chance of not being dominated is below `HOPELESS`:
                once its network is made, by the host's accuracy on a subset; after a short bench of 4 s, with three
                times the noise of a full one, which takes another 16 s

The problems are the families A, B and C of `families`; hours count every stage once for all that share it. Only what
was measured in full counts as found. What made networks would allow, were all their candidates measured, is told
beside: what is missing there no fidelity after fine-tuning can find.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from contest import OURS, run_all
from families import family
from families.problem import MEASURE_S, SHORT_S, Problem

from explorer.evaluate.ladder import HOPELESS
from explorer.pareto import hypervolume
from explorer.replay.course import Progress
from explorer.replay.summary import quantile
from explorer.result import Metric, Record
from explorer.search.search import Search
from explorer.space import Candidate

KINDS = ("by trials", "by time", "foretold", "ladder")
SHARES = (0.9, 0.95, 0.99)
MOST = 0.5  # of the hours to 95 % of one fidelity by trials: the bar


@dataclass(frozen=True)
class Job:
    """One search to run."""

    family: str
    kind: str
    seed: int
    until: float

    @property
    def of(self) -> tuple[str, str]:
        return self.family, self.kind


@dataclass(frozen=True)
class Climb:
    """A search, step by step.

    Attributes:
        rows: of the candidates, in the order in which they were tried.
        shares: of the full hypervolume, after each.
        seconds: that all until then have taken.
        made: the share that the networks made until then would allow.
        stopped: how many candidates were stopped early, by the host and after a short bench.
    """

    rows: Sequence[int]
    shares: Sequence[float]
    seconds: Sequence[float]
    made: Sequence[float]
    stopped: tuple[int, int]

    def hours(self, share: float) -> float:
        """Until it came to a share; infinite where it did not."""
        spent = (s for s, got in zip(self.seconds, self.shares, strict=True) if got >= share)
        return next(spent, float("inf")) / 3600


def run(job: Job) -> Climb:
    problem = family(job.family, job.seed)
    search = Search(
        problem.space,
        problem.objectives,
        sampler=OURS,
        seed=job.seed,
        constraints=problem.constraints,
        impossible=problem.known_impossible,
        by_time=job.kind != "by trials",
        prior=problem.foretells if job.kind in ("foretold", "ladder") else None,
    )
    trying = Trying(problem, search, job.seed, stops=job.kind == "ladder")
    progress = Progress(problem)
    rows: list[int] = []
    shares: list[float] = []
    seconds: list[float] = []
    while progress.share < job.until and (candidate := search.ask()) is not None:
        row, found = problem.rows[candidate.key], trying.record(candidate)
        search.tell(candidate, found)
        search.rule_out(found.because)
        rows.append(row)
        shares.append(progress.add(row) if trying.in_full else progress.share)
        seconds.append(trying.spent_s)
    return Climb(rows, shares, seconds, trying.made, (trying.by_host, trying.by_short))


class Trying:
    """Candidates are tried, and what that takes is counted."""

    def __init__(self, problem: Problem, search: Search, seed: int, *, stops: bool) -> None:
        self._problem, self._search, self._seed, self._stops = problem, search, seed, stops
        self._done: set[tuple[str, int]] = set()
        self._networks = np.zeros(problem.size, dtype=np.bool_)
        self.spent_s, self.by_host, self.by_short, self.in_full = 0.0, 0, 0, True
        self.made: list[float] = []

    def record(self, candidate: Candidate) -> Record:
        """How a study writes it down, whatever becomes of it."""
        problem, row = self._problem, self._problem.rows[candidate.key]
        number, rng = len(self.made), np.random.default_rng([self._seed, row])
        whole = problem.record(number, row, rng)
        *shared, _ = problem.stages
        hope = self._search.prospect(candidate) if self._stops and problem.possible[row] else None
        self.in_full = False
        for place, stage in enumerate(shared):
            if hope is not None and stage.name == "build":
                found = {"accuracy": self._by_host(row)}
                if hope.chance(found) < HOPELESS:
                    self.by_host += 1
                    return self._ended(row, _stopped(whole, found, self._problem.subset))
            if problem.reached[row] > place:
                self._spend(stage.name, int(stage.keys[row]), stage.seconds)
        if hope is not None:
            self.spent_s += SHORT_S
            found = self._short(row, rng)
            if hope.chance(found) < HOPELESS:
                self.by_short += 1
                return self._ended(row, _stopped(whole, found, 0))
        if problem.reached[row] > len(shared):
            self.spent_s += MEASURE_S - (SHORT_S if hope is not None else 0.0)
        self.in_full = True
        return self._ended(row, whole)

    def _spend(self, name: str, key: int, seconds: float) -> None:
        if (name, key) not in self._done:
            self._done.add((name, key))
            self.spent_s += seconds

    def _ended(self, row: int, record: Record) -> Record:
        networks = self._problem.stages[0].keys
        if not self._networks[row]:
            self._networks |= networks == networks[row]
        self.made.append(self._allowed() if not self.made or len(self.made) % 10 == 9 else self.made[-1])
        return record

    def _allowed(self) -> float:
        problem = self._problem
        return hypervolume(problem.gains[self._networks & problem.possible], problem.reference) / problem.full

    def _by_host(self, row: int) -> Metric:
        """The same whenever it is asked of the same network."""
        network, precision = self._problem.stages[0].keys[row], self._problem.space.candidates[row].params["precision"]
        rng = np.random.default_rng([self._seed, int(network), *str(precision).encode()])
        return _with_interval(self._problem.host_accuracy(row, rng), self._problem.subset)

    def _short(self, row: int, rng: np.random.Generator) -> dict[str, Metric]:
        """Without accuracy: the outputs are compared after the full measurement."""
        off = 1.96 * 3 * self._problem.noise.relative
        read = self._problem.measure(row, rng, short=True)
        told = {metric: value for metric, value in read.items() if metric != "accuracy"}
        return {metric: Metric(value, value * (1 - off), value * (1 + off)) for metric, value in told.items()}


def _with_interval(share: float, of: int) -> Metric:
    off = 1.96 * float(np.sqrt(max(share * (1 - share), 1 / of) / of))
    return Metric(share, share - off, share + off)


def _stopped(whole: Record, found: dict[str, Metric], samples: int) -> Record:
    """Stopped by what was found until then, an accuracy on so many samples."""
    part = {name: samples for name in found if samples}
    evaluation = replace(whole.evaluation, metrics=found, previewed=part)
    return replace(whole, state="dominated", evaluation=evaluation, constraints={})


def judged(name: str, climbs: dict[str, list[Climb]]) -> Iterator[tuple[str, bool]]:
    """A family's results in words, and whether its bar is kept, where there is something to compare with."""
    single = [climb.hours(0.95) for climb in climbs.get("by trials", ())]
    for kind, all_ in climbs.items():
        spans = []
        for share in SHARES:
            low, middle, high = (quantile([climb.hours(share) for climb in all_], q) for q in (0.25, 0.5, 0.75))
            spans.append(f"{share:.0%} {middle:.2f} ({low:.2f}, {high:.2f}) h" if isfinite(high) else f"{share:.0%} –")
        ended = ", ".join(
            f"{np.mean([climb.stopped[k] for climb in all_]):.1f} {by}"
            for k, by in enumerate(("by the host", "after a short bench"))
        )
        made = quantile([climb.made[min(29, len(climb.made) - 1)] for climb in all_], 0.5)
        words = f"{name} {kind}: {'; '.join(spans)}; {len(all_)} seeds; stopped {ended}; made after 30: {made:.3f}"
        if not single:
            yield words, True
            continue
        ratio = quantile([climb.hours(0.95) for climb in all_], 0.5) / quantile(single, 0.5)
        kept = kind != "ladder" or ratio <= MOST
        yield f"{words}; hours to 95 % / by trials {ratio:.2f}" + ("" if kept else f"   MISS (bar {MOST:g})"), kept


def main() -> int:
    args = arguments()
    jobs = [
        Job(name, kind, args.first_seed + seed, args.until)
        for name in args.families
        for seed in range(args.seeds)
        for kind in args.kinds
    ]
    found = run_all(run, jobs, args.workers)
    told = [one for name, climbs in found.items() for one in judged(name, climbs)]
    print("\n".join(words for words, _ in told))
    return 0 if all(kept for _, kept in told) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What it saves to try candidates in steps.")
    parser.add_argument("--families", nargs="+", default=["A", "B", "C"], choices=["A", "B", "C"])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--until", type=float, default=0.95, help="share of the hypervolume at which a search ends")
    parser.add_argument("--workers", type=int, default=2, help="processes, a core each")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
