"""``serve --simulate BOARD [--seed N] [--fault NAME=JSON]…``: plants the board's files below the agent's home, makes
them the agent's root, and has it served as any other.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Sequence

from explorer_agent.messages import UNSUPPORTED, AgentError

PLUGIN = "explorer_agent.virtual.plugin"
FOLDER = "virtual-board"


def serve(given: argparse.Namespace, go_on: Callable[[argparse.Namespace], int]) -> int:
    """Prepare what the command line asks for and go on with it; the exit status."""
    root = Path(given.home).expanduser().resolve() / FOLDER
    os.environ["EXPLORER_AGENT_ROOT"] = str(root)  # before anything reads it, the jobs' processes too
    from explorer_agent.virtual import tree

    try:
        tree.settle(root, given.simulate, seed=given.seed, faults=faults(given.fault))
    except (AgentError, OSError) as error:
        return _refused(error)
    given.plugin = [PLUGIN, *given.plugin]
    return go_on(given)


def faults(words: Sequence[str]) -> dict[str, Any]:
    """What ``NAME=JSON`` means.

    Raises:
        AgentError: unsupported: it is not written so.
    """
    found = {}
    for word in words:
        name, sign, value = word.partition("=")
        try:
            found[name] = json.loads(value)
        except ValueError as error:
            hint = "write fan=0.3, or dead_rails='[\"VDD_IN\"]'"
            raise AgentError(UNSUPPORTED, f"a fault is NAME=JSON, not {word!r}", hint=hint) from error
    return found


def _refused(error: Exception) -> int:
    """Tell the host why, in the frames that it reads."""
    from explorer_agent.wire import Writer

    known = error if isinstance(error, AgentError) else AgentError(UNSUPPORTED, f"cannot simulate: {error}")
    Writer(sys.stdout.buffer).write(known.to_wire())
    return 1
