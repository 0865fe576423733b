"""What is said beside a table or a plot: what its marks mean, how sure the front is, and what is not on it, and why."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from explorer.ranking import Paired
from explorer.report import calibration, flags, wording
from explorer.report.verified import about_the_verification
from explorer.report.view import View
from explorer.result import Record

ON_FRONT = "on front: the probability of belonging to it, by the intervals of all readings and what runs differ by"
_ON_FRONT_BRIEFLY = "on front: the probability of belonging to it"
_NAMED, _NAMED_BRIEFLY = 8, 4  # trials, before the others are counted
_REASON = 160  # characters of a reason; the record has the rest
_COUNTED = {"macs": "multiply-accumulates", "layers": "layers"}
_BOARD = ("build", "short", "measure", "verify", "infer", "score")  # stages of a trial for which a board is kept busy
_AFTER = {"preview": "a preview on this host", "short bench": "a short bench", "full bench": "a full bench"}
_REASONS = 6  # groups of trials that a terminal is told of, one line each


Kind = Literal["void", "failed", "infeasible"]


class LeftOut(NamedTuple):
    """Trials that ended without a number for the same reason."""

    kind: Kind
    reason: str
    trials: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind} ({wording.trials(self.trials)}): {self.reason}"


def remarks(
    view: View, records: Iterable[Record], metrics: Iterable[str] | None = None, *, brief: bool = False
) -> list[str]:
    """Everything worth saying about these records, each point a line; briefly, without what to do about doubts."""
    shown = list(records)
    return [
        *([_ON_FRONT_BRIEFLY if brief else ON_FRONT] if len(view.complete) > 1 and shown else []),
        *about_the_front(view, named=_NAMED_BRIEFLY if brief else _NAMED),
        *against_dense(view, shown),
        *footnotes(view, shown, metrics, brief=brief),
        *on_a_dla(shown),
        *about_the_verification(view.complete),
        *dominated_early(view),
        *not_on_the_front(view),
    ]


def footnotes(
    view: View, records: Iterable[Record], metrics: Iterable[str] | None = None, *, brief: bool = False
) -> list[str]:
    """What the marks on these records (and metrics) mean, and whom they concern; then who was calibrated on too few
    samples. Empty when nothing is to be said.
    """
    shown, among, notes = list(records), list(view.metrics if metrics is None else metrics), []
    kinds = (
        (wording.ESTIMATED, "estimated"),
        (wording.SIMULATED, "simulated"),
        (wording.RECORDED, "recorded"),
        (wording.SCALED, "scaled"),
    )
    for mark, pick in kinds:
        concerned = {name for record in shown for name in getattr(record.evaluation, pick)}
        names = [name for name in among if name in concerned]
        if names:
            notes.append(f"{mark} {wording.MEANING[mark]}: {', '.join(names)}")
    for flag, numbers in doubts(shown).items():
        said = flags.meaning(flag) if brief else flags.explain(flag)
        notes.append(f"{wording.DOUBTFUL} {flag} ({wording.trials(numbers)}){': ' * bool(said)}{said}")
    return [*notes, *calibration.too_few(shown)]


def on_a_dla(records: Iterable[Record]) -> Iterator[str]:
    """What of each network a DLA has really run, and why not the rest; what units at work together cost each other."""
    placed = [record for record in sorted(records, key=lambda r: r.number) if record.evaluation.units]
    found: dict[str, list[int]] = {}
    for record in placed:
        found.setdefault(_ran(record.evaluation.units), []).append(record.number)
    for words, numbers in found.items():
        yield f"on a DLA ({wording.trials(numbers)}): {words}"
    yield from _together(placed)


def _together(placed: Iterable[Record]) -> Iterator[str]:
    """How much longer inferences take because other units are at work."""
    shared = [record for record in placed if record.evaluation.units.get("sharing")]
    slower: dict[str, list[float]] = {}
    for record in shared:
        for unit, its in record.evaluation.units["sharing"].items():
            slower.setdefault(unit, []).append(its["slowdown"])
    if shared:
        told = ", ".join(f"{unit} {_range(found)}" for unit, found in slower.items())
        numbers = wording.trials([record.number for record in shared])
        yield f"units at work together take longer than each alone ({numbers}): {told}"


def _range(slower: Sequence[float]) -> str:
    low, high = (f"{value:.2f}×" for value in (min(slower), max(slower)))
    return low if low == high else f"{low} to {high}"


def _ran(units: Mapping[str, Any]) -> str:
    shares = [f"{units[kind].get('dla', 0):.0%} of the {name}" for kind, name in _COUNTED.items() if units.get(kind)]
    told = " and ".join(shares) or "as much as the build tells nothing of"
    first = next(iter(units.get("fallbacks", ())), None)
    if first is None:
        return told
    more = f" and {units['fell_back'] - 1} more" if units["fell_back"] > 1 else ""
    return f"{told}; on the GPU instead: {first['layer']} ({first['reason']}){more}"


def doubts(records: Iterable[Record]) -> dict[str, tuple[int, ...]]:
    """Which trials bear which flag."""
    found: dict[str, list[int]] = {}
    for record in sorted(records, key=lambda r: r.number):
        for flag in record.evaluation.flags:
            found.setdefault(flag, []).append(record.number)
    return {flag: tuple(numbers) for flag, numbers in found.items()}


def about_the_front(view: View, *, named: int = _NAMED) -> Iterator[str]:
    """How sure it is who is on the front."""
    if near := view.near:
        likeliest = ", ".join(f"{r.number} ({wording.chance(view.probability(r))})" for r in near[:named])
        more = f" and {len(near) - named} less likely" if len(near) > named else ""
        yield f"{len(near)} more may belong to it: trial{'s' * (len(near) > 1)} {likeliest}{more}"
    if undecided := [r.number for r in view.complete if r.number in view.standing.undecided]:
        yield f"undecided, and measuring again would tell: {wording.trials(undecided)}"
    again: dict[int, list[int]] = {}
    for record in view.complete:
        again.setdefault(view.readings(record), []).append(record.number)
    if often := [
        f"{count} times: {wording.trials(again[count])}" for count in sorted(again, reverse=True) if count > 1
    ]:
        yield f"measured more than once, all readings told together: {'; '.join(often)}"


def against_dense(view: View, records: Iterable[Record]) -> Iterator[str]:
    """What the scores lost or gained against the dense fp32 net, and whether that could be chance; a line a score."""
    shown = {record.number: view.against_dense(record) for record in records} if view.compared else {}
    for name in view.compared:
        groups: dict[Paired, list[int]] = {}
        for number, paired in shown.items():
            if name in paired:
                groups.setdefault(paired[name], []).append(number)
        if groups:
            assert view.baseline is not None
            methods = ", ".join(dict.fromkeys(paired.method for paired in groups))
            said = "; ".join(f"{difference(paired)} ({wording.trials(numbers)})" for paired, numbers in groups.items())
            yield f"{name} against dense fp32 (trial {view.baseline.number}), {methods}: {said}"


def difference(paired: Paired) -> str:
    """``-0.036 [-0.061, -0.012] p 0.003``."""
    value, low, high = paired.difference.value, paired.difference.low, paired.difference.high
    interval = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{value:+.3f}{interval} {wording.p_value(paired.p_value)}"


def dominated_early(view: View) -> Iterator[str]:
    """Which trials were stopped because others are better for sure, after what, and what that has saved."""
    stopped = [record.stopped for record in view.dominated if record.stopped]
    if not stopped:
        return
    after = Counter(_AFTER[one.after] for one in stopped)
    rungs = ", ".join(f"{count} after {rung}" for rung, count in after.items())
    least = math.floor(1000 * min(one.confidence for one in stopped)) / 10
    numbers = wording.trials([record.number for record in view.dominated])
    yield f"dominated early ({numbers}): {rungs}, with {least:.1f} % confidence or more{_saved(view)}"


def _saved(view: View) -> str:
    """By what complete trials took on their boards."""
    whole = [_on_the_board_s(record) for record in view.complete]
    if not whole:
        return ""
    each = statistics.median(whole)
    seconds = sum(max(0.0, each - _on_the_board_s(record)) for record in view.dominated)
    return f"; they spared boards about {wording.duration(seconds)}, at the {each:.1f} s that a complete trial takes"


def _on_the_board_s(record: Record) -> float:
    return sum(time.seconds for name, time in record.evaluation.stages.items() if name in _BOARD and not time.cached)


def not_on_the_front(view: View) -> Iterator[str]:
    """Which trials ended without a number, and why: void, failed, infeasible; a line a reason."""
    groups = left_out(view.records)
    yield from map(str, groups[:_REASONS])
    if rest := groups[_REASONS:]:
        count = sum(len(group.trials) for group in rest)
        yield f"and {count} more for {len(rest)} other reasons (--format json has all)"


def left_out(records: Iterable[Record]) -> list[LeftOut]:
    """Trials that failed or cannot be, those of one reason together: void ones first, then failed, then infeasible."""
    groups: dict[tuple[Kind, str], list[int]] = {}
    for record in sorted(records, key=lambda r: r.number):
        if record.state in ("failed", "infeasible"):
            void = record.state == "failed" and flags.is_void(record.reason)
            kind: Kind = "void" if void else "failed" if record.state == "failed" else "infeasible"
            groups.setdefault((kind, _reason(record, void=void)), []).append(record.number)
    found = [LeftOut(kind, reason, tuple(numbers)) for (kind, reason), numbers in groups.items()]
    return sorted(found, key=lambda group: ("void", "failed", "infeasible").index(group.kind))


def _reason(record: Record, *, void: bool) -> str:
    """The first line of a reason; of a void trial with the sentence of each flag it names."""
    first = (record.reason.splitlines() or ["no reason was recorded"])[0]
    told = [str(doubt) for name, doubt in flags.VOID.items() if void and name in first]
    first = first.removeprefix(flags.VOID_REASON).strip() if void else first
    short = first if len(first) <= _REASON else first[: _REASON - 1] + "…"
    return ": ".join([short, *told])
