"""The real agent serving a virtual board, over a real pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.statistics.measurement import Measurement
from explorer.transports.bundle import make_bundle
from explorer_agent.messages import Plan

from ..talk import Talk, interpreter

Start = Callable[..., Talk]
PLAN = asdict(Plan(cooldown_s=0.0, queries_min=700))


class Board(Talk):
    """The host's end of the wire to the agent of a virtual board; `hello` is its first word."""

    def __init__(self, python: str, bundle: Path, home: Path, *words: str) -> None:
        super().__init__(python, bundle, home, *words)
        self.hello, _ = self.hear()

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = self.hello["capabilities"]
        return found

    @property
    def root(self) -> Path:
        return self.home / "virtual-board"

    def built(self, path: Path, **deployment: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the agent says of a build, and the deployment that it was asked for."""
        deployment = {"runtime": "tensorrt", **deployment}
        reply = self.ask("build", source=self.put(path.read_bytes()), deployment=deployment)[0]
        return dict(reply), deployment

    def measured(self, engine: str, deployment: Mapping[str, Any], **plan: Any) -> Measurement:
        fields = {"engine": engine, "deployment": dict(deployment), "plan": {**PLAN, **plan}}
        reply, body = self.ask("measure", **fields, meter={"name": "auto"})
        assert reply["type"] == "measure", reply
        series, at = {}, 0
        for one in reply["series"]:
            series[one["name"]] = np.frombuffer(body, np.float64, one["count"], at)
            at += one["count"] * 8
        assert at == len(body)
        return Measurement(reply, series)


@pytest.fixture(scope="session")
def virtual_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("virtual"), virtual=True)[0]


@pytest.fixture
def start(virtual_bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Board]]:
    """Starts agents of virtual boards, with faults as words; all are ended with the test."""
    boards: list[Board] = []

    def begin(name: str, *words: str, python: str = sys.executable, home: Path | None = None, **faults: Any) -> Board:
        given = [word for fault, value in faults.items() for word in ("--fault", f"{fault}={json.dumps(value)}")]
        home = home or tmp_path / f"home-{len(boards)}"
        boards.append(Board(python, virtual_bundle, home, "--simulate", name, *given, *words))
        return boards[-1]

    yield begin
    for board in boards:
        board.close()


@pytest.fixture
def old_python() -> str:
    """Python 3.8, with what the runtime needs; a test that takes it is skipped where there is none."""
    found = interpreter("3.8")
    if not found:
        pytest.skip("no Python 3.8 on this machine")
    return found


def has_libraries(python: str) -> bool:
    """Whether that Python could build engines of a virtual board."""
    words = [python, "-c", "import numpy, onnx, onnxruntime"]
    return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0
