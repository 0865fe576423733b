"""Names to things: ours, a plug-in's, the user's own, and what is said when there is none."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import explorer.registry
from explorer.errors import BadInput
from explorer.registry import Registry, nearest

REGISTRY = Registry("models", {"ordered": ("collections:OrderedDict", "a dict that remembers")})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for modules of one's own; sys.path and sys.modules are as before afterwards."""
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("own_"):
            del sys.modules[name]


def test_a_name_of_ours() -> None:
    assert REGISTRY.load("ordered") is OrderedDict
    assert "ordered" in REGISTRY
    assert list(REGISTRY) == ["ordered"]
    assert REGISTRY.entries()["ordered"].summary == "a dict that remembers"


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    registry = Registry("models", {"absent": ("no_such_module:thing", "")})
    assert "absent" in registry
    with pytest.raises(BadInput, match="cannot import the model"):
        registry.load("absent")


def test_a_plug_in_is_found_and_never_hides_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def plugged(*, group: str) -> list[EntryPoint]:
        assert group == "explorer.models"
        return [EntryPoint("counter", "collections:Counter", group), EntryPoint("ordered", "nowhere:x", group)]

    monkeypatch.setattr(explorer.registry, "entry_points", plugged)
    assert REGISTRY.load("counter").__name__ == "Counter"
    assert REGISTRY.load("ordered") is OrderedDict


def test_ones_own_module_is_found_in_its_folder(folder: Path) -> None:
    (folder / "own_plain.py").write_text("def build(): return 7\n")
    (folder / "own_package").mkdir()
    (folder / "own_package" / "__init__.py").touch()
    (folder / "own_package" / "inner.py").write_text("VALUE = 8\n")
    assert REGISTRY.load("own_plain:build", search=folder)() == 7
    assert REGISTRY.load("own_package.inner:VALUE", search=folder) == 8


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        ("def build(): ...", "own_thing:biuld", "did you mean 'build'"),
        ("import no_such_library", "own_thing:build", "No module named 'no_such_library'"),
        ("1 / 0", "own_thing:build", "ZeroDivisionError"),
        ("def build(:", "own_thing:build", "SyntaxError"),
        ("", "own_thing:", "has no ''"),
        ("", ":build", "cannot import|fails on import"),
        ("", "own_nothing:build", "looked in"),
        ("", "ordred", "did you mean 'ordered'"),
        ("", "zzzzzz", "your own as package.module:attribute"),
    ],
)
def test_every_miss_is_one_clear_message(folder: Path, code: str, name: str, words: str) -> None:
    (folder / "own_thing.py").write_text(code)
    with pytest.raises(BadInput, match=words):
        REGISTRY.load(name, search=folder)


def test_a_file_hidden_by_an_installed_module_is_told(folder: Path) -> None:
    (folder / "json.py").write_text("def build(): ...\n")
    with pytest.raises(BadInput, match="rename json.py"):
        REGISTRY.load("json:build", search=folder)


def test_nearest() -> None:
    assert nearest("precison", ["batch", "precision"]) == "did you mean 'precision'?"
    assert nearest("zzz", ["batch", "precision"]) == ""
