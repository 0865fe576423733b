"""What every test has: a cache of its own, one thread for each numeric library, a Chromium if the machine has one."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd import Sshd

# Before numpy or torch is imported: tests share few cores, and sums must not depend on how many there are.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# A shell that starts the tests in the background has them ignore Ctrl-C, and whatever they start as well: nothing that
# is to be tested with it would hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ("pytester",)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache below the test run's own folder, shared by all its tests: the user's is neither used nor filled."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPLORER_CACHE", str(folder))
        patch.setenv("MPLBACKEND", "agg")
        patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
        yield folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; tests that need one are skipped where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser on this machine; looked for {', '.join(BROWSERS)}")
    return found


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Sshd]:
    """A board account behind a real OpenSSH server; ssh:// finds its keys for the length of the test."""
    with Sshd(tmp_path / "board") as server, server.client():
        yield server


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parents[1]
