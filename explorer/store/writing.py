"""The one writer of a results folder: nothing is told before it is on the disk."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from explorer.errors import BadInput, Problem
from explorer.result import Record
from explorer.store.files import last_byte, line_of, open_whole_lines, own, whole_objects, write_packed, write_whole
from explorer.store.places import (
    BEGUN,
    BOARDS,
    LOCK,
    RACES,
    RAW,
    RUNS,
    STUDY,
    TRIALS,
    race_path,
    raw_path,
    score_path,
)
from explorer.store.reading import STUDY_FORMAT, read_study, records_of


class Store:
    """The one writer of a results folder. Get it from `open_store`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._trials = open_whole_lines(folder / TRIALS)

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(records_of(self.folder / TRIALS))

    @property
    def boards(self) -> tuple[dict[str, Any], ...]:
        """What `append_board` has written, the oldest first."""
        return tuple(whole_objects(self.folder / BOARDS))

    def describe(self, study: Mapping[str, Any]) -> dict[str, Any]:
        """Write ``study.json`` where there is none yet; what it holds."""
        if not (self.folder / STUDY).exists():
            stamped = {"format": STUDY_FORMAT, **study, "created": datetime.now(UTC).isoformat(timespec="microseconds")}
            write_whole(self.folder / STUDY, json.dumps(stamped, indent=2).encode() + b"\n")
        return read_study(self.folder)

    def begin(self, number: int, params: Mapping[str, Any]) -> None:
        """Note that a board is about to be asked for a trial.

        Not fsynced: a host that dies leaves it to the kernel, and one that loses power only measures once more.
        """
        with open(self.folder / BEGUN, "ab", opener=own) as file:
            file.write(line_of({"number": number, "params": dict(params)}))

    def unfinished(self) -> dict[int, Mapping[str, Any]]:
        """Parameters of the trials that were begun and never recorded, by number."""
        done = {record.number for record in self.records}
        begun = {line["number"]: line["params"] for line in whole_objects(self.folder / BEGUN)}
        return {number: begun[number] for number in sorted(begun) if number not in done}

    @property
    def runs(self) -> tuple[dict[str, Any], ...]:
        """What `append_run` has written, the oldest first."""
        return tuple(whole_objects(self.folder / RUNS))

    @property
    def races(self) -> tuple[dict[str, Any], ...]:
        """What `append_race` has written, the oldest first."""
        return tuple(whole_objects(self.folder / RACES))

    def append_run(self, line: Mapping[str, Any]) -> None:
        """Write what is known as a run begins, what a trial has ruled out, or why it ends; it is on the disk when this
        returns.
        """
        self._append(RUNS, {**line, "time": datetime.now(UTC).isoformat(timespec="seconds")})

    def append_board(self, line: Mapping[str, Any]) -> None:
        """Write what a board yielded with the reference engine; it is on the disk when this returns."""
        self._append(BOARDS, line)

    def append_race(self, line: Mapping[str, Any], *, raw: Mapping[str, Any]) -> None:
        """Write what a race came to, and its raw measurement before it; both are on the disk when this returns."""
        write_packed(race_path(self.folder, int(line["race"])), raw)
        self._append(RACES, line)

    def append(self, record: Record) -> None:
        """Write the record, and before it its raw measurement and what its score was counted from, where it has them;
        all are on the disk when this returns.
        """
        if record.evaluation.raw is not None:
            write_packed(raw_path(self.folder, record.number), record.evaluation.raw)
        if record.evaluation.score is not None:
            write_packed(score_path(self.folder, record.number), record.evaluation.score)
        os.write(self._trials, line_of(record.to_json()))
        os.fsync(self._trials)

    def close(self) -> None:
        os.close(self._trials)

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        """One line more, on the disk when this returns; a torn one before it is ended, and passed over by readers."""
        with open(self.folder / name, "a+b", opener=own) as file:
            torn = file.seek(0, os.SEEK_END) > 0 and last_byte(file) != b"\n"
            file.write(b"\n" * torn + line_of(line))
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
        lock = open(folder / LOCK, "a+", opener=own)  # noqa: SIM115  closed by the block below
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
