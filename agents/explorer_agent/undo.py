"""What was changed on the board and how it was before, on disk before it is changed: so that any later process can
undo it.

    promise(old values) ──fsync──► undo.jsonl        then, and only then, the change
    undo()              ◄── last change first; each one read back; what could not be undone stays in the journal

The journal is data in a user's home, and whoever undoes may be root: a line is therefore one of three known actions
with a checked argument, and never words to be executed. A path is one of the few knobs that `clocks` turns.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

from explorer_agent import sysfs

Entry = Dict[str, Any]

KNOB = re.compile(
    r"/sys/devices/system/cpu/(cpu\d+/cpufreq|cpufreq/policy\d+)/scaling_(governor|min_freq|max_freq)"
    r"|/sys/([\w.@:+-]+/)+devfreq/[\w.@:+-]+/(min|max)_freq",
    re.ASCII,
)
VALUE = re.compile(r"[\w-]{1,32}", re.ASCII)
# `jetson_clocks --restore FILE` writes, as root, whatever the file says to wherever it says: so the file is where only
# root can write. It is gone after a reboot, and so are the clocks.
STORED_CLOCKS = Path("run/explorer-jetson_clocks.conf")
PLACES = ("usr/sbin", "usr/bin")  # of nvpmodel, and of jetson_clocks and sudo
TOOL_S = 60


@dataclass
class Undone:
    """What an undo came to, in words."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Journal:
    """The changes that are to be undone on the board below `root`; `by` names the session that makes them."""

    def __init__(self, home: Path, *, root: Path = sysfs.ROOT, by: str = "") -> None:
        self._path = home / "undo.jsonl"
        self._root = root
        self._by = by

    def promise(self, entries: list[Entry]) -> None:
        """Have `entries` on disk; what they undo may be done from now on.

        Raises:
            OSError: they are not; nothing may be changed.
            ValueError: one is not of a kind that can be undone.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        ours = [json.dumps(dict(entry, by=self._by, boot=boot_id(self._root))) for entry in entries]
        for line in ours:
            checked(line)
        with self._alone():
            self._save(self._lines() + ours)

    def undo(self, *, own: bool = False) -> Undone:
        """Undo everything, last change first; only this session's if `own`. May be repeated.

        Raises:
            OSError: the journal cannot be read or written.
        """
        undone, kept = Undone(), []
        if not self._path.exists():
            return undone
        with self._alone() as turn:
            os.lseek(turn, 0, os.SEEK_END)  # nobody agrees to anything while undoing
            for line in reversed(self._lines()):
                if not self._settle(line, undone, own, turn):
                    kept.append(line)
            self._save(kept[::-1])
        return undone

    def pending(self) -> bool:
        """Whether something of this session has not been undone."""
        return any(map(self._is_own, self._lines()))

    def _is_own(self, line: str) -> bool:
        try:
            return checked(line).get("by") == self._by
        except ValueError:
            return False

    def forget(self, action: str) -> None:
        """Take back what this session has promised of a kind: it is meant to last."""
        with self._alone():
            lines = self._lines()
            self._save([line for line in lines if not (self._is_own(line) and checked(line)["do"] == action)])

    def run(self, name: str, *words: str, answer: bytes = b"") -> str:
        """Run one of the board's programs to change what has been promised, with an `answer` to what it asks; its
        output.

        Raises:
            OSError: see `run`.
        """
        with self._alone() as turn:
            os.ftruncate(turn, 0)
            os.pwrite(turn, answer, 0)
            os.lseek(turn, 0, os.SEEK_SET)
            return run(self._root, turn, name, *words)

    def power_mode(self) -> int:
        """The number of the board's power mode now; see `power_mode`."""
        with self._alone() as turn:
            os.lseek(turn, 0, os.SEEK_END)
            return power_mode(self._root, turn)

    def _settle(self, line: str, undone: Undone, own: bool, turn: int) -> bool:
        """Whether `line` needs no more undoing."""
        if own and not self._is_own(line):
            return False
        try:
            entry = checked(line)
            undone.done.append(_ACTIONS[entry["do"]](self._root, entry, turn))
        except (OSError, ValueError) as error:
            undone.failed.append(str(error))
            return False
        return True

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """It is this process's turn, and nobody else's, to change or undo. Yields a file that holds the turn for as
        long as anybody has it open: a program that gets it as its stdin ends its turn itself, should whoever started
        it be killed.
        """
        name = self._path.with_suffix(".lock")
        turn = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if not locked(turn, within_s=2 * TOOL_S):
                raise OSError(f"{name}: another process does not stop changing this board's settings")
            yield turn
        finally:
            os.close(turn)

    def _lines(self) -> list[str]:
        """Whole lines; one that was torn was never relied on, as no change comes before its line is on disk."""
        if not self._path.exists():
            return []
        *whole, _ = self._path.read_text(encoding="utf-8", errors="replace").split("\n")
        return [line for line in whole if line.strip()]

    def _save(self, lines: list[str]) -> None:
        """Replace the journal in one step."""
        if not lines:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        else:
            new = self._path.with_suffix(".new")
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            with open(
                os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write("".join(line + "\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def writing(knob: Path, root: Path) -> Entry:
    """The entry that gives `knob` its present value back."""
    inside = "/" + os.path.relpath(os.path.realpath(knob), os.path.realpath(root))
    return {"do": "write", "path": inside, "text": read(knob)}


def checked(line: str) -> Entry:
    """The entry in a line of the journal.

    Raises:
        ValueError: it is not one that this agent would have written.
    """
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(f"the journal holds a line that is none of its own: {line[:80]!r}") from None
    action = entry.get("do") if isinstance(entry, dict) else None
    path, text, mode = (entry.get(key) for key in ("path", "text", "mode")) if action else (None, None, None)
    well = {
        "write": isinstance(path, str) and KNOB.fullmatch(path) and isinstance(text, str) and VALUE.fullmatch(text),
        "nvpmodel": type(mode) is int and 0 <= mode < 100,
        "jetson_clocks": True,
    }
    if not isinstance(action, str) or not well.get(action):
        raise ValueError(f"the journal asks for what this agent never does: {line[:160]!r}")
    return dict(entry)


def boot_id(root: Path) -> str:
    """Differs from boot to boot; empty where there is none."""
    path = root / "proc/sys/kernel/random/boot_id"
    return read(path) if path.exists() else ""


def read(path: Path) -> str:
    """What a knob says."""
    return path.read_text(encoding="ascii", errors="replace").strip()


def tool(name: str, root: Path) -> str:
    """Where the board's program `name` is; empty where it is not."""
    return shutil.which(name, path=os.pathsep.join(str(root / place) for place in PLACES)) or ""


def locked(file: int, *, within_s: float) -> bool:
    """Whether an exclusive lock on `file` was to be had in time."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def run(root: Path, turn: int, name: str, *words: str) -> str:
    """Run one of the board's programs as root, by sudo where need be; its output.

    Args:
        root: of the board.
        turn: its stdin; what stands in it from where it is read is its answer to whatever it is asked.
        name: of the program.
        words: for it.

    Raises:
        OSError: it is not there, may not be run, takes longer than TOOL_S, or complains. jetson_clocks ends with 0
            whatever happens, so its words are looked at.
    """
    program = tool(name, root)
    if not program:
        raise OSError(f"this board has no {name}")
    argv = [program, *words]
    if os.geteuid() != 0 and tool("sudo", root):
        argv = [tool("sudo", root), "-n", *argv]
    status, told = _output(name, argv, turn)
    if status or re.search(r"\berror\b", told, re.IGNORECASE):
        raise OSError("{} {}: {}".format(name, " ".join(words), told.strip()[-300:] or status))
    return told


def _output(name: str, argv: list[str], stdin: int) -> tuple[int, str]:
    """Exit status and output of a program, which is left to itself if it takes too long and cannot be ended: one that
    sudo runs is root's.
    """
    process = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        told, _ = process.communicate(timeout=TOOL_S)
    except subprocess.TimeoutExpired as error:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait(1)
        if process.stdout is not None:
            process.stdout.close()
        raise OSError(f"{name} takes longer than {TOOL_S} s") from error
    return process.returncode, told


def power_mode(root: Path, turn: int) -> int:
    """The number of the board's power mode; ``nvpmodel -q`` says its name, then its number."""
    numbers = re.findall(r"^\s*(\d+)\s*$", run(root, turn, "nvpmodel", "-q"), re.MULTILINE)
    if not numbers:
        raise OSError("nvpmodel -q names no power mode")
    return int(numbers[-1])


def _write(root: Path, entry: Entry, _: int) -> str:
    path, text = entry["path"], entry["text"]
    if entry.get("boot") != boot_id(root):
        return f"{path}: back by itself, the board was restarted"
    whole = os.path.join(os.path.realpath(root), path.lstrip("/"))
    if os.path.realpath(whole) != whole:
        raise ValueError(f"{path}: leads elsewhere, to {os.path.realpath(whole)}; not touched")
    knob = Path(whole)
    if not knob.exists():
        return f"{path}: no longer there"  # a processor switched off, a driver unloaded
    if read(knob) != text:
        knob.write_text(text, encoding="ascii")
    if read(knob) != text:
        raise OSError(f"{path}: is {read(knob)} still, was {text}")
    return f"{path}: {text}"


def _nvpmodel(root: Path, entry: Entry, turn: int) -> str:
    mode, told = entry["mode"], ""
    if power_mode(root, turn) != mode:
        try:
            run(root, turn, "nvpmodel", "-m", str(mode))  # one that wants a reboot hears no yes, and changes nothing
        except OSError as error:
            told = f": {error}"
    now = power_mode(root, turn)
    if now == mode:
        return f"power mode {mode}"
    if entry.get("may_stay") is True:
        return f"power mode {now} stays: {mode}, which it was, wants a restart of the board"
    raise OSError(f"the power mode is {now} still, was {mode}; it may need a restart of the board{told}")


def _jetson_clocks(root: Path, entry: Entry, turn: int) -> str:
    if entry.get("boot") != boot_id(root):
        return "jetson_clocks: undone by the restart of the board"
    run(root, turn, "jetson_clocks", "--restore", str(root / STORED_CLOCKS))
    return "jetson_clocks --restore"


_ACTIONS: dict[str, Callable[[Path, Entry, int], str]] = {
    "write": _write,
    "nvpmodel": _nvpmodel,
    "jetson_clocks": _jetson_clocks,
}
