"""Bad input, a table: each case one clear message on stderr, exit code 2, no traceback, nothing on stdout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

GOOD = """\
study: small
model: {onnx: small.onnx}
space:
  batch: [1, 4]
objectives: {output_error: min, throughput_ips: max}
search: {trials: 1}
measure: {warmup_s: 0, window_s: 0.02, windows_min: 2, budget_s: 0.1}
"""
GAIT = GOOD.replace("{onnx: small.onnx}", "{name: gaitset_tiny, weights: net.pt}\ndataset: walkers").replace(
    "output_error: min", "accuracy: max"
)


def nothing(_: Path) -> None:
    """Most cases are the text of the file alone."""


@dataclass(frozen=True)
class Case:
    """A space file, what is done beforehand, how it is run, and what the message must hold."""

    name: str
    text: str
    words: tuple[str, ...]
    prepare: Callable[[Path], None] = nothing
    options: tuple[str, ...] = ()


def torn_checkpoint(folder: Path) -> None:
    with zipfile.ZipFile(folder / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", os.urandom(4000))
    whole = (folder / "net.pt").read_bytes()
    (folder / "net.pt").write_bytes(whole[: len(whole) // 2])


def foreign_checkpoint(folder: Path) -> None:
    with zipfile.ZipFile(folder / "net.pt", "w") as archive:
        archive.writestr("readme.txt", "a zip file, but no checkpoint")


def torn_onnx(folder: Path) -> None:
    whole = (folder / "small.onnx").read_bytes()
    (folder / "small.onnx").write_bytes(whole[: len(whole) // 2])


def a_file_in_the_way(folder: Path) -> None:
    (folder / "results").write_text("in the way\n")


def another_experiment(folder: Path) -> None:
    (folder / "space.yaml").write_text(GOOD.replace("[1, 4]", "[1, 8]"))
    ran = explorer("run", "--space", "space.yaml", folder=folder)
    assert ran.returncode == 0, ran.stderr


GAITSET_TIN = GAIT.replace("gaitset_tiny", "gaitset_tin")
PRUNED = GOOD.replace("  batch", "  prune_ratio: [0, 0.5]\n  batch")
SCORED = GOOD.replace("output_error: min", "accuracy: max")

CASES = [
    Case("misspelt key", GOOD.replace("space:", "spcae:"), ("space.yaml:3: spcae", "did you mean 'space'?")),
    Case("misspelt axis", GOOD.replace("batch:", "bacth:"), ("space.yaml:4: space.bacth", "did you mean 'batch'?")),
    Case("wrong type", GOOD.replace("trials: 1", "trials: one"), ("space.yaml:6: search.trials", "a whole number")),
    Case("wrong value", GOOD.replace("[1, 4]", "[1, 0]"), ("space.yaml:4: space.batch[1]", "1 or more")),
    Case("unknown model", GAITSET_TIN, ("space.yaml:2: model.name", "did you mean 'gaitset_tiny'?")),
    Case("unknown dataset", GAIT.replace("walkers", "walker"), ("space.yaml:3: dataset", "did you mean 'walkers'?")),
    Case("missing space file", GOOD, ("no such space file", "quickstart"), options=("--space", "quickstrat")),
    Case("missing network", GOOD.replace("small.", "smal."), ("space.yaml:2: model.onnx", "did you mean 'small.onnx'")),
    Case("missing weights", GAIT, ("space.yaml:2: model.weights", "there is no such file")),
    Case("empty space", GOOD.replace("  batch: [1, 4]", "  {}"), ("the space is empty",)),
    Case(
        "a rule that excludes everything",
        GOOD + "rules:\n  - {when: {threads: 1}, then: {batch: 1}}\n  - {when: {batch: 1}, then: {batch: 4}}\n",
        ("space.yaml:9: rules[0]", "space.yaml:10: rules[1]", "leaves no candidate"),
    ),
    Case(
        "a rule that can never apply",
        GOOD + "rules:\n  - {when: {precision: int8}, then: {batch: 1}}\n",
        ("space.yaml:9: rules[0].when.precision", "never has this value"),
    ),
    Case("truncated checkpoint", GAIT, ("space.yaml:2: model.weights", "truncated"), torn_checkpoint),
    Case("a checkpoint of another kind", GAIT, ("space.yaml:2: model.weights", "checkpoint"), foreign_checkpoint),
    Case("truncated network", GOOD, ("space.yaml:2: model.onnx", "not a whole ONNX file"), torn_onnx),
    Case("pruning a bare file", PRUNED, ("its weights are fixed", "torch module")),
    Case("accuracy without data", SCORED, ("needs a dataset", "output_error")),
    Case("not YAML", GOOD + "rules: [\n", ("space.yaml:9", "not valid YAML")),
    Case("no virtual board", GOOD + "device: sim:orin\n", ("space.yaml:8: device", "agx-orin-64")),
    Case("wrong option", GOOD, ("--timeout", "such as 2h"), options=("--space", "space.yaml", "--timeout", "soon")),
    Case("unwritable results folder", GOOD, ("results", "cannot write"), a_file_in_the_way),
    Case("another experiment's folder", GOOD, ("space.batch: [1, 8] → [1, 4]", "--fresh"), another_experiment),
]  # fmt: skip


def explorer(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The real command line, run in `folder`."""
    command = [sys.executable, "-m", "explorer", *arguments]
    environment = os.environ | {"COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_one_clear_message_and_exit_2(case: Case, tmp_path: Path, root: Path) -> None:
    shutil.copy(root / "examples" / "own_onnx" / "small.onnx", tmp_path)
    case.prepare(tmp_path)
    (tmp_path / "space.yaml").write_text(case.text)
    ran = explorer("run", *(case.options or ("--space", "space.yaml")), folder=tmp_path)
    assert ran.returncode == 2, ran.stderr
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: ")
    assert "Traceback" not in ran.stderr
    for word in case.words:
        assert word in ran.stderr
