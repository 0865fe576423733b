"""Models, datasets and files that a space file refers to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from explorer.config import Experiment
from explorer.errors import Problem
from explorer.models.build import build
from explorer.models.checkpoint import save

Read = Callable[[str], Experiment]
Problems = Callable[[str], list[Problem]]

TAIL = "space: {batch: [1, 4]}\nobjectives: {accuracy: max}\n"
CODE = """\
import numpy as np
from explorer.datasets.arrays import ArrayDataset

def data(count, *, seed=0, root="."):
    x = np.random.default_rng(seed).normal(size=(count, 3))
    return ArrayDataset(x, np.arange(count) % 2, x, np.arange(count) % 2)

def net(width=4, classes=2): ...
"""


@pytest.fixture(autouse=True)
def own_code(tmp_path: Path) -> Iterator[None]:
    """A module `own_code` beside the space file, forgotten afterwards."""
    (tmp_path / "own_code.py").write_text(CODE)
    (tmp_path / "broken_code.py").write_text("raise RuntimeError('out of luck')\n")
    (tmp_path / "json.py").write_text("def data(): ...\n")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "torn.pt").write_bytes(b"PK\x03\x04 half a file")
    before = list(sys.path)
    yield
    sys.path[:] = before
    sys.modules.pop("own_code", None)


def test_ones_own_model_and_dataset(read: Read, tmp_path: Path) -> None:
    experiment = read(
        "model: {name: 'own_code:net', width: 8}\ndataset: {name: 'own_code:data', count: 6, root: ., calibration: 9}\n"
        + TAIL
    )
    assert experiment.model is not None
    assert experiment.dataset is not None
    assert experiment.model.options == {"width": 8}
    assert len(experiment.model.code) == 64
    assert experiment.dataset.options == {"count": 6, "root": str(tmp_path.resolve())}
    assert experiment.dataset.calibration == 9
    assert experiment.finetune.epochs == 1.0


def test_changed_code_changes_the_identity(read: Read, tmp_path: Path) -> None:
    text = "model: 'own_code:net'\ndataset: {name: 'own_code:data', count: 6}\n" + TAIL
    before = read(text).identity()
    (tmp_path / "own_code.py").write_text(CODE + "\n")
    after = read(text).identity()
    assert before["model"]["code"] != after["model"]["code"]


def test_a_datasets_own_metrics_may_be_asked_for(read: Read, problems: Problems) -> None:
    text = "model: 'own_code:net'\ndataset: {name: 'own_code:data', count: 6, metrics: [f1]}\nspace: {batch: [1]}\n"
    assert [o.metric for o in read(text + "objectives: {f1: max, accuracy_worst: max}\n").objectives] == [
        "f1",
        "accuracy_worst",
    ]
    assert "unknown metric" in str(problems(text + "objectives: {f2: max}\n")[0])


@pytest.mark.parametrize(
    ("model", "path", "words"),
    [
        ("{}", "model", "either a name or an onnx file"),
        ("{name: gaitset, onnx: small.onnx}", "model", "either a name or an onnx file"),
        ("7", "model", "keys and values"),
        ("gaitsett", "model", "did you mean 'gaitset"),
        ("{name: gaitset_tinny}", "model.name", "did you mean 'gaitset_tiny'"),
        ("{name: gaitset, wieghts: x}", "model.wieghts", "did you mean 'weights'"),
        ("{name: 'own_code:net', widht: 3}", "model.widht", "did you mean 'width'"),
        ("{name: 'own_code:ned'}", "model.name", "did you mean 'net'"),
        ("{name: 'own_cod:net'}", "model.name", "No module named 'own_cod'"),
        ("{name: 'broken_code:net'}", "model.name", "RuntimeError: out of luck"),
        ("{name: 'json:net'}", "model.name", "has the same name"),
        ("{name: gaitset, weights: own_code.pt}", "model.weights", "did you mean 'own_code.py'"),
        ("{name: gaitset, weights: torn.pt}", "model.weights", "truncated"),
        ("{name: gaitset, weights: shipped}", "model.weights", "no weights are shipped for gaitset"),
        ("{onnx: absent.onnx}", "model.onnx", "no such file"),
        ("{onnx: torn.pt}", "model.onnx", "not a whole ONNX file"),
        ("{onnx: empty.onnx}", "model.onnx", "without inputs or outputs"),
        ("{onnx: small.onnx, weights: torn.pt}", "model.weights", "brings its own weights"),
        ("{onnx: small.onnx, width: 4}", "model.width", "brings its own weights"),
    ],
)
def test_each_mistake_in_a_model(problems: Problems, model: str, path: str, words: str) -> None:
    found = [
        p for p in problems(f"model: {model}\ndataset: {{name: 'own_code:data', count: 6}}\n{TAIL}") if p.path == path
    ]
    assert len(found) == 1
    assert found[0].line == 1
    assert words in str(found[0])


@pytest.mark.parametrize(
    ("dataset", "path", "words"),
    [
        ("walker", "dataset", "did you mean 'walkers'"),
        ("{nam: walkers}", "dataset.name", "missing"),
        ("{name: 'own_code:data'}", "dataset.count", "needs the key 'count'"),
        ("{name: 'own_code:data', count: 6, sead: 1}", "dataset.sead", "did you mean 'seed'"),
        ("{name: 'own_code:data', count: 6, root: absent}", "dataset.root", "no such folder"),
        ("{name: 'own_code:data', count: 6, calibration: 0}", "dataset.calibration", "1 or more"),
        ("{name: 'own_code:data', count: 6, metrics: f1}", "dataset.metrics", "a list"),
    ],
)
def test_each_mistake_in_a_dataset(problems: Problems, dataset: str, path: str, words: str) -> None:
    found = [p for p in problems(f"model: {{name: 'own_code:net'}}\ndataset: {dataset}\n{TAIL}") if p.path == path]
    assert len(found) == 1
    assert found[0].line == 2
    assert words in str(found[0])


def test_weights_must_be_those_of_the_model(problems: Problems, read: Read, tmp_path: Path) -> None:
    tail = "dataset: {name: 'own_code:data', count: 6}\n" + TAIL
    module = build("gait3d_cnn_tiny", {"classes": 3})
    save(tmp_path / "net.pt", module, model={"name": "gait3d_cnn_tiny", "options": {"classes": 3}})
    assert read("model: {name: gait3d_cnn_tiny, classes: 3, weights: net.pt}\n" + tail).model is not None
    (other,) = problems("model: {name: gaitset_tiny, weights: net.pt}\n" + tail)
    assert "of another network" in other.what
    (option,) = problems("model: {name: gait3d_cnn_tiny, classes: 4, weights: net.pt}\n" + tail)
    assert (option.path, option.seen) == ("model.classes", "4")


def test_only_a_bare_file_can_do_without_data(problems: Problems) -> None:
    (found,) = problems("model: gaitset\n" + TAIL)
    assert "needs a dataset" in found.what


def test_a_missing_model_is_said_once(problems: Problems) -> None:
    (found,) = problems(TAIL)
    assert found.what == "an experiment needs a model"


def test_fine_tuning_is_said_once(problems: Problems, read: Read) -> None:
    head = "model: 'own_code:net'\ndataset: {name: 'own_code:data', count: 6}\nobjectives: {accuracy: max}\n"
    (found,) = problems(head + "space: {prune_ratio: [0, 0.5], finetune_epochs: [0, 1]}\nfinetune: {epochs: 2}\n")
    assert "finetune_epochs says this already" in found.what
    assert read(head + "space: {batch: [1]}\nfinetune: {epochs: 0}\n").finetune.skipped
