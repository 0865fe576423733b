"""Heat: a board warms up towards what its watts lead to, and holds its clocks back when it is too hot.

°C   ───────────────────── throttle_c      clocks are held back above it, let go BACK_C below
         ___________ ambient + watts × heat_c_per_w
       ╱
     ─╯ ambient
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from explorer_agent.virtual.boards import Board

AMBIENT_C = 25.0
BACK_C = 3.0
HELD = 0.6  # of the clocks is left while they are held back: ASSUMED


@dataclass(frozen=True)
class Heat:
    """The junction's temperature, and whether clocks are held back for it."""

    celsius: float
    throttled: bool = False

    @property
    def clocks(self) -> float:
        """The share of the clocks that is left."""
        return HELD if self.throttled else 1.0


def settled(board: Board, watts: float, *, ambient_c: float = AMBIENT_C, cooling: float = 1.0) -> Heat:
    """Where the board ends up when it draws so many watts forever."""
    celsius = ambient_c + watts * board.heat_c_per_w / cooling
    return Heat(celsius, throttled=celsius >= board.throttle_c)


def after(
    heat: Heat, board: Board, watts: float, seconds: float, *, ambient_c: float = AMBIENT_C, cooling: float = 1.0
) -> Heat:
    """`heat` after so many seconds at so many watts.

    Args:
        heat: before.
        board: whose resistance and time constant count.
        watts: all that the board draws.
        seconds: how long.
        ambient_c: of the room.
        cooling: 1 with the fan as it should be; 0.3 when it stands still.
    """
    target = settled(board, watts, ambient_c=ambient_c, cooling=cooling).celsius
    celsius = target + (heat.celsius - target) * math.exp(-seconds * cooling / board.heat_s)
    limit = board.throttle_c - (BACK_C if heat.throttled else 0.0)
    return replace(heat, celsius=celsius, throttled=celsius >= limit)
