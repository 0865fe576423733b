"""Timing caches: one file a board, TensorRT and power mode; never worth a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer_agent.runtimes.tensorrt import timing

from .conftest import Boards

HERE = {"tensorrt": "8.5.2.2", "sm": 87}


def test_a_file_for_each_board_version_and_power_mode(tmp_path: Path) -> None:
    told = [(HERE, "15W"), (HERE, "MAXN"), ({**HERE, "sm": 72}, "15W"), ({**HERE, "tensorrt": "8.6.2"}, "15W")]
    assert len({timing.path(tmp_path, bound_to, mode) for bound_to, mode in told}) == len(told)
    assert timing.path(tmp_path, dict(reversed(HERE.items())), "15W") == timing.path(tmp_path, HERE, "15W")


def test_they_are_below_the_users_own_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert timing.folder() == Path("/somewhere/explorer-agent/timing")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert timing.folder().parts[-3:] == (".cache", "explorer-agent", "timing")


def test_what_one_build_learns_the_next_one_knows(board: Boards, tmp_path: Path) -> None:
    file = tmp_path / "below" / "a.timing"
    said = []
    for _ in range(2):
        cache, made = timing.Cache(file), board().module.IBuilderConfig()
        cache.into(made)
        said.append(cache.keep(made))
    assert said == ["new", "used"]
    assert file.read_bytes().startswith(b"timing")
    assert [path.name for path in file.parent.iterdir()] == ["a.timing"], "written beside, then renamed"


def test_a_damaged_one_is_told_and_begun_anew(board: Boards, tmp_path: Path) -> None:
    file = tmp_path / "a.timing"
    file.write_bytes(b"of another board")
    cache, made = timing.Cache(file), board().module.IBuilderConfig()
    cache.into(made)
    assert cache.keep(made) == "damaged, or another board's: begun anew"
    assert file.read_bytes() == b"timing learnt"


def test_one_that_cannot_be_read_or_kept_is_told(board: Boards, tmp_path: Path) -> None:
    (tmp_path / "a.timing").mkdir()
    cache, made = timing.Cache(tmp_path / "a.timing"), board().module.IBuilderConfig()
    cache.into(made)
    said = cache.keep(made)
    assert said.startswith("not read: ")
    assert "; not kept: " in said
    assert [path.name for path in tmp_path.iterdir()] == ["a.timing"], "nothing is left beside it"


def test_a_builder_without_a_cache_keeps_none(board: Boards, tmp_path: Path) -> None:
    made = board().module.IBuilderConfig()
    assert timing.Cache(tmp_path / "a.timing").keep(made) == "new"
    assert not (tmp_path / "a.timing").exists()
