"""Ask and tell: candidates out, records in. What Optuna holds is rebuilt from the records, never the other way round.

How an ending is told:

    complete     the objectives' values (logarithms where ratios matter) and the constraints' violations
    dominated    a finished trial with the values of the objectives that were measured by then; nothing is violated
    infeasible   a finished trial whose constraints are violated; an objective that was not measured takes the worst
                 value seen so far (0 while nothing was): the sampler learns from the violation, not from the number
    failed       a failed trial: nothing is learned, and the candidate is not proposed again
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from explorer.result import Constraint, Objective, Record
from explorer.search import SAMPLERS, at_work
from explorer.search.distinct import Distinct, Grid
from explorer.search.hope import Hope
from explorer.search.outcomes import ROUGH, UNMEASURED
from explorer.search.prices import Prices
from explorer.search.quantities import (
    OF_NETWORKS,
    OF_THE_ENGINE,
    SCORES,
    SIZED_BY,
    foretold_by_model,
    gain_and_sd,
    scaled,
    sizes_by_model,
    value_of,
    violation_of,
)
from explorer.search.sampler import FrontSampler, Knowing, Known, Size
from explorer.search.transfer import foretold, told_by
from explorer.space import DEPLOYMENT_AXES, NETWORK_AXES, Candidate, Params, Space

optuna.logging.set_verbosity(optuna.logging.WARNING)  # what is worth a line is told by whoever asks

# Whether a board can be had in a mode depends on how it is set up, which somebody may have changed since a run ended:
# what a trial has shown of these axes holds for the run.
ASKED_ANEW = frozenset(("power_mode",))

# What a model says of a candidate: metric → value in its unit.
Prior = Callable[[Candidate], Mapping[str, float]]


class Search:
    """A sampler over one space.

    Attributes:
        sampler: the one that is at work: of a large space "auto" leaves the choice to tpe.

    Args:
        records: what earlier sessions of this study found; they count as told.
        by_time: time is what is short, not trials: candidates whose stages are done already come earlier.
        constraints: that records will tell of; one that nobody names beforehand counts as well.
        impossible: keys of candidates that are known to be so: they are never asked for.
        earlier: records of other studies, study by study; `front` learns from them what they are worth.
        prior: what a model says of a candidate before anything is run: metric → value in its unit. It may be off:
            `front` learns what that is worth; a metric that it does not name for every candidate is taken for unknown.
            By ``macs``, where it names them, networks are compared in what they score.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        sampler: str,
        seed: int,
        records: Sequence[Record] = (),
        constraints: Sequence[Constraint] = (),
        impossible: Collection[tuple[object, ...]] = (),
        by_time: bool = False,
        earlier: Sequence[Sequence[Record]] = (),
        prior: Prior | None = None,
    ) -> None:
        self._grid = Grid(space, without=impossible)
        self._objectives, self._constraints = tuple(objectives), tuple(constraints)
        self._worst = [0.0] * len(self._objectives)
        self._seen_values = False
        other = (seed + 7919 * len(records)) % 2**32  # a resumed study goes on differently from how it began
        self.sampler = at_work(sampler, len(self._grid.candidates))
        made = SAMPLERS.load(self.sampler)
        self._inner = made(seed if made is FrontSampler else other)  # but for ours: as if nothing had happened
        self._sampler = Distinct(self._inner, self._grid, seed=other)
        self._worked = [Candidate(record.params, space.fixed) for record in records if record.ran]
        for record in records:
            self._grid.take(record.params)
        self._prices = Prices(self._grid.candidates if by_time else ())
        if isinstance(self._inner, Knowing):
            self._inner.know(self._foretelling(self._known(by_time), earlier, prior))
        self._leave_out(one.because for one in records if self.is_rule(one.because) and _lasts(one.because))
        directions = [
            StudyDirection.MAXIMIZE if o.direction == "max" else StudyDirection.MINIMIZE for o in self._objectives
        ]
        self._study = optuna.create_study(sampler=self._sampler, directions=directions)
        self._asked: dict[tuple[object, ...], Trial] = {}
        self._first = not records
        for record in records:
            self._restore(record)

    def _known(self, by_time: bool = False) -> Known:
        """What is known of the space before anything is measured."""
        metrics: dict[int | str, str] = {i: objective.metric for i, objective in enumerate(self._objectives)}
        metrics |= {str(constraint): constraint.metric for constraint in self._constraints}
        recorded = self._grid.listed  # a table's columns mean what their names say, and of others nothing is known
        scores = [
            quantity
            for quantity, metric in metrics.items()
            if not metric.startswith(OF_THE_ENGINE) and (not recorded or metric.startswith(SCORES))
        ]
        strange = [name for name in self._grid.axes if name not in DEPLOYMENT_AXES]
        return Known(
            self._sampler.distributions,
            [self._grid.asked(candidate) for candidate in self._grid.candidates],
            depends_on=dict.fromkeys(scores, (*NETWORK_AXES, *strange)),
            shared=dict.fromkeys(scores, OF_NETWORKS),
            limits=dict(self._limits()),
            counted=scores,
            seconds=self._prices.expected_s if by_time else None,
        )

    def _foretelling(self, known: Known, earlier: Sequence[Sequence[Record]], prior: Prior | None) -> Known:
        """With what a model says of the quantities, and other studies that have measured them too."""
        quantities: dict[int | str, Callable[[Record], float | None]] = {
            **{i: partial(value_of, objective) for i, objective in enumerate(self._objectives)},
            **{str(one): partial(violation_of, one) for one in self._constraints if str(one) not in known.limits},
        }
        params = [candidate.params for candidate in self._grid.candidates]
        told = [] if prior is None else [prior(candidate) for candidate in self._grid.candidates]
        found: dict[int | str, NDArray[np.float64]] = {}
        for quantity, of in quantities.items():
            only = known.depends_on.get(quantity)
            axes = [axis for name, axis in self._grid.axes.items() if only is None or name in only]
            columns = [
                foretold(axes, params, told_by(records, of, known.shared.get(quantity, ()))) for records in earlier
            ]
            if isinstance(quantity, int):
                columns.append(foretold_by_model(self._objectives[quantity].metric, told))
            if there := [column for column in columns if column is not None]:
                found[quantity] = np.stack(there, axis=1)
        sizes = sizes_by_model(told)
        sized = {} if sizes is None else dict.fromkeys(known.depends_on, Size(SIZED_BY, sizes))
        return replace(known, foretold=found, sizes=sized)

    def _limits(self) -> Iterator[tuple[str, tuple[int, float]]]:
        """Constraints that say from which value on an objective is of use."""
        asked = {(o.metric, ">=" if o.direction == "max" else "<="): i for i, o in enumerate(self._objectives)}
        for constraint in self._constraints:
            place = asked.get((constraint.metric, constraint.op))
            if place is not None:
                yield str(constraint), (place, scaled(constraint.metric, constraint.bound))

    @property
    def candidates(self) -> Sequence[Candidate]:
        """Those that are not known to be impossible, tried ones included."""
        return self._grid.candidates

    @property
    def learns(self) -> bool:
        """Whether the sampler learns from other studies."""
        return isinstance(self._inner, FrontSampler)

    @property
    def tells_gain(self) -> bool:
        """Whether the sampler tells what it expects to gain."""
        return hasattr(self._inner, "expected_gain")

    @property
    def expected_gain(self) -> float | None:
        """What the sampler expected of its last proposal, as a share of the hypervolume so far; None where it does not
        tell.
        """
        return getattr(self._inner, "expected_gain", None)

    @property
    def left(self) -> int:
        """How many candidates nobody has tried or is trying."""
        return self._grid.free_count

    def ask(self, wanted: Candidate | None = None) -> Candidate | None:
        """The next candidate, never one asked or told before; None when the space is exhausted.

        Several may be asked for before the first is told, one a board and those whose networks are in the making.
        Of those under way TPE believes the worst (its constant liar), `front` and GP what their models expect: all look
        elsewhere meanwhile. NSGA-II and random look at finished ones alone.

        Args:
            wanted: have the sampler take this one, which an earlier run has begun, for its own proposal.
        """
        if not self.left:
            return None
        if self._first and wanted is None:
            wanted = baseline(self._grid.candidates)
        self._first = False
        if wanted is not None:
            self._study.enqueue_trial(self._grid.asked(wanted))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            trial = self._study.ask(self._sampler.distributions)
        candidate = self._grid.candidate(trial.params)
        self._grid.take(candidate.params)
        self._prices.begin(candidate)
        self._asked[candidate.key] = trial
        return candidate

    def prospect(self, candidate: Candidate, *, spread: float = 0.0) -> Hope | None:
        """What a candidate that was asked for may come to, by what is known now; None where nothing can be said.

        Args:
            candidate: under way.
            spread: what a measured time or energy may be off by from run to run, as a share of it.
        """
        if not isinstance(self._inner, FrontSampler):
            return None
        trial = self._asked[candidate.key]
        found = self._inner.prospect(self._study, self._study.get_trials(deepcopy=False)[trial.number])
        return None if found is None else Hope.of(found, self._objectives, spread=spread)

    def proposal(self, params: Params) -> Candidate | None:
        """The candidate of these parameters, if the space holds it and nobody has tried it."""
        return self._grid.untried(params)

    def is_rule(self, because: Params) -> bool:
        """Whether no candidate with all of these values has worked; no values at all are no rule."""
        return bool(because) and not any(candidate.has(because) for candidate in self._worked)

    def rule_out(self, because: Params) -> int:
        """Never ask for a candidate with all of these values, where they are a rule; how many that leaves out."""
        if not self.is_rule(because):
            return 0
        return self._leave_out([because])

    def _leave_out(self, rules: Iterable[Params]) -> int:
        """How many untried candidates these rules cover; they are left out."""
        left_out = self._grid.drop(rules)
        if isinstance(self._inner, Knowing):
            self._inner.leave_out(map(self._grid.asked, left_out))
        return len(left_out)

    def withdraw(self, candidate: Candidate) -> None:
        """Forget a candidate that was asked for and will not be tried."""
        self._study.tell(self._asked.pop(candidate.key), state=TrialState.FAIL)

    def tell(self, candidate: Candidate, record: Record) -> None:
        """Let the sampler learn from a record of a candidate it proposed."""
        trial = self._asked.pop(candidate.key)
        self._prices.learn(record)
        if record.ran:
            self._worked.append(candidate)
        if record.state == "failed":
            self._study.tell(trial, state=TrialState.FAIL)
            return
        for name, violation in record.constraints.items():
            trial.set_constraint(name, violation)
        for name, told in self._remarks(record).items():
            trial.set_user_attr(name, told)
        self._study.tell(trial, self._values(record))

    def _restore(self, record: Record) -> None:
        if set(record.params) == set(self._grid.axes):
            self._prices.begin(Candidate(record.params))
            self._prices.learn(record)
            self._study.add_trial(self._as_trial(record))

    def _as_trial(self, record: Record) -> FrozenTrial:
        failed = record.state == "failed"
        return create_trial(
            state=TrialState.FAIL if failed else TrialState.COMPLETE,
            values=None if failed else self._values(record),
            params=self._grid.asked(Candidate(record.params)),
            distributions=self._sampler.distributions,
            constraints=None if failed else dict(record.constraints),
            user_attrs=self._remarks(record),
        )

    def _values(self, record: Record) -> list[float]:
        values = [self._value(record, i) for i in range(len(self._objectives))]
        if record.state == "complete":
            self._remember_worst(values)
        return values

    def _remarks(self, record: Record) -> dict[str, list[Any]]:
        """Which values are made up, and by how much those may be off that were scored on a part of the samples."""
        found = [(i, one, record.metrics.get(one.metric)) for i, one in enumerate(self._objectives)]
        partly = [seen for seen in found if seen[1].metric in record.evaluation.previewed]
        return {
            UNMEASURED: [i for i, _, metric in found if metric is None],
            ROUGH: [[i, gain_and_sd(one, metric)[1]] for i, one, metric in partly if metric is not None],
        }

    def _value(self, record: Record, index: int) -> float:
        value = value_of(self._objectives[index], record)
        return self._worst[index] if value is None else value

    def _remember_worst(self, values: Sequence[float]) -> None:
        for index, (objective, value) in enumerate(zip(self._objectives, values, strict=True)):
            worse = min if objective.direction == "max" else max
            self._worst[index] = worse(self._worst[index], value) if self._seen_values else value
        self._seen_values = True


def _lasts(because: Params) -> bool:
    """Whether a rule holds for the runs to come."""
    return not ASKED_ANEW.intersection(because)


def baseline(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate others are compared with, tried first: unpruned, fp32, and first in the order of the axes."""

    def rank(candidate: Candidate) -> tuple[float, bool]:
        values = candidate.all
        ratio = values.get("prune_ratio", 0.0)  # of a recorded table it may be a word
        return 0.0 if isinstance(ratio, str) else float(ratio), values.get("precision", "fp32") != "fp32"

    return min(candidates, key=rank)
