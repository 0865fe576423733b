"""A study on disk: append-only, fsynced, and readable at any moment, also while it is being written.

    results/<study>/
        study.json          what is explored and with what; written once
        trials.jsonl        one record a line: the truth
        begun.jsonl         the number and the candidate of every trial that a board was asked for
        boards.jsonl        what the reference engine yielded on a board: when it joined a fleet, and beside each trial
        races.jsonl         one race a line: what undecided candidates yielded, measured against each other
        raw/0007.json.gz    the raw measurement of trial 7; written before its record
        raw/0007.score.json.gz      the counts behind its scores
        raw/race-0001.json.gz       the raw measurement of race 1; written before its line

A line counts once its newline is on the disk. Whatever follows the last newline is the torn tail of a write that was
killed: readers pass over it, and the next writer cuts it off.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from explorer.errors import BadInput, Problem
from explorer.result import Objective, Record
from explorer.tally import Tally

# The format of study.json. 1: first.
STUDY_FORMAT = 1
STUDY, TRIALS, RAW, LOCK = "study.json", "trials.jsonl", "raw", ".lock"
BEGUN, BOARDS, RACES = "begun.jsonl", "boards.jsonl", "races.jsonl"


@dataclass(frozen=True)
class StudyData:
    """A results folder as read."""

    folder: Path
    study: Mapping[str, Any]  # study.json
    records: tuple[Record, ...]

    @property
    def name(self) -> str:
        return str(self.study["study"])

    @cached_property
    def races(self) -> tuple[dict[str, Any], ...]:
        """What `Store.append_race` has written, the oldest first."""
        return tuple(_whole_objects(self.folder / RACES))

    @cached_property
    def boards(self) -> tuple[dict[str, Any], ...]:
        """What `Store.append_board` has written, the oldest first."""
        return tuple(_whole_objects(self.folder / BOARDS))

    def tallies(self, number: int) -> dict[str, Tally]:
        """The counts behind the scores of a trial, by metric; those that were kept."""
        score = _read_json(_score_path(self.folder, number)) or {}
        return {name: Tally.from_json(data) for name, data in score.items() if "kind" in data}

    def score(self, number: int) -> dict[str, Any] | None:
        """What was kept of a trial's score, as plain JSON; None for nothing."""
        return _read_json(_score_path(self.folder, number))

    def raw(self, number: int) -> dict[str, Any] | None:
        """What was kept of a trial's measurement, as plain JSON; None for nothing."""
        return _read_json(_raw_path(self.folder, number))

    def raw_race(self, number: int) -> dict[str, Any] | None:
        """What was kept of a race's measurement, as plain JSON; None for nothing."""
        return _read_json(_race_path(self.folder, number))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return tuple(Objective(o["metric"], o["direction"]) for o in self.study["objectives"])


def read(folder: Path) -> StudyData:
    """Read a results folder; never waits for, nor disturbs, a run that writes to it.

    Raises:
        BadInput: there is no study in the folder, or it cannot be read.
    """
    return StudyData(folder, read_study(folder), tuple(_records(folder / TRIALS)))


def read_study(folder: Path) -> dict[str, Any]:
    """The content of ``study.json``.

    Raises:
        BadInput: the file is absent, broken, or of a newer format.
    """
    path = folder / STUDY
    try:
        data: Any = json.loads(path.read_text())
    except FileNotFoundError as error:
        hint = "give the folder that holds study.json, usually results/<study>; 'explorer run' makes one"
        raise BadInput(Problem("no study here", file=folder, seen=f"no {STUDY}", hint=hint)) from error
    except (OSError, ValueError) as error:
        raise BadInput(Problem("cannot read the study", file=path, seen=str(error))) from error
    if not isinstance(data, dict) or data.get("format", 0) > STUDY_FORMAT:
        seen = f"format {data.get('format')}" if isinstance(data, dict) else "not a JSON object"
        raise BadInput(Problem("cannot read the study", file=path, seen=seen, allowed=f"format {STUDY_FORMAT}"))
    return dict(data)


def newest(results: Path) -> Path:
    """The study folder below `results` that was written to last.

    Raises:
        BadInput: there is none.
    """
    studies = [path.parent for path in results.glob(f"*/{STUDY}")]
    if not studies:
        raise BadInput(Problem("no study yet", file=results, hint="run one first: explorer run --space quickstart"))
    return max(studies, key=_last_written)


def _last_written(folder: Path) -> float:
    trials = folder / TRIALS
    return (trials if trials.exists() else folder / STUDY).stat().st_mtime


def _records(path: Path) -> Iterator[Record]:
    content = path.read_bytes() if path.exists() else b""
    lines = content.split(b"\n")[:-1]  # what follows the last newline was never finished
    for number, line in enumerate(lines, start=1):
        try:
            yield Record.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            problem = Problem(
                "cannot read this record", file=path, line=number, seen=f"{type(error).__name__}: {error}"
            )
            raise BadInput(problem) from error


def _whole_objects(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file of lines; what is torn or of another kind is passed over."""
    for line in (path.read_bytes() if path.exists() else b"").split(b"\n"):
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                yield found


class Store:
    """The one writer of a results folder. Get it from `open_store`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._trials = _open_whole_lines(folder / TRIALS)

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(_records(self.folder / TRIALS))

    @property
    def boards(self) -> tuple[dict[str, Any], ...]:
        """What `append_board` has written, the oldest first."""
        return tuple(_whole_objects(self.folder / BOARDS))

    def describe(self, study: Mapping[str, Any]) -> dict[str, Any]:
        """Write ``study.json`` where there is none yet; what it holds."""
        if not (self.folder / STUDY).exists():
            stamped = {"format": STUDY_FORMAT, **study, "created": datetime.now(UTC).isoformat(timespec="microseconds")}
            _write_whole(self.folder / STUDY, json.dumps(stamped, indent=2).encode() + b"\n")
        return read_study(self.folder)

    def begin(self, number: int, params: Mapping[str, Any]) -> None:
        """Note that a board is about to be asked for a trial.

        Not fsynced: a host that dies leaves it to the kernel, and one that loses power only measures once more.
        """
        with open(self.folder / BEGUN, "ab", opener=_own) as file:
            file.write(_line({"number": number, "params": dict(params)}))

    def unfinished(self) -> dict[int, Mapping[str, Any]]:
        """Parameters of the trials that were begun and never recorded, by number."""
        done = {record.number for record in self.records}
        begun = {line["number"]: line["params"] for line in _whole_objects(self.folder / BEGUN)}
        return {number: begun[number] for number in sorted(begun) if number not in done}

    @property
    def races(self) -> tuple[dict[str, Any], ...]:
        """What `append_race` has written, the oldest first."""
        return tuple(_whole_objects(self.folder / RACES))

    def append_board(self, line: Mapping[str, Any]) -> None:
        """Write what a board yielded with the reference engine; it is on the disk when this returns."""
        self._append(BOARDS, line)

    def append_race(self, line: Mapping[str, Any], *, raw: Mapping[str, Any]) -> None:
        """Write what a race came to, and its raw measurement before it; both are on the disk when this returns."""
        _write_packed(_race_path(self.folder, int(line["race"])), raw)
        self._append(RACES, line)

    def append(self, record: Record) -> None:
        """Write the record, and before it its raw measurement and what its score was counted from, where it has them;
        all are on the disk when this returns.
        """
        if record.evaluation.raw is not None:
            _write_packed(_raw_path(self.folder, record.number), record.evaluation.raw)
        if record.evaluation.score is not None:
            _write_packed(_score_path(self.folder, record.number), record.evaluation.score)
        os.write(self._trials, _line(record.to_json()))
        os.fsync(self._trials)

    def close(self) -> None:
        os.close(self._trials)

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        """One line more, on the disk when this returns; a torn one before it is ended, and passed over by readers."""
        with open(self.folder / name, "a+b", opener=_own) as file:
            torn = file.seek(0, os.SEEK_END) > 0 and _last_byte(file) != b"\n"
            file.write(b"\n" * torn + _line(line))
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def open_store(folder: Path, study: Mapping[str, Any] | None = None) -> Iterator[Store]:
    """Open `folder` for writing, making it if need be; a `study` is described there as by `Store.describe`.

    Raises:
        BadInput: the folder cannot be written, or another run writes to it.
    """
    try:
        (folder / RAW).mkdir(parents=True, exist_ok=True)
        lock = open(folder / LOCK, "a+", opener=_own)  # noqa: SIM115  closed by the block below
    except OSError as error:
        raise BadInput(_unwritable(folder, error)) from error
    with lock:
        _hold(lock, folder)
        store = _writer(folder)
        try:
            if study is not None:
                store.describe(study)
            yield store
        finally:
            store.close()


def _writer(folder: Path) -> Store:
    try:
        return Store(folder)
    except OSError as error:
        raise BadInput(_unwritable(folder, error)) from error


def _own(path: str, flags: int) -> int:
    """Open a file to be cut or written; never through a symlink, which may lead to a file that is none of a study's."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def _last_byte(file: IO[bytes]) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _raw_path(folder: Path, number: int) -> Path:
    return folder / RAW / f"{number:04d}.json.gz"


def _score_path(folder: Path, number: int) -> Path:
    return folder / RAW / f"{number:04d}.score.json.gz"


def _race_path(folder: Path, number: int) -> Path:
    return folder / RAW / f"race-{number:04d}.json.gz"


def _read_json(path: Path) -> dict[str, Any] | None:
    """A packed JSON object; None where there is no such file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return dict(json.loads(gzip.decompress(path.read_bytes())))
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise BadInput(Problem("cannot read what was measured", file=path, seen=str(error))) from error


def set_aside(folder: Path) -> Path | None:
    """Rename an existing results folder out of the way, so that nothing is lost; its new name, or None."""
    if not folder.exists():
        return None
    taken = (folder.with_name(f"{folder.name}.old-{n}") for n in range(1, 10_000))
    aside = next(path for path in taken if not path.exists())
    try:
        folder.rename(aside)
    except OSError as error:
        raise BadInput(_unwritable(folder, error)) from error
    return aside


def _unwritable(folder: Path, error: OSError) -> Problem:
    hint = "choose another place with --results DIR"
    return Problem("cannot write the results folder", file=folder, seen=error.strerror or str(error), hint=hint)


def _hold(lock: IO[str], folder: Path) -> None:
    """Take the folder's lock for as long as the file is open; the kernel frees it when the process dies."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        seen = f"process {lock.read().strip() or '?'} holds it"
        hint = "wait for it, or give another --results"
        raise BadInput(Problem("another run writes to this study", file=folder, seen=seen, hint=hint)) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _open_whole_lines(path: Path) -> int:
    """Open for appending, with the torn tail of a killed write cut off."""
    handle = _own(str(path), os.O_RDWR | os.O_CREAT | os.O_APPEND)
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        os.ftruncate(handle, whole)
        os.fsync(handle)
    return handle


def _write_packed(path: Path, data: Mapping[str, Any]) -> None:
    _write_whole(path, gzip.compress(_line(data), mtime=0))


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is either absent or complete, whenever the power goes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
