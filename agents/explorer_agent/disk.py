"""How much of the board's disk may be used, and what is said when there is no more."""

from __future__ import annotations

import errno
import shutil
import traceback
from pathlib import Path

from explorer_agent.messages import FAILED, AgentError

RESERVE_BYTES = 64 << 20  # the disk is full before it is quite full: logs, locks and the system still need room
SLACK_BYTES = 1 << 20
ROOM_GB = 10.0
FULL = (errno.ENOSPC, errno.EDQUOT)


def room_bytes(place: Path, used: int, *, room_gb: float) -> int:
    """How many bytes the store at `place`, which holds `used`, may hold.

    What the user says (`room_gb`); else 10 GB, but never more than half of what would be free if the store were
    empty: a board's disk is small, and is not ours.
    """
    if room_gb:
        return int(room_gb * 1e9)
    return int(min(ROOM_GB * 1e9, (shutil.disk_usage(str(place)).free + used) / 2))


def free_bytes(place: Path) -> int:
    """What may still be written at `place`; negative when others have taken of the reserve."""
    return shutil.disk_usage(str(place)).free - RESERVE_BYTES


def is_full(place: Path) -> bool:
    """Whether what just failed at `place` may have failed for want of room."""
    return shutil.disk_usage(str(place)).free < SLACK_BYTES


def no_room(place: Path, *, needed: int, free: int, why: str = "") -> AgentError:
    """The refusal, in words."""
    text = f"no room: {_mb(needed)} MB are needed below {place}, {_mb(max(0, free))} MB are free{why}"
    return AgentError(FAILED, text, hint="free some space, or serve from another --home", cause="disk")


def as_error(error: OSError, doing: str = "") -> AgentError:
    """An error of the system as it is told to the host."""
    words = f"{doing}: {error}" if doing else str(error)
    if error.errno in FULL:
        return AgentError(FAILED, f"no room: {words}", hint="free some space", cause="disk")
    return AgentError(FAILED, words, trace=traceback.format_exc())


def _mb(size: int) -> int:
    return -(-size // 10**6)
