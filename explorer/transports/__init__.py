"""Ways to an agent: whatever gives two byte streams, and says what the far side last complained about."""

from __future__ import annotations

from typing import BinaryIO, Protocol

STALL_S = 30.0  # a write that gets not a single byte further for so long is given up


class Transport(Protocol):
    """An agent that was started, at the other end of two byte streams.

    Reading ends, or raises OSError, when the far side has gone. Writing raises TimeoutError when the far side takes
    nothing for `STALL_S`.
    """

    incoming: BinaryIO
    outgoing: BinaryIO

    def last_words(self) -> str:
        """The tail of what the far side printed on stderr, and how it ended if it has."""

    def close(self) -> None:
        """End the agent and leave nothing behind; may be called twice, and while another thread reads."""
