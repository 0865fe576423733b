"""The agent over a real OpenSSH server."""

from __future__ import annotations

from pathlib import Path

import pytest
from sshd import Sshd

from explorer.device import connect

OPTIONS = {"plugins": ["explorer_agent.testing"], "runtimes": ["fake"]}


@pytest.mark.parametrize("by_alias", [False, True])
def test_a_board_answers_by_address_and_by_alias(board: Sshd, tmp_path: Path, by_alias: bool) -> None:
    spec = "ssh://board" if by_alias else board.spec
    with connect(spec, cache=tmp_path / "cache", options=OPTIONS) as device:
        assert not device.shares_host
        assert list(device.capabilities["runtimes"]) == ["fake"]
        assert device.round_trip_s() < 1
