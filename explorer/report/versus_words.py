"""A comparison of two devices in words: what is claimed, with its figures, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from explorer.report import wording
from explorer.report.contrast import Effect, Pair, Ranking, Reversal, Shift
from explorer.report.text import cell
from explorer.report.versus import Comparison
from explorer.result import Record

MOST_REVERSALS = 3
_TIMED = ("latency", "throughput")
# From tau-b upwards. Landis and Koch's steps of 0.2 ("The measurement of observer agreement", 1977), said of orders.
_AGREEMENT = (
    (0.8, "nearly the same order"),
    (0.6, "much the same order"),
    (0.2, "orders that agree in part"),
    (-0.2, "orders that have little to do with each other"),
    (-0.6, "orders that are partly reversed"),
    (-1.0, "nearly the opposite order"),
)


def verdict(comparison: Comparison) -> str:
    """The comparison in one sentence or two."""
    parted = [r for r in comparison.rankings if r.opposite]
    others = [r for r in comparison.rankings if not r.opposite]
    told = []
    if parted:
        told.append(f"The two devices rank the candidates differently in {_titles(parted)}.")
    if others:
        told.append(f"No two candidates surely change places in {_titles(others)}.")
    return " ".join(told)


def agreement(ranking: Ranking) -> Iterator[str]:
    """How alike the orders are, in numbers and words."""
    if ranking.farthest == 0:
        yield "Every candidate has the same value on both."
        return
    if ranking.tau is None:
        yield "One of the two has the same value for all candidates: there is no order to compare."
    else:
        words = next(words for least, words in _AGREEMENT if ranking.tau >= least)
        yield f"Kendall's tau-b {ranking.tau:+.2f} (1 same order, 0 unrelated, -1 opposite): {words}."
    couples = ranking.same + ranking.opposite + ranking.open
    yield (
        f"Of {couples} couples of candidates {ranking.same} surely stand in the same order on both, "
        f"{ranking.opposite} in the opposite one; of {ranking.open} it cannot be told: they are equal, or their "
        "intervals overlap."
    )


def bests(comparison: Comparison, ranking: Ranking) -> Iterator[str]:
    """The best candidate of each device, and what it would cost to take the other's."""
    best_a, best_b = ranking.ranked_a[0], ranking.ranked_b[0]
    if ranking.farthest == 0:
        return
    if best_a is best_b:
        yield (
            f"Best on both: {name(comparison, best_a)}, with {_value(best_a.a, ranking)} on A and "
            f"{_value(best_a.b, ranking)} on B."
        )
        return
    for letter, best, other, side in (("A", best_a, best_b, False), ("B", best_b, best_a, True)):
        found = _value(best[side], ranking)
        cost = ranking.effect(best, other, on_b=side)
        yield f"Best on {letter}: {name(comparison, best)}, with {found}. The other's best {_against(cost, ranking)}."


def shifts(ranking: Ranking) -> Iterator[str]:
    """Along which axes the direction changes on average."""
    for shift in ranking.shifts:
        mean = f"on average over {shift.count} couples that differ in nothing else, " if shift.count > 1 else ""
        yield f"{_capital(mean + _step(shift))} {_both(shift, ranking)}."


def reversals(comparison: Comparison, ranking: Ranking) -> Iterator[str]:
    """The largest reversals, and how many more there are."""
    for reversal in ranking.reversals[:MOST_REVERSALS]:
        yield f"{_capital(_between(comparison, reversal))} {_both(reversal, ranking)}."
    more = len(ranking.reversals) - MOST_REVERSALS
    if more > 0:
        yield f"And {more} more {'reversals' if more > 1 else 'reversal'} of two candidates."


def fronts(comparison: Comparison) -> Iterator[str]:
    """Which candidates are on both fronts, and which on one."""
    both, only_a, only_b = comparison.fronts
    total, shared = len(both) + len(only_a) + len(only_b), f"{len(both)} are on both{_listed(comparison, both)}"
    yield f"Of {total} candidates on either front, by their values alone, {shared}."
    for letter, found in (("A", only_a), ("B", only_b)):
        if found:
            yield f"On {letter}'s alone{_listed(comparison, found)}."


def name(comparison: Comparison, pair: Pair) -> str:
    """A candidate in a few letters."""
    return comparison.a.in_short(pair.a)


def _titles(rankings: Sequence[Ranking]) -> str:
    return " and ".join(wording.title(r.objective.metric)[0] for r in rankings)


def _value(record: Record, ranking: Ranking) -> str:
    metric = ranking.objective.metric
    return f"{cell(record, metric)} {wording.title(metric)[1]}".rstrip()


def _both(contrast: Reversal | Shift, ranking: Ranking) -> str:
    _, _, on_b = _effect(contrast.on_b, ranking).partition(" ")  # the same verb as A's
    return f"{_effect(contrast.on_a, ranking)} on A and {on_b} on B"


def _against(cost: Effect, ranking: Ranking) -> str:
    if cost.sign == 0:
        return "cannot be told from it there: their intervals overlap"
    return f"{_effect(cost, ranking)} there"


def _effect(effect: Effect, ranking: Ranking) -> str:
    """``is 2.6× slower (2.4 to 2.8)``, ``has 1.5× more energy``, ``has 0.012 less accuracy``."""
    words, _ = wording.title(ranking.objective.metric)
    better = effect.value > 0
    if not ranking.relative:
        more = "more" if better == (ranking.objective.direction == "max") else "less"
        return f"has {abs(effect.value):.3f} {more} {words}"
    said, span = _factor(effect)
    if ranking.objective.metric.startswith(_TIMED):
        return f"is {said} {'faster' if better else 'slower'}{span}"
    more = "more" if better == (ranking.objective.direction == "max") else "less"
    return f"has {said} {more} {words}{span}"


def _factor(effect: Effect) -> tuple[str, str]:
    """A ratio, to the digits that its interval supports, and the interval: ``("2.50×", " (2.45 to 2.55)")``."""
    least, most = sorted((abs(effect.low), abs(effect.high)))
    value, low, high = (math.exp(min(logarithm, 700.0)) for logarithm in (abs(effect.value), least, most))
    half = (high - low) / 2
    decimals = 2 if half < 0.1 else 1 if half < 5 else 0
    ends = [f"{end:.{decimals}f}" if end < 1e6 else "∞" for end in (low, high)]
    return f"{value:.{decimals}f}×", f" ({ends[0]} to {ends[1]})" if low < high else ""


def _step(shift: Shift) -> str:
    return f"{_setting(shift.axis, shift.after)} instead of {wording.say(shift.before)}"


def _between(comparison: Comparison, reversal: Reversal) -> str:
    if len(reversal.changed) > 1:
        return f"{name(comparison, reversal.after)} instead of {name(comparison, reversal.before)}"
    axis = reversal.changed[0]
    before, after = (pair.params.get(axis) for pair in (reversal.before, reversal.after))
    rest = [other for other in comparison.a.varied if other != axis and other in reversal.after.params]
    with_ = ", ".join(_setting(other, reversal.after.params[other]) for other in rest)
    return f"{f'with {with_}, ' if rest else ''}{_setting(axis, after)} instead of {wording.say(before)}"


def _setting(axis: str, value: object) -> str:
    """A word speaks for itself; a number follows its axis."""
    return wording.say(value) if isinstance(value, str) else f"{wording.title(axis)[0]} {wording.say(value)}"


def _listed(comparison: Comparison, pairs: Sequence[Pair]) -> str:
    return f": {'; '.join(name(comparison, pair) for pair in pairs)}" if pairs else ""


def _capital(text: str) -> str:
    """With a capital letter, unless it begins with a name such as int8."""
    return text[0].upper() + text[1:] if text.startswith(("on average", "with ")) else text
