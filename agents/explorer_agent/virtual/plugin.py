"""What ``serve --simulate NAME`` loads: the runtime and the meter of the virtual board below the agent's root, in place
of those of the machine it runs on, which neither computes nor measures for it.
"""

from __future__ import annotations

import contextlib
import os
import signal

from explorer_agent import meters, runtimes, sysfs
from explorer_agent.virtual.meter import meter
from explorer_agent.virtual.runtime import Virtual
from explorer_agent.virtual.world import World

_AGENT = os.getppid()  # of the nursery that jobs are forked from: the agent


def restart() -> None:
    """A board that restarts takes agent and job with it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(_AGENT, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


runtimes.RUNTIMES.clear()
meters.METERS.clear()
RUNTIMES = {"tensorrt": Virtual(World.below(sysfs.ROOT, restart=restart))}
METERS = {"ina3221": meter}
