"""A bundle that is made once, and an agent on a board without a device around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sshd import Sshd

from explorer.transports.bundle import make_bundle
from explorer.transports.ssh import SshTransport

Reach = Callable[..., SshTransport]
QUICK = ("--plugin=explorer_agent.testing", "--runtime=fake")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def reach(bundle: tuple[Path, str]) -> Iterator[Reach]:
    """Start the agent on a board; ended after the test."""
    started: list[SshTransport] = []

    def begin(board: Sshd | str, **options: Any) -> SshTransport:
        spec = board if isinstance(board, str) else board.spec
        started.append(SshTransport(spec, *bundle, words=options.pop("words", QUICK), **options))
        return started[-1]

    yield begin
    for transport in started:
        transport.close()
