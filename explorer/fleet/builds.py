"""A build server: one more board of a study's kind, which builds the engines of the others and measures nothing.

    board's thread ── ONNX file ──►  build server ──►  its board
                   ◄── engine ─────      one at a time; what it has built before it has at once

Without it, while it is away, each board builds for itself. An engine that another kind of board has built would not run
there: the server is compared with the boards when it is connected, and TensorRT's engines name what they are bound to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from explorer.device import Built, Device
from explorer.errors import BadInput, DeviceLost, NoDevice, in_one_line
from explorer.evaluate import on_the_board

T = TypeVar("T")

RETRY_S = 60.0  # a server that is away is not tried again sooner


class BuildServer:
    """Builds for whichever board asks; to be closed."""

    def __init__(self, spec: str, connect: Callable[[str], Device], note: Callable[[str], None]) -> None:
        """Connect.

        Args:
            spec: what its board is reached by.
            connect: a connection to a board that is like the others; raises NoDevice or BadInput.
            note: hears what a person should know.

        Raises:
            BadInput: it is another kind of board.
        """
        self._spec, self._connect, self._note = spec, connect, note
        self._device: Device | None = None
        self._away_until_s = 0.0
        self._closed = threading.Event()
        self._lock = threading.Lock()
        try:
            self._device = connect(spec)
        except NoDevice as error:
            self._away(error)

    def __call__(self, board: Device, source: Path, sha256: str, deployment: Mapping[str, Any]) -> Built:
        """The engine of the ONNX file `source`, on `board`.

        Raises:
            Infeasible, JobFailed: it cannot be built, wherever it was tried.
            DeviceLost: `board` went away.
        """
        built = self._asked(lambda server: server.build(source, deployment, sha256=sha256))
        if built is None:
            return on_the_board(board, source, sha256, deployment)
        if not board.holds(built.engine):
            engine = self._asked(lambda server: server.get(built.engine))
            if engine is None:
                return on_the_board(board, source, sha256, deployment)
            board.keep(engine)
        return built

    def close(self) -> None:
        """Let go of its board; whoever waits for it builds for himself."""
        self._closed.set()
        if self._device is not None:
            self._device.close()

    def _asked(self, question: Callable[[Device], T]) -> T | None:
        """The server's answer; None while it is away. One question at a time."""
        with self._lock:
            server = self._reached()
            if server is None:
                return None
            try:
                return question(server)
            except DeviceLost as loss:
                server.close()
                self._away(loss)
                return None

    def _reached(self) -> Device | None:
        """The server's board, connected again if it was away long enough."""
        if self._device is None and not self._closed.is_set() and time.monotonic() >= self._away_until_s:
            try:
                self._device = self._connect(self._spec)
            except (NoDevice, BadInput) as error:  # another kind of board has its place now
                self._away(error)
            if self._closed.is_set() and self._device is not None:  # meanwhile; nobody else knows of this connection
                self._device.close()
        return self._device

    def _away(self, why: Exception) -> None:
        self._device, self._away_until_s = None, time.monotonic() + RETRY_S
        if not self._closed.is_set():
            self._note(f"{in_one_line(str(why))}; until it is back, each board builds its own engines")
