"""Blobs by their sha256: kept once, whole or not at all, and nothing left lying about."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from explorer.artifacts import STALE_S, Artifacts, cache_root, sha256_of
from explorer.errors import BadInput


def test_a_file_is_kept_once_and_found_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"bytes")
    (tmp_path / "b").write_bytes(b"bytes")
    artifacts = Artifacts(tmp_path / "cache")
    sha256 = artifacts.put(tmp_path / "a")
    assert sha256 == artifacts.put(tmp_path / "b") == hashlib.sha256(b"bytes").hexdigest() == sha256_of(tmp_path / "a")
    assert sha256 in artifacts
    assert artifacts.path(sha256).read_bytes() == b"bytes"
    assert (tmp_path / "a").exists()
    assert len([path for path in (tmp_path / "cache").rglob("*") if path.is_file()]) == 1


def test_adopting_moves(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "cache")
    with artifacts.scratch() as scratch:
        (scratch / "out").write_bytes(b"made")
        sha256 = artifacts.adopt(scratch / "out")
        assert not (scratch / "out").exists()
    assert not scratch.exists()
    assert artifacts.path(sha256).read_bytes() == b"made"


def test_what_a_killed_process_left_is_cleared_away_a_day_later(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    with artifacts.scratch() as old, artifacts.scratch() as new:
        os.utime(old, (0, time.time() - STALE_S - 1))
        Artifacts(tmp_path)
        assert not old.exists()
        assert new.exists()
        old.mkdir()  # for the context to remove


def test_the_root_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "mine"))
    assert cache_root() == tmp_path / "mine"
    monkeypatch.delenv("EXPLORER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "explorer"


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="EXPLORER_CACHE"):
        Artifacts(tmp_path / "file")
