"""The agent as a child of this process, over two pipes.

It is started from the same bundle that would be sent to a board, in a session of its own: Ctrl-C in the terminal is
for the host alone, which then ends the agent in good order. When the host dies, the agent's stdin ends: it finishes the
job under way, keeps the answer for a host that comes back, and ends.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from explorer import transports

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

LAST_WORDS = 4000
PATIENCE_S = 10
PIPE_BYTES = 1 << 20  # the most an ordinary user gets; fewer changes between the two processes


class LocalTransport:
    """A running agent on this machine."""

    def __init__(self, bundle: Path, *, home: Path, words: Sequence[str] = (), python: str = sys.executable) -> None:
        """Start it.

        Raises:
            OSError: `python` cannot be run.
        """
        arguments = [python, "-I", str(bundle), "serve", "--home", str(home), *words]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  open for as long as the agent may complain
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                arguments,
                stdin=pipe,
                stdout=pipe,
                stderr=self._errors,
                start_new_session=True,
                pipesize=PIPE_BYTES,
            )
        except OSError:
            self._errors.close()
            raise
        self.incoming = _present(self._process.stdout)
        self._pipe = _Patient(_present(self._process.stdin))
        self.outgoing: BinaryIO = io.BufferedWriter(self._pipe, PIPE_BYTES)

    @property
    def pid(self) -> int:
        return self._process.pid

    def last_words(self) -> str:
        if self._errors.closed:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):  # a stream ends a moment before its process does
            self._process.wait(0.2)
        size = os.fstat(self._errors.fileno()).st_size
        text = os.pread(self._errors.fileno(), LAST_WORDS, max(0, size - LAST_WORDS)).decode("utf-8", "replace").strip()
        status = self._process.poll()
        ending = "" if status is None else f"the agent ended with status {status}"
        return "\n".join(part for part in (text, ending) if part)

    def close(self) -> None:
        self._pipe.patience_s = 0.0
        with contextlib.suppress(OSError):  # a dead agent's pipe cannot be flushed; it is closed all the same
            self.outgoing.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.incoming.close()  # waits for a reader in another thread, which is at the end of the stream now
        self._errors.close()


class _Patient(io.RawIOBase):
    """The writing end of a pipe; a reader that has stopped reading is given up after a while, instead of never."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self.patience_s = transports.STALL_S
        self._poll = select.poll()  # unlike select it takes any descriptor: whoever imports us may have a thousand open
        self._poll.register(pipe, select.POLLOUT)
        os.set_blocking(pipe.fileno(), False)

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        if not self._poll.poll(self.patience_s * 1e3):
            raise TimeoutError(f"it has taken nothing for {self.patience_s:.0f} s")
        return os.write(self._pipe.fileno(), data)

    def close(self) -> None:
        super().close()
        self._pipe.close()


def _present(stream: object) -> BinaryIO:
    assert stream is not None  # asked for with PIPE
    return stream  # type: ignore[return-value]
