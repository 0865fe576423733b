"""The command line as a person meets it: quick help, examples, 80 columns, pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

COMMANDS = [
    "run",
    "report",
    "recommend",
    "export",
    "train",
    "evaluate",
    "replay-search",
    "list",
    "schema",
    "agent",
    "agent serve",
    "agent bundle",
    "agent check",
]
SPACE = """\
study: s
model: {onnx: net.onnx}
space: {batch: [1, 2, 3, 4, 5, 6, 7, 8], threads: [1, 2]}
precision: fp32
runtime: onnxruntime
objectives: {throughput_ips: max, model_mb: min}
search: {sampler: random, seed: 3, race: "off"}
measure: {warmup_s: 0.02, window_s: 0.05, windows_min: 2, budget_s: 0.2, relative_interval: 0.5, idle_s: 0}
"""


def explorer(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "explorer", *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path / "net.onnx")
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory, root: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A study of three trials in its folder, and what the run said; whoever reads it leaves it as it is."""
    folder = tmp_path_factory.mktemp("explored")
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", folder / "net.onnx")
    (folder / "space.yaml").write_text(SPACE)
    return folder, explorer("run", "--space", "space.yaml", "--trials", "3", cwd=folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_and_fits_80_columns(command: str) -> None:
    told = explorer(*command.split(), "--help")
    assert told.returncode == 0
    assert f"explorer {command}".removesuffix(" ") in re.search(r"Example:(.*)", told.stdout)[1]  # type: ignore[index]
    assert max(map(len, told.stdout.splitlines())) <= 80
    assert "\x1b" not in told.stdout


HEAVY = {"torch", "optuna", "pandas", "numpy", "pydantic", "matplotlib", "onnx"}


def loaded_by(code: str) -> str:
    """Which heavy packages are loaded after `code`."""
    after = f"import sys; print(sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"
    told = subprocess.run([sys.executable, "-c", f"{code}\n{after}"], capture_output=True, text=True, check=True)
    return told.stderr.strip()


def test_help_loads_nothing_heavy() -> None:
    code = "import sys\nfrom explorer.cli import app\nsys.argv = ['explorer', '--help']\n"
    assert loaded_by(f"{code}try: app()\nexcept SystemExit: pass") == "[]"


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import explorer") == "[]"


@pytest.mark.parametrize("space", ["quickstart", "jetson_orin"])
def test_a_space_of_a_shipped_network_is_read_without_torch(space: str) -> None:
    assert "torch" not in loaded_by(f"from explorer.config import find, load\nload(find('{space}'))")


def test_the_version_is_that_of_the_package() -> None:
    assert explorer("--version").stdout == f"explorer {version('explorer')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str, tmp_path: Path) -> None:
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # whatever shell, or none, has started the tests
    script = explorer("--show-completion", shell, **named)
    assert script.returncode == 0, script.stderr
    assert f"complete_{shell}" in script.stdout
    installed = explorer("--install-completion", shell, HOME=str(tmp_path), **named)
    assert installed.returncode == 0, installed.stderr
    assert any("EXPLORER_COMPLETE" in path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_a_misspelt_option_is_exit_2() -> None:
    told = explorer("run", "--spce", "quickstart")
    assert told.returncode == 2
    assert "--space" in told.stderr
    assert "Traceback" not in told.stderr


def test_run_report_and_what_is_piped(explored: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, ran = explored
    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stderr.splitlines() if re.match(r"\d/3 ", line)]
    assert len(lines) == 3
    assert "left" in lines[0]
    assert "results/s" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr
    told = json.loads(explorer("report", "--pareto", "--format", "json", cwd=folder).stdout)
    assert told["trials"] == {"complete": 3}
    expected = front_by_brute_force(folder / "results" / "s" / "trials.jsonl")
    assert [{name: trial[name] for name in expected[0]} for trial in told["front"]] == expected
    table = explorer("report", "--pareto", cwd=folder)
    assert "s: 3 complete" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80


def front_by_brute_force(trials: Path) -> list[Any]:
    """Fastest first: the records that no other is at least as fast and as small as, and better in one of the two."""
    records = [json.loads(line) for line in trials.read_text().splitlines()]

    def gains(record: Any) -> tuple[float, float]:
        return record["metrics"]["throughput_ips"]["value"], -record["metrics"]["model_mb"]["value"]

    def beaten(record: Any) -> bool:
        mine = gains(record)
        return any(all(a >= b for a, b in zip(his, mine, strict=True)) and his != mine for his in map(gains, records))

    return sorted((r for r in records if not beaten(r)), key=gains, reverse=True)


def test_no_study_is_one_clear_message(tmp_path: Path) -> None:
    told = explorer("report", cwd=tmp_path)
    assert told.returncode == 2
    assert "no study yet" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.slow
def test_control_c_saves_and_the_same_command_continues(folder: Path) -> None:
    command = [sys.executable, "-m", "explorer", "run", "--space", "space.yaml"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    trials = folder / "results" / "s" / "trials.jsonl"
    deadline = time.monotonic() + 60
    while (not trials.exists() or trials.read_text().count("\n") < 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in stderr
    assert "Traceback" not in stderr
    kept = trials.read_text()
    assert 2 <= kept.count("\n") < 16
    again = explorer("run", "--space", "space.yaml", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "continues after" in again.stderr
    assert trials.read_text().startswith(kept)
    records = [json.loads(line) for line in trials.read_text().splitlines()]
    assert len({json.dumps(r["params"]) for r in records}) == len(records) == 16


def test_what_a_trial_ran_is_exported(explored: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = explored
    told = explorer("export", "--trial", "0", "--to", "onnx", "--output", "out", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert (folder / "out" / "model.onnx").read_bytes() == (folder / "net.onnx").read_bytes()
    assert explorer("export", "--trial", "0", "--to", "engine", "--output", "out", cwd=folder).returncode == 0
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert (manifest["kind"], manifest["record"]["number"]) == ("engine", 0)
    assert (folder / "out" / "model.engine").stat().st_size > 0
    wrong = explorer("export", "--trial", "9", "--output", "out", cwd=folder)
    assert (wrong.returncode, "no such trial" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    "kind", ["models", "datasets", "passes", "runtimes", "meters", "samplers", "spaces", "devices"]
)
def test_every_kind_is_listed(kind: str) -> None:
    told = explorer("list", kind)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip()


def test_a_misspelt_kind_names_the_nearest() -> None:
    told = explorer("list", "modles")
    assert told.returncode == 2
    assert "did you mean 'models'?" in told.stderr


def test_the_bundle_is_written_and_serves(tmp_path: Path) -> None:
    assert explorer("agent", "bundle", "-o", "agent.pyz", cwd=tmp_path).returncode == 0
    told = subprocess.run(
        [sys.executable, "agent.pyz", "serve", "--home", "home"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert json.loads(told.stdout.splitlines()[0])["type"] == "hello"


def test_a_plan_is_told_and_nothing_is_started(folder: Path) -> None:
    cache = {"EXPLORER_CACHE": str(folder / "cache")}
    told = explorer("run", "--space", "space.yaml", "--trials", "5", "--plan", cwd=folder, **cache)
    assert (told.returncode, told.stderr) == (0, "")
    assert max(map(len, told.stdout.splitlines())) <= 80
    assert "local: was connected to" in told.stdout
    assert not (folder / "results").exists()
    assert not (folder / "cache" / "stages").exists()
    for_scripts = explorer("run", "--space", "space.yaml", "--plan", "--format", "json", cwd=folder, **cache)
    assert json.loads(for_scripts.stdout)["trials"] == 16
