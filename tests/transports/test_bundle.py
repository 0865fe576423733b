"""The agent's one file: the same bytes from the same code, and it runs from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from explorer.transports.bundle import agent_folder, bundle_bytes, make_bundle


def test_equal_code_has_equal_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "explorer_agent"
    shutil.copytree(agent_folder(), copy)
    for file in copy.rglob("*.py"):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    assert bundle_bytes(copy) == bundle_bytes()


def test_other_code_has_other_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "explorer_agent"
    shutil.copytree(agent_folder(), copy)
    (copy / "wire.py").write_text((copy / "wire.py").read_text() + "\n")
    assert bundle_bytes(copy) != bundle_bytes()


def test_it_is_written_once_and_mended_when_damaged(tmp_path: Path) -> None:
    path, sha256 = make_bundle(tmp_path)
    before = path.stat().st_mtime_ns
    assert make_bundle(tmp_path) == (path, sha256)
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"cut short")
    assert make_bundle(tmp_path)[0].read_bytes() == bundle_bytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_it_holds_sources_only_and_all_of_them(tmp_path: Path) -> None:
    path, _ = make_bundle(tmp_path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert {f"explorer_agent/{file.relative_to(agent_folder())}" for file in agent_folder().rglob("*.py")} < set(names)
    assert all(name.endswith(".py") for name in names)


def test_it_explains_itself(tmp_path: Path) -> None:
    path, _ = make_bundle(tmp_path)
    words = [sys.executable, "-I", str(path), "serve", "--help"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert "--home" in answer.stdout
