"""Which distinct pieces of work candidates need, stage by stage, and how many of them a number of trials will.

Candidates share work: a pruned network serves every precision, an engine every number of threads. Which candidates a
search will ask for is not known; what the fewest and the most pieces are is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from explorer.pipeline import Stage
from explorer.space import ENGINE_AXES, Candidate

BUILD, MEASURE = "build", "measure"
LOOK_UP = "look up"  # in a recorded table, instead of all the others
ON_BOARDS = (BUILD, MEASURE, LOOK_UP)  # what a host does not do
# Of a network; others come last.
ORDER = ("train", "prune", "finetune", "export", "quantise", "ranges", "cast", "preview")

Network = Callable[[Candidate], Stage | str]
Piece = tuple[str, str]  # a stage's name, and what tells it from others of the name


@dataclass(frozen=True)
class Need:
    """The work of one stage.

    Attributes:
        name: of the stage.
        serves: of each distinct piece that is still to be done, how many untried candidates it serves.
        done: how many pieces are done already.
        free: untried candidates that need none any more, or never did.
    """

    name: str
    serves: tuple[int, ...]
    done: int = 0
    free: int = 0

    def least(self, trials: int) -> int:
        """The fewest pieces with which so many of the candidates can be tried."""
        left, pieces = trials - self.free, 0
        for served in sorted(self.serves, reverse=True):
            if left <= 0:
                break
            left, pieces = left - served, pieces + 1
        return pieces

    def most(self, trials: int) -> int:
        """The most pieces that so many trials can need."""
        return min(trials, len(self.serves))


def needs(
    candidates: Sequence[Candidate],
    network: Network,
    *,
    done: Callable[[Stage], bool],
    built: Iterable[Candidate] = (),
) -> list[Need]:
    """What the candidates need, in the order in which it is done.

    Args:
        candidates: untried ones that are possible.
        network: the last stage of a candidate's network, or a file that needs none.
        done: whether a stage's outcome is there already.
        built: candidates whose engines are.
    """
    chains: dict[Hashable, list[Piece]] = {}
    known: dict[Piece, bool] = {}
    served: dict[str, Counter[str]] = {}
    for candidate in candidates:
        for name, key in _chain(candidate, network, chains, known, done):
            served.setdefault(name, Counter())[key] += 1
    names = sorted(served, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    found = [_need(name, served[name], known, len(candidates)) for name in names]
    engines = Counter(map(_engine, candidates))
    ready = engines.keys() & set(map(_engine, built))
    left = {key: count for key, count in engines.items() if key not in ready}
    found.append(Need(BUILD, tuple(left.values()), len(ready), len(candidates) - sum(left.values())))
    return [*found, Need(MEASURE, (1,) * len(candidates))]


def _chain(
    candidate: Candidate,
    network: Network,
    chains: dict[Hashable, list[Piece]],
    known: dict[Piece, bool],
    done: Callable[[Stage], bool],
) -> list[Piece]:
    """The pieces of a candidate's network; those of candidates with an equal one are looked up."""
    same = tuple(candidate.network.items())
    if same not in chains:
        chains[same] = []
        for stage in _stages(network(candidate)):
            chains[same].append(piece := (stage.name, _told(stage)))
            if piece not in known:
                known[piece] = done(stage)
    return chains[same]


def _need(name: str, counts: Mapping[str, int], known: Mapping[Piece, bool], candidates: int) -> Need:
    left = tuple(count for key, count in counts.items() if not known[name, key])
    return Need(name, left, len(counts) - len(left), candidates - sum(left))


def _stages(last: Stage | str) -> Iterator[Stage]:
    """Every stage up to the last one, what comes first first."""
    if isinstance(last, str):
        return
    for before in last.inputs.values():
        yield from _stages(before)
    yield last


def _told(source: Stage | str) -> str:
    """A stage and all before it as text, equal for equal work."""
    if isinstance(source, str):
        return source
    inputs = {role: _told(before) for role, before in source.inputs.items()}
    told: Collection[Any] = [source.name, dict(source.params), inputs]
    return json.dumps(told, sort_keys=True, default=str)


def _engine(candidate: Candidate) -> Hashable:
    return tuple((axis, candidate.all[axis]) for axis in ENGINE_AXES if axis in candidate.all)
