"""Compression as a content-addressed graph: each distinct stage runs once, ever.

    weights ──► prune ──► finetune ──► export ──► quantise
       │          │           │           │           │
    <cache>/blobs/<sha256>    one file each, found again by
    <cache>/stages/<key>.json     key = sha256(stage, its version, its parameters, the sha256 of its inputs)

A stage holds its key's lock while it runs, so that two processes never compute the same thing, and a process that dies
frees it. The output is adopted before the entry that names it is written: an entry is either absent or true. Where
stages run is the executor's business (`explorer.execution`); which stages a candidate needs is
`explorer.compression`'s.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from explorer.artifacts import Artifacts
from explorer.errors import ExplorerError, JobFailed
from explorer.result import StageTime


@dataclass(frozen=True)
class Stage:
    """One step of the graph: a pass, its parameters, and the blobs or stages it reads."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Stage | str] = field(default_factory=dict)  # role → stage, or the sha256 of a blob


@dataclass(frozen=True)
class Done:
    """A finished network: its blob; and of every stage before it the time, what it told, and its output."""

    sha256: str
    times: Mapping[str, StageTime] = field(default_factory=dict)  # stage name → …, along the whole chain
    infos: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    def followed_by(self, later: Done) -> Done:
        """`later`, knowing also of the stages before it."""
        times, infos = {**self.times, **later.times}, {**self.infos, **later.infos}
        return Done(later.sha256, times, infos, {**self.outputs, **later.outputs})


class Executor(Protocol):
    """Where stages are executed: local processes now, a distributed engine later."""

    def submit(self, stage: Stage, cache: Path) -> Future[Done]:
        """Begin to make `stage` and all it needs."""

    def pause(self) -> None:
        """Stand still, so that a measurement on the same machine has it to itself."""

    def resume(self) -> None:
        """Go on after `pause`."""

    def close(self) -> None:
        """Stop; what was not finished is lost and will be made again when it is asked for."""


class Pipeline:
    """Makes compressed networks, ahead of need where asked to."""

    def __init__(self, artifacts: Artifacts, executor: Executor) -> None:
        self.artifacts = artifacts
        self._executor = executor
        self._quiet = threading.Lock()

    def prepare(self, source: Stage | str) -> Future[Done]:
        """Begin to make a stage; what is in the cache, and a blob that needs no stage, is there at once."""
        done = Done(source) if isinstance(source, str) else find(source, self.artifacts)
        if done is None:
            assert isinstance(source, Stage)  # a blob is always done
            return self._executor.submit(source, self.artifacts.root)
        future: Future[Done] = Future()
        future.set_result(done)
        return future

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Nothing is computed inside this context, and nobody else is in it."""
        with self._quiet:
            self._executor.pause()
            try:
                yield
            finally:
                self._executor.resume()

    def close(self) -> None:
        self._executor.close()


def find(stage: Stage, artifacts: Artifacts) -> Done | None:
    """The stage's outcome if it and everything it needs was made before."""
    return _resolve(stage, artifacts, lambda _stage, _inputs, key: _read(key, artifacts))


def make(stage: Stage, artifacts: Artifacts) -> Done:
    """The stage's outcome, computing whatever is missing.

    Raises:
        JobFailed: a stage raised something unforeseen; its traceback is the log's tail.
        ExplorerError: whatever a stage raised of its own.
    """
    done = _resolve(stage, artifacts, lambda stage, inputs, key: _make_one(stage, inputs, key, artifacts))
    assert done is not None  # _make_one never answers None
    return done


_Answer = Callable[[Stage, Mapping[str, str], str], "tuple[dict[str, Any], bool] | None"]


def _resolve(stage: Stage, artifacts: Artifacts, answer: _Answer) -> Done | None:
    """Walk the graph from its sources to `stage`; None as soon as `answer` has none."""
    inputs: dict[str, str] = {}
    before = Done("")
    for role, source in sorted(stage.inputs.items()):
        if isinstance(source, str):
            inputs[role] = source
            continue
        if (made := _resolve(source, artifacts, answer)) is None:
            return None
        inputs[role] = made.sha256
        before = before.followed_by(made)
    found = answer(stage, inputs, key_of(stage, inputs))
    if found is None:
        return None
    entry, cached = found
    taken = StageTime(entry["seconds"], cached)
    own = Done(entry["output"], {stage.name: taken}, {stage.name: entry["info"]}, {stage.name: entry["output"]})
    return before.followed_by(own)


def key_of(stage: Stage, inputs: Mapping[str, str]) -> str:
    """What the stage's outcome depends on, as a sha256."""
    from explorer.passes import version_of

    version = version_of(stage.name)
    text = json.dumps([stage.name, version, stage.params, dict(inputs)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _entry_path(key: str, artifacts: Artifacts) -> Path:
    return artifacts.root / "stages" / f"{key}.json"


def _read(key: str, artifacts: Artifacts) -> tuple[dict[str, Any], bool] | None:
    try:
        entry: dict[str, Any] = json.loads(_entry_path(key, artifacts).read_text())
    except FileNotFoundError:
        return None
    return (entry, True) if entry["output"] in artifacts else None


def _make_one(stage: Stage, inputs: Mapping[str, str], key: str, artifacts: Artifacts) -> tuple[dict[str, Any], bool]:
    path = _entry_path(key, artifacts)
    path.parent.mkdir(exist_ok=True)
    with _locked(path.with_suffix(".lock")):
        if found := _read(key, artifacts):
            return found
        entry = _run(stage, inputs, artifacts)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({"format": 1, "stage": stage.name, **entry}))
        temporary.replace(path)
    return entry, False


def _run(stage: Stage, inputs: Mapping[str, str], artifacts: Artifacts) -> dict[str, Any]:
    from explorer.passes import PASSES

    started = time.perf_counter()
    with artifacts.scratch() as scratch:
        out = scratch / "out"
        try:
            files = {role: artifacts.path(sha256) for role, sha256 in inputs.items()}
            info = PASSES.load(stage.name).run(files, dict(stage.params), out)
        except ExplorerError:
            raise
        except Exception as error:
            tail = "".join(traceback.format_exception(error)[-12:])
            raise JobFailed(f"{stage.name} failed: {type(error).__name__}: {error}", log_tail=tail) from error
        return {"output": artifacts.adopt(out), "info": info, "seconds": time.perf_counter() - started}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; the kernel frees it when the process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
