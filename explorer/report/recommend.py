"""One trial out of a study: the best of one metric among those that keep what is required, with the reasons.

An interval is taken at its word: a trial keeps a requirement *surely* when its worse end does, and *by its value* when
only the value does. Sure trials go first. Where no trial keeps everything, the answer says what it would take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from explorer.errors import BadInput, Problem
from explorer.registry import nearest
from explorer.report import wording
from explorer.report.remarks import difference, footnotes
from explorer.report.text import cell
from explorer.report.view import View, load
from explorer.result import Constraint, Direction, Metric, Objective, Record


@dataclass(frozen=True)
class Recommendation:
    """What to deploy, or why nothing can be recommended.

    Attributes:
        record: the trial; None where no trial keeps the requirements.
        sure: whether the requirements hold at the worse ends of the intervals, too.
        sentences: the reasons, for people.
    """

    record: Record | None
    sure: bool
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def recommend(view: View, requires: Sequence[Constraint], prefer: str) -> Recommendation:
    """The complete trial that is best in `prefer` among those that keep `requires`.

    Args:
        view: the study.
        requires: what must hold.
        prefer: the metric to be best in; larger or smaller, as the objectives or the metric's own nature say.

    Raises:
        BadInput: a metric is named that no complete trial has, or `prefer` is one of which better is unknown.
    """
    if not view.complete:
        return Recommendation(None, sure=False, sentences=view.notes)
    _check_names(view, [wish.metric for wish in requires], prefer)
    wish = Objective(prefer, view.direction(prefer) or _unknown_direction(prefer))
    able = [r for r in view.complete if prefer in r.metrics and math.isfinite(r.metrics[prefer].value)]
    sure = [r for r in able if all(_keeps(r, c, surely=True) for c in requires)]
    by_value = [r for r in able if all(_keeps(r, c) for c in requires)]
    if not by_value:
        return Recommendation(None, sure=False, sentences=tuple(_what_it_takes(view, able, requires, wish)))
    chosen = _best(view, sure or by_value, wish)
    reasons = _reasons(view, chosen, requires, wish, sure=bool(sure), passed_over=_best(view, by_value, wish))
    certainty = _certainty(view, chosen, [r for r in sure or by_value if r is not chosen], wish)
    against = _against_baseline(view, chosen)
    marks = footnotes(view, [chosen], dict.fromkeys([wish.metric, *(c.metric for c in requires)]))
    return Recommendation(chosen, sure=bool(sure), sentences=(*reasons, *certainty, *against, *marks))


def advise(folder: Path, *, require: Sequence[str], prefer: str | None) -> Recommendation:
    """`recommend` for words from the command line.

    Args:
        folder: results/<study>.
        require: constraints such as ``accuracy>=0.9``.
        prefer: a metric; None for the first objective.

    Raises:
        BadInput: with every requirement that is not a constraint, or as `recommend`.
    """
    problems, requires = [], []
    for text in require:
        try:
            requires.append(Constraint.parse(text))
        except ValueError as error:
            problems.append(Problem(str(error), path="--require"))
    if problems:
        raise BadInput(problems)
    view = load(folder)
    return recommend(view, requires, prefer or view.objectives[0].metric)


def worse_end(metric: Metric, constraint: Constraint) -> float:
    """The end of the interval that is against the constraint; the value itself where there is no interval."""
    end = metric.low if constraint.op == ">=" else metric.high
    return metric.value if end is None else end


def _check_names(view: View, required: Sequence[str], prefer: str) -> None:
    known = [name for name in view.metrics if any(name in record.metrics for record in view.complete)]
    problems = [
        Problem(
            f"no complete trial has this metric ({option})",
            seen=name,
            allowed=", ".join(known),
            hint=nearest(name, known),
        )
        for option, names in (("--require", required), ("--prefer", [prefer]))
        for name in names
        if name not in known
    ]
    if problems:
        raise BadInput(problems)


def _unknown_direction(metric: str) -> Direction:
    hint = "make it an objective of the study, or prefer another metric"
    raise BadInput(Problem("it is not known whether more or less of this metric is better", seen=metric, hint=hint))


def _keeps(record: Record, constraint: Constraint, *, surely: bool = False) -> bool:
    metric = record.metrics.get(constraint.metric)
    if metric is None:
        return False
    return constraint.violation(worse_end(metric, constraint) if surely else metric.value) <= 0


def _best(view: View, records: Sequence[Record], wish: Objective) -> Record:
    """The best by value; among equals the likeliest on the front, and then the one explored first."""
    return max(records, key=lambda r: (wish.gain(r.metrics[wish.metric].value), view.probability(r) or 0.0, -r.number))


def _reasons(
    view: View, chosen: Record, requires: Sequence[Constraint], wish: Objective, *, sure: bool, passed_over: Record
) -> Iterator[str]:
    yield f"Trial {chosen.number}: {_candidate(view, chosen)}."
    yield f"It has the {_superlative(wish)} {_said(chosen, wish.metric)}{_among(requires, sure=sure)}."
    for constraint in requires:
        yield f"It keeps {constraint}{_how_well(chosen, constraint)}."
    if not sure:
        yield "No trial keeps everything surely: at the worse end of an interval even this one breaks a requirement."
    elif passed_over.number != chosen.number:
        doubtful = [c for c in requires if not _keeps(passed_over, c, surely=True)]
        worse = " and ".join(
            f"{c.metric} reaches {wording.number(worse_end(passed_over.metrics[c.metric], c))}" for c in doubtful
        )
        yield (
            f"Trial {passed_over.number} ({_candidate(view, passed_over)}) has {_said(passed_over, wish.metric)}, "
            f"but the interval of its {worse}."
        )


def _certainty(view: View, chosen: Record, others: Sequence[Record], wish: Objective) -> Iterator[str]:
    """How sure it is that this is the one: its place on the front, and who may be as good."""
    probability = view.probability(chosen)
    if probability is not None and len(view.complete) > 1:
        chance = f"{wording.chance(probability)}{_measured_again(view, chosen)}"
        yield f"It belongs to the front with a probability of {chance}."
    as_good = [r.number for r in others if _may_be_as_good(r.metrics[wish.metric], chosen.metrics[wish.metric], wish)]
    if as_good:
        whose = "its interval overlaps" if len(as_good) == 1 else "their intervals overlap"
        yield f"{wording.trials(as_good).capitalize()} may be as good: {whose} in {wish.metric}."


def _measured_again(view: View, chosen: Record) -> str:
    if view.readings(chosen) > 1:
        return f", measured {view.readings(chosen)} times"
    return "; measuring again would tell" if chosen.number in view.standing.undecided else ""


def _may_be_as_good(other: Metric, best: Metric, wish: Objective) -> bool:
    """Whether the better end of one interval reaches the worse end of the other; values without intervals never do."""
    if wording.half_width(other) is None and wording.half_width(best) is None:
        return other.value == best.value
    ends = [[m.value if end is None else end for end in (m.low, m.high)] for m in (other, best)]
    reach, least = (max(map(wish.gain, ends[0])), min(map(wish.gain, ends[1])))
    return reach >= least


def _how_well(record: Record, constraint: Constraint) -> str:
    said = f" with {_said(record, constraint.metric)}"
    if _keeps(record, constraint, surely=True):
        return f"{said}, interval included" if wording.half_width(record.metrics[constraint.metric]) else said
    return f" by its value only: {_said(record, constraint.metric)}"


def _against_baseline(view: View, chosen: Record) -> Iterator[str]:
    """What the choice gains and costs against the net as it was, in the study's objectives."""
    base = view.baseline
    if base is None or base.number == chosen.number:
        return
    changes, paired = [], view.against_dense(chosen)
    for name in (o.metric for o in view.objectives if o.metric in chosen.metrics and o.metric in base.metrics):
        new, old = chosen.metrics[name].value, base.metrics[name].value
        share = name.startswith("accuracy") or old <= 0
        if name in paired:
            changes.append(f"{difference(paired[name])} {name} ({paired[name].method})")
            continue
        changes.append(f"{new - old:+.3f} {name}" if share else f"{new / old:.2f} × {name}")
    if changes:
        yield f"Against dense fp32 (trial {base.number}): {', '.join(changes)}."


def _what_it_takes(
    view: View, able: Sequence[Record], requires: Sequence[Constraint], wish: Objective
) -> Iterator[str]:
    """For each requirement: how far it would have to give way while the others hold, and what that would buy."""
    yield f"None of the {len(able)} complete trials keeps {' and '.join(map(str, requires))}."
    found = False
    for constraint in requires:
        others = [c for c in requires if c != constraint]
        near = [r for r in able if constraint.metric in r.metrics and all(_keeps(r, c) for c in others)]
        if near:
            found = True
            yield _nearest_miss(view, near, constraint, wish, alone=not others)
    if not found:
        for constraint in requires:
            yield _reached(able, constraint)
        yield "No trial keeps all but one of these requirements, so more than one would have to give way."


def _nearest_miss(view: View, near: Sequence[Record], constraint: Constraint, wish: Objective, *, alone: bool) -> str:
    closest = min(near, key=lambda r: constraint.violation(r.metrics[constraint.metric].value))
    bound = _eased(closest.metrics[constraint.metric].value, constraint)
    condition = "" if alone else " and the rest were kept"
    return (
        f"If {constraint.metric} {constraint.op} {bound:g} were enough{condition}: trial {closest.number} "
        f"({_candidate(view, closest)}) with {_said(closest, wish.metric)}."
    )


def _eased(value: float, constraint: Constraint) -> float:
    """A short bound that `value` keeps: its first four digits, rounded to the safe side."""
    if value == 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 3)
    return (math.floor if constraint.op == ">=" else math.ceil)(value / step) * step


def _reached(able: Sequence[Record], constraint: Constraint) -> str:
    values = [r.metrics[constraint.metric].value for r in able if constraint.metric in r.metrics]
    if not values:
        return f"No trial has {constraint.metric}."
    word, best = ("largest", max(values)) if constraint.op == ">=" else ("smallest", min(values))
    return f"The {word} {constraint.metric} of any trial is {wording.number(best)}."


def _superlative(wish: Objective) -> str:
    return "largest" if wish.direction == "max" else "smallest"


def _among(requires: Sequence[Constraint], *, sure: bool) -> str:
    if not requires:
        return " of all complete trials"
    return f" of the trials that {'surely ' * sure}keep {' and '.join(map(str, requires))}"


def _said(record: Record, metric: str) -> str:
    return f"{metric} {cell(record, metric)}"


def _candidate(view: View, record: Record) -> str:
    axes = view.varied or view.axes
    return ", ".join(f"{axis} {wording.say(record.params[axis])}" for axis in axes if axis in record.params)
