"""What the package promises: light imports, a whole wheel, and the same words in every file that says them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import explorer

HEAVY = ("torch", "optuna", "pandas", "matplotlib", "onnxruntime", "openvino", "scipy")


@pytest.fixture(scope="session")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def imported_by(code: str) -> set[str]:
    program = f"import sys; {code}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["explorer", "explorer.cli", "explorer_agent"])
def test_an_import_is_light(module: str) -> None:
    assert not imported_by(f"import {module}").intersection(HEAVY)


@pytest.mark.parametrize("heavy", ["torch", "optuna"])
def test_a_report_is_read_without(heavy: str) -> None:
    assert heavy not in imported_by("import explorer; explorer.load_study")


def test_help_waits_for_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "explorer", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.splitlines()}
    assert "typer" in imported
    assert not imported & {
        "numpy",
        "torch",
        "optuna",
        "onnx",
        "onnxruntime",
        "pandas",
        "matplotlib",
        "scipy",
        "paramiko",
    }


def test_the_version_is_said_once(project: dict[str, Any], root: Path) -> None:
    assert explorer.__version__ == project["project"]["version"]
    changelog = (root / "CHANGELOG.md").read_text()
    assert f"## [{explorer.__version__}]" in changelog or "## [Unreleased]" in changelog


def test_the_set_up_asks_for_the_torch_the_project_needs(project: dict[str, Any], root: Path) -> None:
    needed = next(name for name in project["project"]["dependencies"] if re.match(r"torch\W", name))
    assert f'TORCH = "{needed}"' in (root / "tools" / "set_up.py").read_text()


def test_every_extra_of_the_readme_exists(project: dict[str, Any], root: Path) -> None:
    named = re.findall(r"explorer\[([\w,]+)\]|-e '?\.\[([\w,]+)\]", (root / "README.md").read_text())
    extras = {extra for pair in named for part in pair for extra in part.split(",") if extra}
    assert extras <= set(project["project"]["optional-dependencies"])


def test_no_registry_and_no_machine_is_named(root: Path) -> None:
    hosts = "files" + ".pythonhosted|pypi" + r"\.org|registry\.npmjs|deb\.debian"  # split, or this file would name them
    found = subprocess.run(["git", "grep", "-nIE", hosts], cwd=root, capture_output=True, text=True)
    if found.returncode == 128:
        pytest.skip("not a git checkout")
    assert found.stdout == ""


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(root)]
    subprocess.run(pip, check=True, capture_output=True)
    return next(folder.glob("explorer-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_everything(wheel: Path, root: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tree = {p.relative_to(root).as_posix() for p in (root / "explorer").rglob("*") if p.is_file()}
    agent = {p.relative_to(root / "agents").as_posix() for p in (root / "agents/explorer_agent").rglob("*.py")}
    spaces = {f"explorer/_spaces/{p.name}" for p in (root / "search_spaces").glob("*.yaml")}
    boards = {f"explorer/_devices/{p.name}" for p in (root / "agents/devices").glob("*.yaml")}
    wanted = {name for name in tree | agent | spaces | boards if "__pycache__" not in name}
    assert "explorer/_spaces/quickstart.yaml" in names
    assert wanted <= names


@pytest.mark.slow
def test_an_installed_wheel_knows_its_spaces_and_can_explore(wheel: Path, root: Path, tmp_path: Path) -> None:
    """Away from any clone: spaces by name, boards by name, and an agent that is zipped from what is installed."""
    site = str(tmp_path / "site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    away = {**os.environ, "PYTHONPATH": site}

    def explorer(*arguments: str) -> str:
        command = [sys.executable, "-m", "explorer", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=away, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "quickstart" in explorer("list", "spaces")
    assert "local" in explorer("list", "devices")
    for name in ("small.onnx", "small.yaml"):
        shutil.copy(root / "examples" / "own_onnx" / name, tmp_path)
    assert "results" in explorer("run", "--space", "small.yaml", "--trials", "2")
