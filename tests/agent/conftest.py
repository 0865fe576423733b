"""A real agent over real pipes, under this Python and, where they are installed, the oldest ones boards have."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from explorer.transports.bundle import make_bundle

from .talk import Talk, interpreter


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"))[0]


@pytest.fixture(scope="session", params=["this", "3.8", "3.10"])
def python(request: pytest.FixtureRequest) -> str:
    found = sys.executable if request.param == "this" else interpreter(request.param)
    if not found:
        pytest.skip(f"no Python {request.param} on this machine")
    return str(found)


@pytest.fixture(scope="module")
def shared(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """One agent for all the tests of a module that leave it as it was."""
    home = tmp_path_factory.mktemp("home")
    talk = Talk(sys.executable, bundle, home, "--plugin", "explorer_agent.testing", "--runtime", "fake")
    talk.hear()
    yield talk
    talk.close()


@pytest.fixture
def start(bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Talk]]:
    """Starts agents; all of them are ended with the test."""
    talks: list[Talk] = []

    def begin(*words: str, python: str = sys.executable, home: Path | None = None, hello: bool = True) -> Talk:
        talk = Talk(
            python, bundle, home or tmp_path / "home", "--plugin", "explorer_agent.testing", "--runtime", "fake", *words
        )
        talks.append(talk)
        if hello:
            assert talk.hear()[0]["type"] == "hello"
        return talk

    yield begin
    for talk in talks:
        talk.close()
