"""Everything that can go wrong, and what it means for the program's exit code.

ExplorerError            1  something failed; the message says what, where and what to do
├── BadInput             2  the user's words: a file, a key, a value; all problems at once
├── NoDevice             3  the device cannot be reached or is not usable
└── TrialEnding             how one candidate may end without a result; never mixed, never the program's end
    ├── Infeasible          a fact about the candidate: told to the sampler as a violated constraint
    ├── Dominated           it works, and others are better for sure: not measured to the end
    ├── JobFailed           unclear: tried once more, then recorded as failed with the log's tail
    └── DeviceLost          the world's fault: the candidate goes back into the queue
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.result import Evaluation, Rung

EXIT_DONE, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_NO_DEVICE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


class ExplorerError(Exception):
    """Root of the tree: a message meant for the user's eyes."""

    exit_code = EXIT_FAILED


@dataclass(frozen=True)
class Problem:
    """One thing wrong with what the user gave: what, where, what was seen, what is allowed, what to do."""

    what: str
    file: Path | None = None
    line: int | None = None
    path: str = ""  # dotted path within the file, "space.precision[2]"
    seen: str = ""
    allowed: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file or ''}{f':{self.line}' if self.line else ''}"
        head = ": ".join(part for part in (place, self.path, self.what) if part)
        tail = [
            f"{label} {text}"
            for label, text in (("seen:", self.seen), ("allowed:", self.allowed), ("", self.hint))
            if text
        ]
        return "\n".join([head, *(f"    {line.strip()}" for line in tail)])


class BadInput(ExplorerError):
    """The user's input cannot be used; carries every problem found, not just the first."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NoDevice(ExplorerError):
    """The device named in the experiment cannot be used; the message says why and what to try."""

    exit_code = EXIT_NO_DEVICE


class TrialEnding(ExplorerError):
    """How a single candidate ends when it yields no evaluation."""


class Infeasible(TrialEnding):
    """The candidate cannot work here, or breaks a constraint the user set.

    Args:
        reason: one sentence.
        violations: constraint name → amount above zero by which it is violated.
        measured: whatever was measured before the verdict; it is kept in the record.
        because: axis → value: whatever the others, a candidate with these ends the same; empty where that is not known
            for sure.
    """

    def __init__(
        self,
        reason: str,
        *,
        violations: Mapping[str, float] | None = None,
        measured: Evaluation | None = None,
        because: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(reason)
        self.because = dict(because or {})
        self.violations = dict(violations or {"feasible": 1.0})
        self.measured = measured


class Dominated(TrialEnding):
    """Others are better in everything, or it lies beyond a limit of the user's, with hardly a doubt: what is left to do
    for the candidate would add nothing to the front.

    Args:
        reason: one sentence.
        measured: whatever was measured until then; it is kept in the record.
        after: the rung after which it was stopped.
        confidence: the chance that it is dominated, 0–1.
    """

    def __init__(self, reason: str, *, measured: Evaluation, after: Rung, confidence: float) -> None:
        super().__init__(reason)
        self.measured = measured
        self.after: Rung = after
        self.confidence = confidence


class JobFailed(TrialEnding):
    """A stage or a job on the device failed for a reason that says nothing certain about the candidate.

    Attributes:
        measurement_stands: it failed after a measurement that nothing is wrong with: trying again needs no other one.
        measured: whatever was measured before it failed; it is kept in the record, which says that it failed.
        final: trying again has been done already.
    """

    def __init__(
        self, reason: str, *, log_tail: str = "", measured: Evaluation | None = None, final: bool = False
    ) -> None:
        super().__init__(reason)
        self.log_tail = log_tail
        self.measurement_stands = False
        self.measured = measured
        self.final = final


class DeviceLost(TrialEnding):
    """The device or the way to it went away; the candidate is innocent.

    Args:
        reason: board, job and cause.
        mends_itself: whether waiting and connecting again may help; a full disk needs a person.
        job: what was asked of the device when it was lost: build, measure, put, …
    """

    def __init__(self, reason: str, *, mends_itself: bool = True, job: str = "") -> None:
        super().__init__(reason)
        self.mends_itself = mends_itself
        self.job = job


def in_one_line(text: str) -> str:
    """A message with what the far side had to say behind it, in brackets."""
    first, *more = [line for line in map(str.strip, text.splitlines()) if line] or [""]
    return f"{first} ({'; '.join(more)})" if more else first


def on_board(name: str, text: str) -> str:
    """What happened, and where: ``local: no room left``, whether the board's name ends in a colon or not."""
    return f"{name.removesuffix(':')}: {text}"
