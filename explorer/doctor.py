"""`explorer agent check`: what a device is, what was found and not found on it, what to do, as a page or as JSON.

connect ──► timed from here: reach, request, transfer
   │        the agent's own findings (`check`)
   └──────► Examination ──► page, JSON, verdict
"""

from __future__ import annotations

import json
import os
import shlex
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from explorer.artifacts import cache_root
from explorer.device import Device, connect
from explorer.errors import BadInput, DeviceLost, Infeasible, JobFailed, NoDevice, Problem
from explorer.registry import nearest
from explorer.transports import specs
from explorer.transports.boards import boards, who_asks

FORMATS = ("text", "json")
WIDTH = 80
MARGIN, LABEL = 8, 12  # columns of the mark and of the topic; what was found begins behind them
PROBE_BYTES = 1 << 20
PROBE_S = 0.2  # a probe that took less says little; a larger one follows
LARGEST_PROBE = 32 << 20
SLOW_REQUEST_MS = 100.0
SECTIONS = {
    "The way there": ("reached", "request", "transfer", "agent"),
    "The board": ("simulated", "board", "jetpack", "processor", "virtual", "python", "disk", "memory", "swap", "date"),
    "What runs networks": ("runtime", "gpu", "cuda", "tensorrt", "dla"),
    "Power and clocks": ("rails", "total", "lag", "meter", "power mode", "clocks", "sudo"),
    "At this moment": ("temperature", "throttling", "desktop", "load"),
}
LEGEND = "ok: fine   note: good to know   warn: could be better   bad: has to be mended"
STYLES = {"ok": "green", "note": "cyan", "warn": "yellow", "bad": "bold red"}


@dataclass(frozen=True)
class Finding:
    """One line of the page: what was looked for, how it is, what to do."""

    topic: str
    state: str  # ok | note | warn | bad
    found: str
    advice: str = ""
    because: str = ""  # why measurements made now would be doubtful, if they would be

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Finding:
        """What an agent told, be it newer or older than this program."""
        words = {name: str(told.get(name, "")) for name in ("topic", "found", "advice", "because")}
        return cls(state=told["state"] if told.get("state") in STYLES else "note", **words)


@dataclass(frozen=True)
class Examination:
    """Everything found out about one device."""

    device: str
    findings: tuple[Finding, ...]

    @property
    def obstacles(self) -> list[Finding]:
        """What keeps the device from being used at all."""
        return [finding for finding in self.findings if finding.state == "bad"]

    @property
    def doubts(self) -> list[Finding]:
        """What would make measurements doubtful."""
        return [finding for finding in self.findings if finding.because]

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.obstacles:
            return f"not usable: {self.obstacles[0].topic}: {self.obstacles[0].found}"
        if not self.doubts:
            return "ready: nothing found that would make measurements doubtful"
        others = len(self.doubts) - 1
        more = f" (and {others} more reason{'s' * (others > 1)} above)" if others else ""
        return f"usable, but measurements would be doubtful because {self.doubts[0].because}{more}"


def report_on(spec: str, *, format: str) -> bool:
    """Print the examination of the device `spec`, or of each device if it names a group; whether all are usable.

    Raises:
        NoDevice: one cannot be reached, or is in use; what was found of the others has been printed.
        BadInput: a format nobody knows, or a board's file that cannot be read.
    """
    check_format(format)
    console, reasons, told = Console(highlight=False), [], []
    for one in (devices := _devices(spec)):
        try:
            examination = examine(one)
        except (NoDevice, DeviceLost) as error:
            reasons.append(_mending(one, str(error)))
            told.append({"device": one, "usable": False, "verdict": str(error), "findings": []})
            continue
        if format == "text":
            console.print(*([""] if told else []), page(examination), sep="\n", soft_wrap=True)
        told.append(_plain(examination))
    if format == "json":
        print(json.dumps(told if len(devices) > 1 else told[0], indent=2))
    if reasons:
        raise NoDevice("\n".join(reasons))
    return all(one["usable"] for one in told)


def check_format(format: str) -> None:
    """See that a page can be written so.

    Raises:
        BadInput: it cannot.
    """
    if format not in FORMATS:
        allowed, hint = ", ".join(FORMATS), nearest(format, FORMATS)
        raise BadInput(Problem("unknown format", seen=repr(format), allowed=allowed, hint=hint))


def examine(spec: str) -> Examination:
    """Connect to the device `spec`, ask it, and time the way there.

    Raises:
        NoDevice: it cannot be reached, or is in use; with the reason and what to do.
        BadInput: the board's file says something nobody understands.
        DeviceLost: it went away meanwhile.
    """
    started = time.perf_counter()
    # a holder of its own: whoever uses the device is not taken over from, but named
    me = who_asks(f"explorer agent check, process {os.getpid()}")
    with connect(spec, cache=cache_root(), holder=me, search=Path.cwd()) as device:
        reached_s = time.perf_counter() - started
        return Examination(spec, (*_way(device, reached_s), *_told(device)))


def page(examination: Examination) -> Text:
    """For people: sections, then what makes measurements doubtful, then the verdict; 80 columns, colours optional."""
    text = Text().append(f"Device {examination.device}\n", "bold")
    text.append(LEGEND + "\n", "dim")
    for title, findings in _sections(examination.findings):
        text.append(f"\n{title}\n", "bold")
        topic = ""
        for finding in findings:
            _line(text, finding, topic="" if finding.topic == topic else finding.topic)
            topic = finding.topic
    text.append("\nWhat would make measurements doubtful\n", "bold")
    for number, (advice, reasons) in enumerate(_remedies(examination.doubts).items(), 1):
        _wrapped(text, f"{number}. {'; '.join(reasons)}", indent=2, hanging=5)
        _wrapped(text, f"→ {advice}", indent=5, hanging=7)
    if not examination.doubts:
        text.append("  nothing of what was looked at\n")
    text.append("\n")
    state = "bad" if examination.obstacles else "warn" if examination.doubts else "ok"
    _wrapped(text, examination.verdict, style=STYLES[state])
    text.rstrip()
    return text


def _devices(spec: str) -> tuple[str, ...]:
    """The members of a group; of anything else itself, be it known or not."""
    known, here = boards(), Path.cwd()
    file = specs.file_of(spec, known=known, search=here)
    is_group = file is not None and file.is_file() and "group" in specs.described(file)
    return specs.expand(spec, known=known, search=here) if is_group else (spec,)


def _plain(examination: Examination) -> dict[str, Any]:
    """For scripts."""
    told = {"device": examination.device, "usable": not examination.obstacles, "verdict": examination.verdict}
    return {**told, "findings": [asdict(finding) for finding in examination.findings]}


def _way(device: Device, reached_s: float) -> Iterator[Finding]:
    begun = f"of which {device.hello_s:.1f} s are the agent's start"
    yield Finding("reached", "ok", f"in {reached_s:.1f} s, {begun}")
    trip_ms = device.round_trip_s() * 1e3
    slow = trip_ms > SLOW_REQUEST_MS
    advice = "a cable, or a better place for the antenna" if slow else ""
    yield Finding("request", "note" if slow else "ok", f"{trip_ms:.2g} ms from a question to its answer", advice)
    speed_mb_s = _upload_mb_s(device)
    speed = f"{speed_mb_s:.0f}" if speed_mb_s > 10 else f"{speed_mb_s:.2g}"
    yield Finding("transfer", "ok", f"{speed} MB/s to the device: 100 MB take {_seconds(100 / speed_mb_s)}")
    yield Finding("agent", "ok", f"sha256 {device.agent_sha[:16]}… of all code that measures there")


def _mending(spec: str, words: str) -> str:
    """An error in 80 columns, and what to try when it does not say so itself; commands stay in one piece."""
    first, *more = words.splitlines()
    if not more:
        by_hand = f"try it by hand:  ssh {shlex.quote(spec)} python3 --version"
        listed = "a board you can ssh into is ssh://user@host; see:  explorer list devices"
        more = [f"    {by_hand if spec.startswith('ssh://') else listed}"]
    return "\n".join([textwrap.fill(first, WIDTH - len("error: "), break_on_hyphens=False), *more])


def _upload_mb_s(device: Device) -> float:
    size = PROBE_BYTES
    while (seconds := device.upload_s(size)) < PROBE_S and size < LARGEST_PROBE:
        size *= 4
    return size / 1e6 / seconds


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    return f"{seconds / 60:.0f} minutes" if seconds > 120 else f"{seconds:.0f} s"


def _told(device: Device) -> Iterator[Finding]:
    try:
        yield from map(Finding.of, device.findings())
    except (Infeasible, JobFailed) as error:  # an older one does not know the question
        yield Finding("agent", "note", f"it tells no more than this: {error}")


def _sections(findings: Sequence[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """Each with what belongs there; what a newer agent tells of other things comes last."""
    for title, topics in SECTIONS.items():
        found = [finding for finding in findings if finding.topic in topics]
        if found:
            yield title, sorted(found, key=lambda finding: topics.index(finding.topic))
    known = {topic for topics in SECTIONS.values() for topic in topics}
    rest = [finding for finding in findings if finding.topic not in known]
    if rest:
        yield "And", rest


def _remedies(doubts: Sequence[Finding]) -> dict[str, list[str]]:
    """What to do → against what; one remedy may help against several things."""
    found: dict[str, list[str]] = {}
    for doubt in doubts:
        found.setdefault(doubt.advice, []).append(doubt.because)
    return found


def _line(text: Text, finding: Finding, *, topic: str) -> None:
    text.append("  ").append(f"{finding.state:<{MARGIN - 2}}", STYLES[finding.state])
    indent = MARGIN + LABEL
    lines = textwrap.wrap(finding.found, WIDTH - indent, break_on_hyphens=False) or [""]
    text.append(f"{topic[: LABEL - 1]:<{LABEL}}" + f"\n{' ' * indent}".join(lines) + "\n")
    if finding.advice and not finding.because:
        _wrapped(text, f"→ {finding.advice}", indent=indent, hanging=indent + 2)


def _wrapped(text: Text, words: str, *, indent: int = 0, hanging: int = 0, style: str = "") -> None:
    wrapper = textwrap.TextWrapper(
        WIDTH, initial_indent=" " * indent, subsequent_indent=" " * hanging, break_on_hyphens=False
    )
    text.append(wrapper.fill(words) + "\n", style)
