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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that ask for `python` meet every Python a board may have; all others that start an agent, this one and, as
    slow tests, the oldest, a Jetson's and the newest.
    """
    chosen = metafunc.definition.get_closest_marker("parametrize")
    if "python" in metafunc.fixturenames and not (chosen and "python" in chosen.args[0]):
        metafunc.parametrize("python", ["this", "3.8", "3.10", *_slow("3.9", "3.11", "3.12", "3.13")], indirect=True)
    elif "agent_python" in metafunc.fixturenames and "python" not in metafunc.fixturenames:
        metafunc.parametrize("agent_python", ["this", *_slow("3.8", "3.10", "3.13")], indirect=True)


def _slow(*versions: str) -> list[object]:
    return [pytest.param(version, marks=pytest.mark.slow) for version in versions]


def _found(version: str) -> str:
    found = sys.executable if version == "this" else interpreter(version)
    if not found:
        pytest.skip(f"no Python {version} on this machine")
    return str(found)


@pytest.fixture
def python(request: pytest.FixtureRequest) -> str:
    return _found(request.param)


@pytest.fixture(scope="session")
def agent_python(request: pytest.FixtureRequest) -> str:
    """What runs the agents of a test that does not say."""
    return _found(getattr(request, "param", "this"))


@pytest.fixture(scope="module")
def shared(bundle: Path, agent_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """One agent for all the tests of a module that leave it as it was."""
    home = tmp_path_factory.mktemp("home")
    talk = Talk(agent_python, bundle, home, "--plugin", "explorer_agent.testing", "--runtime", "fake")
    talk.hear()
    yield talk
    talk.close()


@pytest.fixture
def start(bundle: Path, agent_python: str, tmp_path: Path) -> Iterator[Callable[..., Talk]]:
    """Starts agents; all of them are ended with the test."""
    talks: list[Talk] = []

    def begin(*words: str, python: str = agent_python, home: Path | None = None, hello: bool = True) -> Talk:
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
