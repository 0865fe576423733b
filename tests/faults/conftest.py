"""A scene for each test: behind a relay, or behind a link where root can make one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from network import why_no_link

from faults.board import board
from faults.clock import Clock, why_no_clock
from faults.scene import Scene

Make = Callable[..., Scene]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Scenes of all kinds: ``make(link=True, disk_mb=100, clock=True, trials=3, options={…})``."""
    with ExitStack() as stack:

        def scene(*, link: bool = False, disk_mb: int = 0, clock: bool = False, **more: Any) -> Scene:
            if reason := (why_no_link() if link or disk_mb else "") or (why_no_clock() if clock else ""):
                pytest.skip(reason)
            far = Clock(tmp_path / "far clock") if clock else None
            near = Clock(tmp_path / "near clock") if clock else None
            there = stack.enter_context(board(tmp_path / "board", link=link, disk_mb=disk_mb, clock=far))
            made = Scene(tmp_path / "host", there, clock=near, **{"trials": 3, **more})
            stack.callback(made.close)
            return made

        yield scene


@pytest.fixture
def scene(make: Make) -> Scene:
    """Three candidates on a board behind a relay."""
    return make()
