"""The CASIA-B loader on a tree of the same layout, made here: walkers rendered to PNG, whose treatment is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from explorer.datasets import DATASETS
from explorer.datasets.casia_b import KINDS, TEST_SUBJECTS, TRAIN_SUBJECTS, VIEWS, CasiaB
from explorer.datasets.pretreatment import cut, pretreat_all
from explorer.datasets.protocol import Walk
from explorer.datasets.protocols import Dataset, Samples
from explorer.datasets.walkers.body import Outfit, Walker
from explorer.datasets.walkers.camera import project
from explorer.datasets.walkers.gait import capsules
from explorer.datasets.walkers.silhouettes import Pixels, draw
from explorer.errors import BadInput

SUBJECTS = (1, 4, 5, 74, 75, 124)
SMALL: dict[str, Any] = {"views": [0, 90], "frames": 6}


def video(walk: Walk, frames: int = 7) -> Pixels:
    """Frames of CASIA-B's size, one person a subject; the first is empty, as before somebody enters."""
    walker = Walker.born(np.random.default_rng(walk.subject))
    phase = np.linspace(0, 2 * np.pi, frames - 1, endpoint=False) + KINDS.index(walk.kind)
    outlines = project(capsules(walker, phase, outfit=Outfit()), walk.view)
    seen = draw(outlines, np.random.default_rng(0), size=(240, 320), height=130, noise=0)
    return np.concatenate([np.zeros((1, 240, 320), np.uint8), seen])


def write(root: Path, walk: Walk, frames: Pixels) -> None:
    folder = root / str(walk)
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, 1):
        name = f"{walk.subject:03d}-{walk.kind}-{walk.view:03d}-{number:03d}.png"
        Image.fromarray(frame).save(folder / name)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("CASIA-B")
    for subject in SUBJECTS:
        for kind in KINDS:
            for view in SMALL["views"]:
                write(root, walk := Walk(subject, kind, view), video(walk))
    return root


@pytest.fixture
def copy(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def data(pristine: Path) -> CasiaB:
    return CasiaB(root=pristine, **SMALL)


def test_is_the_registered_dataset(data: CasiaB) -> None:
    assert DATASETS.load("casia_b") is CasiaB
    assert isinstance(data, Dataset)
    assert isinstance(data.training(), Samples)


def test_the_partition_is_the_published_one(data: CasiaB) -> None:
    assert (len(TRAIN_SUBJECTS), len(TEST_SUBJECTS), len(VIEWS), len(KINDS)) == (73, 50, 11, 10)
    assert 5 not in TRAIN_SUBJECTS + TEST_SUBJECTS
    assert {walk.subject for walk in data.training().walks} == {1, 4, 74}
    assert {walk.subject for walk in data.walks} == {75, 124}
    assert data.classes == 3
    assert np.bincount(data.training().labels).tolist() == [20, 20, 20]


def test_evaluation_is_the_pretreated_frames_in_order(data: CasiaB) -> None:
    inputs = data.evaluation()
    assert inputs.shape == (2 * 10 * 2, 6, 64, 44) == (len(data.walks), *data.sample_shape)
    for index in (0, 7, 39):
        expected = cut(pretreat_all(video(data.walks[index]))) / np.float32(255)
        assert np.array_equal(inputs[index], expected)


def test_more_frames_than_there_are_begin_again_and_fewer_are_spread(pristine: Path, data: CasiaB) -> None:
    six = data.evaluation()[3]
    longer = CasiaB(root=pristine, views=[0, 90], frames=8).evaluation()[3]
    assert np.array_equal(longer, six[[0, 1, 2, 3, 4, 5, 0, 1]])
    shorter = CasiaB(root=pristine, views=[0, 90], frames=3).evaluation()[3]
    assert np.array_equal(shorter, six[[0, 2, 5]])


def test_training_draws_random_frames_of_the_sequence(data: CasiaB) -> None:
    few = CasiaB(root=data.root, views=[0, 90], frames=3).training()
    rng = np.random.default_rng(0)
    one, two = few.draw(np.array([4, 4]), rng)
    assert not np.array_equal(one, two)
    whole = {frame.tobytes() for frame in data.training().even(4)}
    assert all(frame.tobytes() in whole for frame in (*one, *two))


def test_rank_1_by_raw_pixels_of_people_who_walk_the_same_each_time(data: CasiaB) -> None:
    metrics = data.score(data.evaluation().mean(axis=1))
    assert metrics["accuracy_identical"].value >= metrics["accuracy"].value
    subjects = np.eye(2, dtype=np.float32)[[int(walk.subject == 75) for walk in data.walks]]
    assert all(metric.value == 1 for metric in data.score(subjects).values())


def test_calibration_comes_from_the_training_split(data: CasiaB) -> None:
    inputs = data.calibration(5)
    assert inputs.shape == (5, 6, 64, 44)
    assert np.array_equal(inputs[0], data.training().even(0))


def test_the_cache_is_used_and_follows_the_files(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = CasiaB(root=copy, **SMALL)
    before, print_before = first.evaluation(), first.fingerprint()
    assert CasiaB(root=copy, **SMALL).fingerprint() == print_before
    monkeypatch.setattr("explorer.datasets.casia_b.load", None)  # whatever is loaded again fails
    assert np.array_equal(CasiaB(root=copy, **SMALL).evaluation(), before)
    monkeypatch.undo()
    shutil.rmtree(copy / "124/cl-02")
    changed = CasiaB(root=copy, **SMALL)
    assert changed.fingerprint() != print_before
    assert len(changed.evaluation()) == len(before) - 2


def test_few_and_no_usable_frames_are_recorded(copy: Path) -> None:
    for path in sorted((copy / "075/nm-05/090").iterdir())[4:]:
        path.unlink()
    for path in (copy / "075/nm-06/090").iterdir():
        Image.new("L", (320, 240)).save(path)
    data = CasiaB(root=copy, **SMALL)
    assert len(data.evaluation()) == 39
    said = "\n".join(data.warnings)
    assert "075/nm-05/090: only 3 usable frames" in said
    assert "075/nm-06/090: no frame with a silhouette" in said
    assert "subjects without any sequence: 002, 003, 006" in said
    assert data.score(np.ones((39, 2), np.float32)).keys() >= {"accuracy", "accuracy_cl"}


def test_a_colour_png_is_read_as_grey(copy: Path, data: CasiaB) -> None:
    for path in (copy / "075/nm-01/000").iterdir():
        with Image.open(path) as image:
            colour = image.convert("RGB")
        colour.save(path)
    assert np.array_equal(CasiaB(root=copy, **SMALL).evaluation()[0], data.evaluation()[0])


def empty(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


def missing(root: Path) -> None:
    shutil.rmtree(root)


def pickled(root: Path) -> None:
    empty(root)
    (root / "075/nm-01/000").mkdir(parents=True)
    shutil.rmtree(root / "075/nm-01/000")
    (root / "75/nm-01/000").mkdir(parents=True)
    (root / "75/nm-01/000/000.pkl").write_bytes(b"\x80\x04N.")


def no_training(root: Path) -> None:
    for subject in ("001", "004", "074"):
        shutil.rmtree(root / subject)


def torn(root: Path) -> None:
    next((root / "001/nm-01/000").iterdir()).write_bytes(b"\x89PNG torn")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (missing, "no such folder"),
        (empty, "an empty folder"),
        (pickled, "pickle files are refused"),
        (no_training, "no usable sequence of a training subject"),
        (torn, "not a readable PNG"),
    ],
)
def test_what_is_wrong_on_disk_is_said(copy: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(copy)
    with pytest.raises(BadInput, match=said):
        CasiaB(root=copy, **SMALL).training()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frames": 0}, "frames is too small"),
        ({"views": [45]}, "unknown views"),
        ({"train_subjects": [1, 75]}, "both learnt from and tested on"),
    ],
)
def test_options_are_checked(pristine: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        CasiaB(root=pristine, **options)
