"""Does racing make the front right, and are its probabilities what they say? On a synthetic board with known truth.

    python benchmarks/racing.py --studies 100

Each study draws 48 candidates in the manner of the quickstart (pruning × precision × runtime × batch × threads, each
with its own latency, watts and accuracy, near-ties among them) and spends the same device time twice:

    once      every candidate measured once, for as long as the time allows
    racing    every candidate measured once, briefly; the rest of the time goes to races of whoever is undecided

The board is arithmetic in virtual time; all that the host does with its raw series is the program's own code. Which
of a reading's 2 % are noise of what kind decides what can be gained, so there are several boards:

    drift     common to the board, coming and going within 20 s: a longer stay does not average it out
    stays     new each time an engine gets its turn: likewise
    runs      new each time an engine is loaded: a race is one run, so only more races average it out
    averaged  coming and going within 0.1 s: a longer stay does average it out

A point is an error when it is on the reported front and not on the true one, or the other way round. Probabilities
are judged by Brier's score and its parts (Murphy, J. Applied Meteorology 12, 1973): reliability, the smaller the
better calibrated; resolution; and the uncertainty that is there anyway.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explorer import pareto
from explorer.derivation import race as race_derivation
from explorer.ranking import next_race, standing
from explorer.result import Evaluation, Metric, Objective, Record
from explorer.statistics import Measurement, derive
from explorer.tally import wilson_interval

Floats = NDArray[np.float64]

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"), Objective("energy_mj", "min"))
CANDIDATES = 48
IDLE_S, LOAD_S, WINDOW_S, BLOCK_S, READING_S = 0.1, 0.3, 0.1, 0.1, 0.005
STAY_S = 1.0  # of the first measurement, when races follow
ROUNDS = 6
RACE_SHARE = 2.0  # the most device time for races, as a share of what the first measurements took
IDLE_W = 4.0


@dataclass(frozen=True)
class Noise:
    """Standard deviations of logarithms, the same for time and for power, each its own draw."""

    drift: float = 0.0
    drift_s: float = 20.0  # how long the board remembers
    stay: float = 0.003
    run: float = 0.003
    each: float = 0.02  # of every inference, and of every reading of the meter


BOARDS = {
    "drift": Noise(drift=0.02),
    "stays": Noise(stay=0.02),
    "runs": Noise(run=0.02),
    "averaged": Noise(drift=0.02, drift_s=0.1),
}


@dataclass(frozen=True)
class Truth:
    """Candidates as they are."""

    accuracy: Floats
    latency_s: Floats
    watts: Floats
    batch: NDArray[np.int64]

    @property
    def front(self) -> NDArray[np.bool_]:
        energy = self.latency_s * self.watts / self.batch
        return pareto.front(np.stack([self.accuracy, -self.latency_s, -energy], axis=1))


def candidates(rng: np.random.Generator, count: int) -> Truth:
    """A study's candidates: what the axes do to them, and a little of their own."""
    grid = list(itertools.product((0.0, 0.15, 0.3, 0.45, 0.6), (0, 1, 2), (0, 1), (1, 4, 16), (1, 2)))
    chosen = np.array([grid[i] for i in rng.choice(len(grid), count, replace=False)])
    prune, precision, runtime, batch, threads = chosen.T
    network = (prune * 10).astype(int) * 3 + precision.astype(int)
    lost = np.round(rng.gamma(1.0, 4.0, 64)[network] + 30 * prune**3 + 6 * (precision == 2)) / 360
    speed = (1 - prune) ** 0.8 * np.array([1.0, 0.85, 0.65])[precision.astype(int)] * np.where(runtime, 0.9, 1.0)
    own = np.exp(rng.normal(0, 0.06, count))
    latency = 1.6e-3 * speed * own * batch**0.93 * np.where(threads == 2, 0.62, 1.0)
    watts = (
        (6 + 5.5 * threads) * np.array([1.0, 0.97, 0.93])[precision.astype(int)] * np.exp(rng.normal(0, 0.05, count))
    )
    return Truth(0.99 - lost, latency, watts, batch.astype(np.int64))


class Wander:
    """A quantity that comes and goes around 0, in virtual time (Ornstein and Uhlenbeck)."""

    def __init__(self, sd: float, memory_s: float, rng: np.random.Generator) -> None:
        self._sd, self._memory_s, self._rng = sd, memory_s, rng
        self._value = sd * rng.standard_normal()

    def along(self, seconds: Floats) -> Floats:
        """Its value after each of several steps."""
        kept = np.exp(-seconds / self._memory_s)
        fresh = self._sd * np.sqrt(1 - kept**2) * self._rng.standard_normal(len(seconds))
        values = np.empty(len(seconds))
        for i, (keep, new) in enumerate(zip(kept.tolist(), fresh.tolist(), strict=True)):
            values[i] = self._value = keep * self._value + new
        return values


@dataclass
class Board:
    """The board: what it would measure, and how much of its time is gone."""

    truth: Truth
    noise: Noise
    rng: np.random.Generator
    now_s: float = 0.0
    wanders: tuple[Wander, Wander] = field(init=False)

    def __post_init__(self) -> None:
        self.wanders = tuple(Wander(self.noise.drift, self.noise.drift_s, self.rng) for _ in range(2))  # type: ignore[assignment]

    def measure(self, candidate: int, stay_s: float) -> Measurement:
        """Windows of one candidate."""
        count = max(5, round(stay_s / WINDOW_S))
        return self._run([candidate], [0] * count, WINDOW_S, one_stay=True)

    def race(self, lineup: Sequence[int], rounds: int) -> Measurement:
        """Interleaved blocks of several candidates."""
        order = [int(entrant) for _ in range(rounds) for entrant in self.rng.permutation(len(lineup))]
        return self._run(lineup, order, BLOCK_S, one_stay=False)

    def _run(self, lineup: Sequence[int], order: Sequence[int], turn_s: float, *, one_stay: bool) -> Measurement:
        """Load the engines, then give each its turns, at least one inference long."""
        noise, rng, who, turns = self.noise, self.rng, np.array(order), len(order)
        began = self.now_s
        start = began + IDLE_S + LOAD_S * len(lineup)
        runs = rng.normal(0, noise.run, (2, len(lineup)))[:, who]
        stays = rng.normal(0, noise.stay, (2, 1 if one_stay else turns)) * np.ones((2, turns))
        true_s, true_w = (values[np.array(lineup)][who] for values in (self.truth.latency_s, self.truth.watts))
        steps = np.maximum(turn_s, true_s)
        for wander in self.wanders:
            wander.along(np.array([start - began]))
        slow, hot = (w.along(steps) + r + s for w, r, s in zip(self.wanders, runs, stays, strict=True))
        each_s, watts = true_s * np.exp(slow), true_w * np.exp(hot)
        counts = np.maximum(1, np.round(turn_s / each_s)).astype(np.int64)
        latency_s = np.repeat(each_s, counts) * np.exp(rng.normal(0, noise.each, int(counts.sum())))
        ends = start + np.cumsum(np.add.reduceat(latency_s, np.cumsum(counts) - counts))
        starts = np.concatenate(([start], ends[:-1]))
        self.now_s = float(ends[-1]) + IDLE_S
        named = {"start_s": starts, "end_s": ends, "count": counts.astype(np.float64), "cpu_s": ends - starts}
        kind, empty = ("window", "block") if one_stay else ("block", "window")
        series: dict[str, Floats] = {f"{kind}_{name}": data for name, data in named.items()}
        series |= {f"{empty}_{name}": np.empty(0) for name in named} if not one_stay else {}
        series["latency_s"] = latency_s if one_stay else np.empty(0)
        if not one_stay:
            series["block_latency_s"] = latency_s
            series["block_entrant"] = who.astype(np.float64)
            series["block_round"] = np.arange(turns) // len(lineup) * 1.0
        series |= self._power(began, starts, ends, watts)
        return Measurement(_header([str(number) for number in lineup]), series)

    def _power(self, began: float, starts: Floats, ends: Floats, watts: Floats) -> dict[str, Floats]:
        """The meter's readings: idle, then what each turn draws, then idle."""
        times = np.arange(began, self.now_s + READING_S, READING_S)
        turn = np.searchsorted(starts, times, side="right") - 1
        drawn = np.where((turn >= 0) & (times <= ends[-1]), watts[np.maximum(turn, 0)], IDLE_W)
        return {
            "meter_time_s": times,
            "meter_0": drawn * np.exp(self.rng.normal(0, self.noise.each, len(times))),
            "idle_s": np.array([began, began + IDLE_S]),
            "idle_after_s": np.array([ends[-1], self.now_s]),
        }


def _header(engines: list[str]) -> dict[str, Any]:
    meter = {"name": "synthetic", "quantity": "W", "rails": ["total"], "estimated": False}
    entrants = [{"engine": engine, "deployment": {}} for engine in engines]
    return {"flags": [], "estimated": False, "meter": meter, "entrants": entrants, "load_s": LOAD_S, "first_s": 0.0}


# A study in two ways


@dataclass(frozen=True)
class Judged:
    """What a study came to: errors of a front, and probabilities beside what is true."""

    errors: int
    front: int
    probability: Floats
    truth: NDArray[np.bool_]
    device_s: float
    races: int = 0


def record(board: Board, candidate: int, stay_s: float) -> Record:
    """A candidate measured as a trial of a study is."""
    batch = int(board.truth.batch[candidate])
    metrics, _, flags = derive(board.measure(candidate, stay_s), batch=batch)
    metrics["accuracy"] = Metric(float(board.truth.accuracy[candidate]))
    return Record(candidate, "complete", {"batch": batch}, "synthetic", "", 0.0, Evaluation(metrics, flags=flags))


def race(board: Board, lineup: Sequence[int], number: int) -> dict[str, Any]:
    """The line that a race leaves in races.jsonl."""
    entrants = [race_derivation.Entrant(trial, int(board.truth.batch[trial])) for trial in lineup]
    read = race_derivation.readings(board.race(lineup, ROUNDS), entrants)
    return {"race": number, "trials": list(lineup), "flags": [], "readings": read}


def judge(board: Board, records: Sequence[Record], races: Sequence[dict[str, Any]] = ()) -> Judged:
    told, front = standing(records, OBJECTIVES, races=races), board.truth.front
    reported = np.isin(np.arange(len(front)), told.front)
    probability = np.array([told.probability[number] for number in range(len(front))])
    return Judged(int((reported != front).sum()), int(front.sum()), probability, front, board.now_s, len(races))


@dataclass(frozen=True)
class Ways:
    """A study with the device time of races spent on measuring all once, at length; before its races; and after."""

    once: Judged
    brief: Judged
    raced: Judged


def study(noise: Noise, seed: int, *, count: int = CANDIDATES) -> Ways:
    """One study, each way; both boards are the same but for their luck."""
    truth = candidates(np.random.default_rng([seed, 0]), count)
    racing = Board(truth, noise, np.random.default_rng([seed, 1]))
    records = [record(racing, candidate, STAY_S) for candidate in range(len(truth.batch))]
    brief = judge(racing, records)
    until_s, races = racing.now_s * (1 + RACE_SHARE), list[dict[str, Any]]()
    while racing.now_s < until_s and (lineup := next_race(standing(records, OBJECTIVES, races=races))):
        races.append(race(racing, lineup, len(races)))
    raced = judge(racing, records, races)
    once = Board(truth, noise, np.random.default_rng([seed, 2]))
    longer = STAY_S + (racing.now_s - brief.device_s) / len(records)
    return Ways(judge(once, [record(once, candidate, longer) for candidate in range(len(records))]), brief, raced)


# What many studies say together


@dataclass(frozen=True)
class Brier:
    """Murphy's parts of Brier's score, and for each tenth of probability how many, what was said and what was so."""

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    bins: tuple[tuple[int, float, float], ...]

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> Brier:
        said, so = (
            np.concatenate([np.asarray(getattr(j, n), float) for j in judged]) for n in ("probability", "truth")
        )
        tenth = np.clip((said * 10).astype(int), 0, 9)
        groups = [(said[tenth == k], so[tenth == k]) for k in range(10)]
        bins = tuple((len(p), float(p.mean()), float(t.mean())) if len(p) else (0, 0.0, 0.0) for p, t in groups)
        base, count = float(so.mean()), len(said)
        reliability = sum(n * (p - t) ** 2 for n, p, t in bins) / count
        resolution = sum(n * (t - base) ** 2 for n, _, t in bins) / count
        return cls(float(((said - so) ** 2).mean()), reliability, resolution, base * (1 - base), bins)

    def plot(self) -> str:
        """Said against so: a line a tenth; `|` where what was said lies, `o` what was so, `-` its 95 % reach."""
        lines = ["said   so     count  0" + " " * 23 + "0.5" + " " * 24 + "1"]
        for count, said, so in self.bins:
            if count:
                low, high = wilson_interval(so * count, count)
                marks = {**dict.fromkeys(range(round(low * 50), round(high * 50) + 1), "-"), round(said * 50): "|"}
                line = "".join("o" if at == round(so * 50) else marks.get(at, " ") for at in range(51))
                lines.append(f"{said:.3f}  {so:.3f}  {count:5d}  {line}".rstrip())
        return "\n".join(lines)


def report(board: str, studies: Sequence[Ways]) -> str:
    """A row of the table of errors, and the judgement of the probabilities before and after the races."""
    once, brief, raced = ([getattr(ways, name) for ways in studies] for name in ("once", "brief", "raced"))
    errors = [sum(judged.errors for judged in way) for way in (once, brief, raced)]
    device = [float(np.mean([judged.device_s for judged in way])) for way in (once, brief, raced)]
    races, ratio = np.mean([judged.races for judged in raced]), errors[2] / max(errors[0], 1)
    lines = [
        f"## {board}: {BOARDS[board]}",
        f"{len(studies)} studies; {np.mean([j.front for j in once]):.1f} points on the true front; {races:.1f} races",
        f"device time: once {device[0]:.0f} s, before the races {device[1]:.0f} s, with them {device[2]:.0f} s",
        f"errors: once {errors[0]}, before the races {errors[1]}, after {errors[2]}: {ratio:.2f} of once",
    ]
    for name, way in (("before the races", brief), ("after", raced)):
        b = Brier.of(way)
        parts = f"reliability {b.reliability:.4f}, resolution {b.resolution:.4f}, uncertainty {b.uncertainty:.4f}"
        lines += [f"Brier's score {name}: {b.score:.4f} ({parts})", b.plot()]
    return "\n".join(lines)


def _study(job: tuple[str, int]) -> Ways:
    return study(BOARDS[job[0]], job[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--boards", nargs="+", choices=[*BOARDS], default=[*BOARDS])
    wanted = parser.parse_args()
    with ProcessPoolExecutor() as workers:
        for board in wanted.boards:
            jobs = [(board, seed) for seed in range(wanted.studies)]
            print(report(board, list(workers.map(_study, jobs, chunksize=5))), flush=True)


if __name__ == "__main__":
    main()
