"""What of a space no board of a study can run, as far as that is known before anything is made: it costs no trial.

    candidates ──► distinct deployments ──► the oracle, then the board's own word ──► reasons ──► left out of the search

How a candidate is compressed changes nothing of it: each deployment is asked for once. Whoever continues a study asks
anew: a board may have learnt since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.device import check
from explorer.errors import BadInput, Infeasible, Problem, on_board
from explorer.oracle import Foresight
from explorer.space import Candidate, Space, Value

NAMED = 5  # reasons that are told of one by one

Key = tuple[Value, ...]
Refuse = Callable[[Mapping[str, Value]], "Reason | None"]


@dataclass(frozen=True)
class Reason:
    """Why a deployment cannot be; `source` names the rule and who says so, where it is one."""

    text: str
    source: str = ""


@dataclass(frozen=True)
class Impossible:
    """The impossible candidates of a space.

    Attributes:
        candidates: how many candidates the space has, possible ones included.
        reasons: of each impossible one, by its key.
    """

    candidates: int = 0
    reasons: Mapping[Key, Reason] = field(default_factory=dict)

    @property
    def counts(self) -> list[tuple[Reason, int]]:
        """Each reason with how many candidates it rules out, the commonest first."""
        return Counter(self.reasons.values()).most_common()

    def to_json(self) -> list[dict[str, Any]]:
        """The counts as the store keeps them."""
        return [{"count": count, "reason": why.text, "source": why.source} for why, count in self.counts]

    def refuse_all(self, where: Path) -> None:
        """End a study of which nothing is possible.

        Raises:
            BadInput: not one candidate is left.
        """
        if self.candidates and len(self.reasons) == self.candidates:
            all_of_them = "the one candidate is" if self.candidates == 1 else f"all {self.candidates:,} candidates are"
            what, seen = f"{all_of_them} impossible on this board", said(self.to_json())
            hint = "give the space other values, or name another device; 'explorer agent check' tells what one can do"
            raise BadInput(Problem(what, file=where, seen=seen, hint=hint))


def impossible(space: Space, refuse: Refuse) -> Impossible:
    """The candidates of `space` that `refuse` has a reason against."""
    verdicts: dict[tuple[tuple[str, Value], ...], Reason | None] = {}
    reasons: dict[Key, Reason] = {}
    for candidate in space.candidates:
        deployment = _deployment_of(candidate)
        if deployment not in verdicts:
            verdicts[deployment] = refuse(candidate.deployment)
        if (why := verdicts[deployment]) is not None:
            reasons[candidate.key] = why
    return Impossible(space.size, reasons)


def by(foresight: Foresight, name: str, capabilities: Mapping[str, Any]) -> Refuse:
    """What is asked of a deployment: first the oracle, which names the source of what it says; then the word of the
    board `name`.
    """

    def refuse(deployment: Mapping[str, Value]) -> Reason | None:
        if known := foresight.before(deployment):
            return Reason(known[0].reason, f"{known[0].rule}; {known[0].source}")
        try:
            check(deployment, capabilities, name=name)
        except Infeasible as refusal:
            return Reason(str(refusal).removeprefix(on_board(name, "")))
        return None

    return refuse


def sentence(counts: Sequence[Mapping[str, Any]], candidates: int) -> str:
    """``312 of 2,808 candidates are impossible on this board: 216: a DLA computes in …``; empty where none is."""
    count = sum(line["count"] for line in counts)
    verb = "is" if count == 1 else "are"
    return f"{count:,} of {candidates:,} candidates {verb} impossible on this board: {said(counts)}" if count else ""


def ruled_out(trial: int, because: Mapping[str, Any], count: int) -> str:
    """``12 candidates with power_mode 15W are left out: trial 3 has shown that they are impossible``."""
    values = ", ".join(f"{axis} {value}" for axis, value in because.items())
    one = count == 1
    whose = f"{count:,} candidate{'s' * (not one)} with {values} {'is' if one else 'are'} left out"
    return f"{whose}: trial {trial} has shown {'it' if one else 'them'} to be impossible"


def said(counts: Sequence[Mapping[str, Any]]) -> str:
    """The commonest reasons with their counts, and how many candidates are impossible for others."""
    told = [f"{line['count']:,}: {line['reason']}" for line in counts[:NAMED]]
    if rest := counts[NAMED:]:
        told.append(f"and {sum(line['count'] for line in rest):,} for {len(rest)} other reasons")
    return "; ".join(told)


def _deployment_of(candidate: Candidate) -> tuple[tuple[str, Value], ...]:
    return tuple(candidate.deployment.items())
