"""The cache of arrays: whole or not there, made once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from explorer.datasets.cache import cached, key_of
from explorer.errors import BadInput


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path))
    return tmp_path


def never() -> dict[str, np.ndarray]:
    raise AssertionError("made again")


def test_what_is_there_is_not_made_again() -> None:
    made = cached("test", "a", lambda: {"x": np.arange(3), "y": np.ones(2)})
    again = cached("test", "a", never)
    assert {name: array.tolist() for name, array in again.items()} == {"x": [0, 1, 2], "y": [1, 1]}
    with pytest.raises(ValueError, match="read-only"):
        made["x"][0] = 9


def test_nothing_is_left_behind_by_a_failure(cache: Path) -> None:
    with pytest.raises(AssertionError):
        cached("test", "a", never)
    (cache / "datasets/test/a.part").mkdir(exist_ok=True)  # as a killed process leaves it
    (cache / "datasets/test/a.part/torn.npy").write_bytes(b"half")
    assert cached("test", "a", lambda: {"x": np.zeros(1)}).keys() == {"x"}


def make_slowly(log: str) -> None:
    def make() -> dict[str, np.ndarray]:
        with Path(log).open("a") as file:
            file.write("made\n")
        return {"x": np.arange(200_000)}

    assert cached("test", "shared", make)["x"][-1] == 199_999


def test_of_several_processes_one_makes_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=make_slowly, args=(str(tmp_path / "log"),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "log").read_text() == "made\n"


def test_a_damaged_file_is_named_and_never_unpickled(cache: Path) -> None:
    cached("test", "a", lambda: {"x": np.zeros(4)})
    (cache / "datasets/test/a/x.npy").write_bytes(b"no array")
    with pytest.raises(BadInput, match="delete that folder"):
        cached("test", "a", never)


def test_a_cache_that_cannot_be_written_is_said(cache: Path) -> None:
    (cache / "datasets").write_text("a file where the folder should be")
    with pytest.raises(BadInput, match="EXPLORER_CACHE"):
        cached("test", "a", lambda: {"x": np.zeros(1)})


def test_key_depends_on_the_words_not_on_their_order() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 1, "b": 3})
