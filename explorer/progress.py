"""What a person sees while a study runs: a line a trial on stderr, and a bar below them where stderr is a terminal."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from explorer.config import Experiment
from explorer.errors import on_board
from explorer.report import wording
from explorer.report.unmet import unmet
from explorer.result import Metric, Record
from explorer.space import Candidate

if TYPE_CHECKING:
    from explorer.replay.course import Course
    from explorer.study import Ending

COMPRESSION = ("train", "prune", "finetune", "export", "quantise", "ranges", "cast")
JOBS = ("build", "measure", "infer")
_MEANING = {**wording.MEANING, wording.ESTIMATED: "estimated from declared watts, not measured"}
_UNITS = {"_ips": "/s", "_mj": " mJ", "_ms": " ms", "_mb": " MB", "_w": " W"}


class _Shown:
    """A bar on stderr, where that is a terminal, for as long as something goes on."""

    def __init__(self, *more: ProgressColumn) -> None:
        self._console = Console(stderr=True, highlight=False)
        told = (TextColumn("{task.completed}/{task.total}"), TextColumn("{task.description}"))
        columns = (BarColumn(bar_width=24), *told, *more)
        self._bar = Bar(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)


class Progress(_Shown):
    """The watcher of `explorer.study` that writes to stderr."""

    def __init__(self) -> None:
        super().__init__()
        self._task = TaskID(0)
        self._objectives: tuple[str, ...] = ()
        self._boards: dict[str, str] = {}  # of a fleet: spec → short name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is KeyboardInterrupt:
            self._say("interrupted; what was finished is saved, and the same command continues")

    def begins(self, experiment: Experiment, *, planned: int, records: tuple[Record, ...], note: str) -> None:
        """Say what is going to happen, and how the lines that follow are to be read."""
        self._objectives = tuple(objective.metric for objective in experiment.objectives)
        self._task = self._bar.add_task("starting", total=planned, completed=len(records))
        axes = " ".join(axis.name for axis in experiment.space.axes)
        if note:
            self._say(note)
        begun = f"continues after {len(records)} of" if records else "explores"
        self._boards = short_names(experiment.devices) if len(experiment.devices) > 1 else {}
        where = (
            f"{len(self._boards)} boards: {', '.join(self._boards.values())}" if self._boards else experiment.devices[0]
        )
        self._wrapped(f"{experiment.study}: {begun} {planned} of {experiment.space.size} candidates on {where}")
        board = "board  " if self._boards else ""
        self._wrapped(f"each line: {board}{axes} → {' '.join(self._objectives)}", indent=11)

    def trial(self, candidate: Candidate) -> None:
        """Show whose turn it is."""
        self._bar.update(self._task, description=_values(candidate.params))

    def recorded(self, record: Record, *, done: int, planned: int, eta_s: float) -> None:
        """One line a record."""
        self._bar.update(self._task, completed=done)
        count = f"{done:>{len(str(planned))}}/{planned}"
        eta = f"  {wording.duration(eta_s)} left" if done < planned and record.state == "complete" else ""
        widest = max(map(len, self._boards.values()), default=0)
        board = f"{self._boards.get(record.device, record.device):<{widest}}  " if self._boards else ""
        self._say(f"{count}  {board}{_values(record.params)} → {self._outcome(record)}{eta}")

    def racing(self, *, undecided: int) -> None:
        """Say that undecided candidates are measured again."""
        told = f"racing: {undecided} undecided"
        self._bar.update(self._task, description=told)
        self._say(told)

    def note(self, text: str) -> None:
        """Something out of the ordinary."""
        for line in text.splitlines():
            self._wrapped(line, indent=2)

    def _outcome(self, record: Record) -> str:
        if record.state == "dominated":  # its reason begins with what it is
            return _in_short(record)
        if record.state != "complete":
            return f"{record.state}: {_in_short(record)}"  # the report has it whole
        told = (brief(name, record.metrics[name]) + wording.marks(record, name) for name in self._objectives)
        return "  ".join(told)

    def _wrapped(self, text: str, *, indent: int = 0) -> None:
        self._say(_folded(text, indent=indent))


class Counting(_Shown):
    """Searches that are replayed, as they end: a line each on stderr, or a bar where stderr is a terminal."""

    def __init__(self) -> None:
        super().__init__(TimeRemainingColumn())
        self._task = self._bar.add_task("starting", total=None)

    def heard(self, course: Course, done: int, of: int) -> None:
        """A search has ended."""
        told = f"{course.sampler}, seed {course.seed}: {course.shares[-1]:.1%} after {len(course.rows)} trials"
        self._bar.update(self._task, completed=done, total=of, description=told)
        if self._bar.disable:
            self._say(f"{done:>{len(str(of))}}/{of}  {told}")


def brief(name: str, metric: Metric) -> str:
    """A value in as few characters as make sense: ``0.934``, ``812/s``, ``6.1 mJ``."""
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    if not unit and abs(metric.value) <= 1:
        return f"{metric.value:.3f}"
    return f"{metric.value:.0f}{unit}" if abs(metric.value) >= 1000 else f"{metric.value:.3g}{unit}"


def summary(ending: Ending) -> str:
    """What a run did, said at its end."""
    told = wording.endings(record.state for record in ending.records) or "nothing new"
    lines = [*map(_folded, (ending.reason, f"this run: {told}")), _by_board(ending.records)]
    lines += [_folded(unmet(ending.records)), _folded(_compression(ending.records))]
    marks = _shown_marks(ending)
    lines += [f"{mark} {meaning}" for mark, meaning in _MEANING.items() if mark in marks]
    return "\n".join([*filter(None, lines), f"results: {ending.folder}"])


def _shown_marks(ending: Ending) -> set[str]:
    """Those that stood in the lines of its trials."""
    shown = (record for record in ending.records if record.state == "complete")
    return {mark for record in shown for o in ending.objectives for mark in wording.marks(record, o.metric)}


def as_json(ending: Ending) -> str:
    """The same for scripts."""
    trials = dict(Counter(record.state for record in ending.records))
    told = {"stop": ending.stop, "why": ending.reason, "trials": trials, "results": str(ending.folder)}
    return json.dumps(told, indent=2)


def _folded(text: str, *, indent: int = 0) -> str:
    lines = textwrap.wrap(text, 80, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def short_names(specs: Sequence[str]) -> dict[str, str]:
    """What boards are called where there is little room: ``ssh://nvidia@orin-1.local`` → ``orin-1``."""
    short = {spec: _short(spec) for spec in specs}
    twice = {name for name, count in Counter(short.values()).items() if count > 1}
    return {spec: spec if name in twice else name for spec, name in short.items()}


def _short(spec: str) -> str:
    if spec.startswith("ssh://"):
        host = spec.removeprefix("ssh://").rpartition("@")[2]
        name = host.partition(".")[0]
        return host if name.isdigit() or host.startswith("[") else name.partition(":")[0]
    return spec.removesuffix(":") if spec.endswith(":") else PurePath(spec).stem


def _by_board(records: tuple[Record, ...]) -> str:
    """Which board did how much, where there was more than one."""
    did = Counter(record.device for record in records)
    short = short_names(list(did))
    told = ", ".join(f"{short[spec]} {count}" for spec, count in sorted(did.items()))
    lines = textwrap.wrap(f"by board: {told}", 80, subsequent_indent=" " * 10)
    return "\n".join(lines) if len(did) > 1 else ""


def _in_short(record: Record) -> str:
    """The first clause of why a trial has no result, without the names of its board and job."""
    words = record.reason.partition("\n")[0].removeprefix(on_board(record.device, ""))
    for job in JOBS:
        words = words.removeprefix(f"{job}: ")
    return words.partition(": ")[0]


def _compression(records: tuple[Record, ...]) -> str:
    """How often each stage of compression ran and how often it was found done."""
    ran, found = Counter[str](), Counter[str]()
    for record in records:
        for name, time in record.evaluation.stages.items():
            (found if time.cached else ran)[name] += 1
    names = [name for name in COMPRESSION if ran[name] + found[name]]
    if names and not any(ran[name] for name in names):
        return f"compression: nothing computed, everything from the cache ({', '.join(names)})"
    told = ", ".join(f"{name} {ran[name]}" for name in names)
    return f"compression computed: {told}; the rest cached" if told else ""


def _values(params: Mapping[str, object]) -> str:
    return " ".join(map(str, params.values()))
