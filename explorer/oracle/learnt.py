"""What a board has shown to be impossible, kept for the next time: a file of lines that only grows.

    learn ──► {"fingerprint", "onnx", "deployment", "reason", "refused": true}  ──► refusals: like those of a rule
    withdraw ──► the same with "refused": false: the last word counts

The key is the board's fingerprint, the network's sha256 and the deployment; a board of another fingerprint has learnt
nothing of it. Only what a board calls infeasible belongs here: a failure of unclear cause is none, nor is a lost link.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from explorer.errors import BadInput, Problem
from explorer.oracle.rules import Refusal
from explorer.oracle.sources import SOURCES
from explorer.store.files import last_byte, line_of, own, whole_objects

FORMAT = 1
RULE = "learnt"

Key = tuple[str, str, str]


class Learnt:
    """What is in the file `path`; it need not be there yet, and other processes may add to it meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._known: dict[Key, dict[str, Any]] = {}

    def refusals(self, fingerprint: str, onnx_sha256: str, deployment: Mapping[str, Any]) -> tuple[Refusal, ...]:
        """Why the deployment is known to fail on the board; empty where nothing is known.

        Raises:
            BadInput: the file is there and cannot be read.
        """
        self._refresh()
        line = self._known.get(_key(fingerprint, onnx_sha256, deployment))
        if line is None or not line["refused"]:
            return ()
        when = f", {line['seen'][:10]}" if line.get("seen") else ""
        return (Refusal(RULE, str(line["reason"]), f"{SOURCES['board']} {fingerprint}{when}", asks=None),)

    def learn(self, fingerprint: str, onnx_sha256: str, deployment: Mapping[str, Any], *, reason: str) -> None:
        """Keep that the board called the deployment infeasible, and why; it is on the disk when this returns.

        Raises:
            BadInput: the file cannot be written.
        """
        if not self.refusals(fingerprint, onnx_sha256, deployment):
            self._append(fingerprint, onnx_sha256, deployment, reason=reason, refused=True)

    def withdraw(self, fingerprint: str, onnx_sha256: str, deployment: Mapping[str, Any], *, reason: str) -> None:
        """Keep that it works after all, where it was said to fail; it is on the disk when this returns.

        Raises:
            BadInput: the file cannot be written.
        """
        if self.refusals(fingerprint, onnx_sha256, deployment):
            self._append(fingerprint, onnx_sha256, deployment, reason=reason, refused=False)

    def _append(
        self, fingerprint: str, onnx_sha256: str, deployment: Mapping[str, Any], *, reason: str, refused: bool
    ) -> None:
        key = {"fingerprint": fingerprint, "onnx": onnx_sha256, "deployment": dict(deployment)}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = line_of({"format": FORMAT, **key, "refused": refused, "reason": reason, "seen": now})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a+b", opener=own) as file:
                torn = file.seek(0, os.SEEK_END) > 0 and last_byte(file) != b"\n"
                file.write(b"\n" * torn + line)  # one write: lines of two processes do not mix
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BadInput(self._problem("cannot write what a board has shown", error)) from error

    def _refresh(self) -> None:
        """Read the file again where it has grown."""
        try:
            state = self._path.stat() if self._path.exists() else None
            seen = (state.st_size, state.st_mtime_ns) if state else None
            if seen == self._seen:
                return
            lines = list(whole_objects(self._path))
        except OSError as error:
            raise BadInput(self._problem("cannot read what a board has shown", error)) from error
        self._seen = seen
        self._known = {_key_of(line): line for line in lines if _whole(line)}

    def _problem(self, what: str, error: OSError) -> Problem:
        return Problem(what, file=self._path, seen=error.strerror or str(error))


def _key(fingerprint: str, onnx_sha256: str, deployment: Mapping[str, Any]) -> Key:
    return fingerprint, onnx_sha256, json.dumps(dict(deployment), sort_keys=True)


def _key_of(line: Mapping[str, Any]) -> Key:
    return _key(line["fingerprint"], line["onnx"], line["deployment"])


def _whole(line: Mapping[str, Any]) -> bool:
    """Whether a line is one of ours: newer formats and others' lines are passed over."""
    kinds = {"fingerprint": str, "onnx": str, "deployment": dict, "refused": bool, "reason": str}
    told = all(isinstance(line.get(name), kind) for name, kind in kinds.items())
    return told and line.get("format") == FORMAT and isinstance(line.get("seen", ""), str)
