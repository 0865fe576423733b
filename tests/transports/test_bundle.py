"""The agent's one file: the same bytes from the same code, and it runs from there."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from explorer.transports.bundle import agent_folder, bundle_bytes, lean, make_bundle


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
    (copy / "wire.py").write_text((copy / "wire.py").read_text() + "MORE = 1\n")
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
    path, _ = make_bundle(tmp_path, virtual=True)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert {f"explorer_agent/{file.relative_to(agent_folder())}" for file in agent_folder().rglob("*.py")} < set(names)
    assert all(name.endswith(".py") for name in names)


def test_it_explains_itself(tmp_path: Path) -> None:
    path, _ = make_bundle(tmp_path)
    words = [sys.executable, "-I", str(path), "serve", "--help"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert "--home" in answer.stdout


@pytest.mark.parametrize("path", sorted(agent_folder().rglob("*.py")), ids=lambda path: path.name)
def test_what_is_sent_is_the_code_as_written_on_the_lines_where_it_was_written(path: Path) -> None:
    source = path.read_text()
    sent = lean(source)
    assert _code(sent) == _code(source)
    compile(sent, str(path), "exec")


def _code(source: str) -> str:
    """All of a module but its docstrings, with line and column of everything."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and len(node.body) > 1:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                del node.body[0]
    return ast.dump(tree, include_attributes=True)


def test_only_comments_and_docstrings_are_left_out() -> None:
    source = '''"""Why."""

# A comment,
#   of two lines.
x = "# no comment"  # one beside code stays


class Empty:
    """All there is."""


def f():
    """Two
    lines."""
    return """
# text
"""
'''
    expected = '''



x = "# no comment"  # one beside code stays


class Empty:
    """All there is."""


def f():


    return """
# text
"""
'''
    assert lean(source) == expected
