"""The benchmark of the way to a board still runs; how fast it is, it says itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sshd import need_sshd


@pytest.mark.slow
def test_the_benchmark_runs_to_its_end(root: Path) -> None:
    need_sshd()
    words = [sys.executable, str(root / "benchmarks" / "transfer.py"), "--megabytes", "20", "--rounds", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    verdicts = [line for line in done.stdout.splitlines() if line.startswith(("ok", "MISS"))]
    assert len(verdicts) == 4
