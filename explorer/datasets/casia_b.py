"""CASIA-B from the user's own licensed copy: ``root/<subject 001…124>/<nm-01…cl-02>/<view 000…180>/*.png``.

Subjects 001…074 are learnt from, without 005, whose data are incomplete; 075…124 are tested on. Each frame is
treated as in `pretreatment`; a sequence becomes `frames` silhouettes, so that an engine with fixed shapes can take
it. The treated frames are kept in the cache; the user's folder is only read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from explorer.datasets import protocol
from explorer.datasets.arrays import spread
from explorer.datasets.cache import cached, key_of
from explorer.datasets.part import Part
from explorer.datasets.pretreatment import Pixels, cut, pretreat_all
from explorer.datasets.protocol import Walk
from explorer.datasets.protocols import Dataset, Floats, Labels
from explorer.errors import BadInput, Problem
from explorer.result import Metric
from explorer.tally import Tally

TRAIN_SUBJECTS = tuple(subject for subject in range(1, 75) if subject != 5)
TEST_SUBJECTS = tuple(range(75, 125))
KINDS = (*(f"nm-{i:02d}" for i in range(1, 7)), "bg-01", "bg-02", "cl-01", "cl-02")
VIEWS = tuple(range(0, 181, 18))
FEWEST_FRAMES = 5

# 1: first.
LOADER = 1

LAYOUT = "folders <root>/<subject, 001…124>/<nm-01…06, bg-01…02, cl-01…02>/<view, 000…180> of PNG silhouettes"


@dataclass(frozen=True)
class Folder:
    """One sequence on disk: what it is of and its PNG files, sorted by name, with their sizes in bytes."""

    walk: Walk
    path: Path
    files: tuple[tuple[str, int], ...]


class CasiaB:
    """CASIA-B silhouettes [frames, 64, 44] in 0…1 with the published split and protocol.

    Args:
        root: the folder that holds the subjects' folders.
        frames: frames of a sample. Evaluation takes so many spread evenly over the sequence, and a shorter sequence
            from its front
            again; training takes them at random.
        views: only these views, degrees; all eleven by default.
        train_subjects: identities to learn from; by default 1…74 without 5.
        test_subjects: identities to be tested on; by default 75…124.

    Attributes:
        warnings: what is missing or odd about the data on disk, in words; known once the data were read.

    Raises:
        BadInput: the folder is missing, empty or laid out differently, or an option cannot be used.
    """

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        frames: int = 30,
        views: Sequence[int] = VIEWS,
        train_subjects: Sequence[int] = TRAIN_SUBJECTS,
        test_subjects: Sequence[int] = TEST_SUBJECTS,
    ) -> None:
        self.root = Path(root).expanduser()
        self.views, self.frames = tuple(views), frames
        self.train_subjects, self.test_subjects = tuple(train_subjects), tuple(test_subjects)
        self.warnings: list[str] = []
        _check(self)
        self.sample_shape = (frames, 64, 44)

    @cached_property
    def _folders(self) -> tuple[Folder, ...]:
        """Every sequence on disk that is asked for, in order."""
        wanted = sorted({*self.train_subjects, *self.test_subjects})
        found = tuple(_walk(self.root, wanted, self.views))
        if not found:
            raise BadInput(_layout_problem(self.root))
        there = {folder.walk.subject for folder in found}
        if missing := [f"{subject:03d}" for subject in wanted if subject not in there]:
            self.warnings.append(f"subjects without any sequence: {', '.join(missing)}")
        return found

    @cached_property
    def classes(self) -> int:
        """Identities to learn from that are on disk."""
        return len({walk.subject for walk in self._train.walks})

    @cached_property
    def _train(self) -> Recordings:
        return self._read(self.train_subjects, "training")

    @cached_property
    def _test(self) -> Recordings:
        return self._read(self.test_subjects, "test")

    @property
    def walks(self) -> tuple[Walk, ...]:
        """The test sequences, in the order of `evaluation()`."""
        return self._test.walks

    def training(self) -> Recordings:
        """The training split."""
        return self._train

    def calibration(self, count: int) -> Floats:
        """`count` training inputs spread evenly over the training sequences."""
        chosen = spread(len(self._train.walks), count)
        return np.stack([self._train.even(int(index)) for index in chosen])

    def evaluation(self) -> Floats:
        """All test inputs, in the order of `walks`."""
        return self._inputs(range(len(self._test.walks)))

    def _inputs(self, places: Iterable[int]) -> Floats:
        return np.stack([self._test.even(int(place)) for place in places])

    def tallies(self, outputs: Floats) -> dict[str, Tally]:
        """What `score` counts, subject by subject."""
        return protocol.tallies(outputs, self.walks)

    def score(self, outputs: Floats) -> dict[str, Metric]:
        """Rank-1 by the gait protocol: gallery nm-01…04; probes nm-05…06, bg, cl."""
        return protocol.score(outputs, self.walks)

    def subset(self, samples: int) -> Dataset:
        """Everybody enrolled, and some subjects who probe."""
        chosen = protocol.part(self.walks, samples)
        if chosen is None:
            return self
        walks = [self.walks[place] for place in chosen]
        return Part(self, chosen, self._inputs, lambda outputs: protocol.tallies(outputs, walks))

    def fingerprint(self) -> str:
        """From the options, and the names and sizes of all files."""
        chosen = {"frames": self.frames, "train": self.train_subjects, "test": self.test_subjects}
        return f"casia_b-{LOADER}-{key_of({**chosen, 'files': _digest(self._folders)})}"

    def _read(self, subjects: Sequence[int], split: str) -> Recordings:
        walks, films = [], []
        for subject in subjects:
            folders = [folder for folder in self._folders if folder.walk.subject == subject]
            for folder, film in zip(folders, _films(self.root, folders), strict=True):
                self._warn(folder.walk, len(film))
                if len(film):
                    walks.append(folder.walk)
                    films.append(film)
        if not films:
            problem = f"no usable sequence of a {split} subject"
            raise BadInput(Problem(problem, file=self.root, path="dataset.root", allowed=LAYOUT))
        return Recordings(tuple(walks), tuple(films), self.frames)

    def _warn(self, walk: Walk, frames: int) -> None:
        if frames == 0:
            self.warnings.append(f"{walk}: no frame with a silhouette in it; the sequence is left out")
        elif frames < FEWEST_FRAMES:
            self.warnings.append(f"{walk}: only {frames} usable frames, {FEWEST_FRAMES} are expected at least")


@dataclass(frozen=True)
class Recordings:
    """Pre-treated sequences: what each is of, and its usable frames [n, 64, 44]."""

    walks: tuple[Walk, ...]
    films: tuple[Pixels, ...]
    frames: int

    @cached_property
    def labels(self) -> Labels:
        """Class of each sequence: its subject's rank among the subjects there are."""
        return np.unique([walk.subject for walk in self.walks], return_inverse=True)[1].astype(np.int64)

    def draw(self, indices: NDArray[np.integer[Any]], rng: np.random.Generator) -> Floats:
        """Random frames of each sequence, in order; with repetition only where a sequence is too short."""
        return np.stack([self._random(int(index), rng) for index in indices])

    def even(self, index: int) -> Floats:
        """Frames spread evenly over a sequence."""
        return self._inputs(index, spread(len(self.films[index]), self.frames))

    def _random(self, index: int, rng: np.random.Generator) -> Floats:
        length = len(self.films[index])
        return self._inputs(index, np.sort(rng.choice(length, self.frames, replace=length < self.frames)))

    def _inputs(self, index: int, moments: NDArray[np.int64]) -> Floats:
        return np.asarray(self.films[index][moments].astype(np.float32) / np.float32(255))


def load(folder: Folder) -> Pixels:
    """The usable frames of a sequence, pre-treated and cut: [n, 64, 44].

    Raises:
        BadInput: a file is no readable PNG image.
    """
    treated = [pretreat_all(_pixels(folder.path / name)[None]) for name, _ in folder.files]
    return cut(np.concatenate(treated)) if treated else np.zeros((0, 64, 44), np.uint8)


def _films(root: Path, folders: Sequence[Folder]) -> list[Pixels]:
    """The usable frames of one subject's sequences, kept in the cache as one array and where each begins."""

    def make() -> dict[str, NDArray[Any]]:
        films = [load(folder) for folder in folders]
        return {"frames": np.concatenate(films), "ends": np.cumsum([len(film) for film in films])}

    if not folders:
        return []
    kept = cached("casia_b", key_of({"loader": LOADER, "root": str(root.resolve()), "files": _digest(folders)}), make)
    ends = kept["ends"].tolist()
    return [kept["frames"][start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _pixels(path: Path) -> Pixels:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError) as error:
        raise BadInput(Problem("not a readable PNG silhouette", file=path, seen=str(error))) from error


def _walk(root: Path, subjects: Sequence[int], views: Sequence[int]) -> Iterator[Folder]:
    for subject in subjects:
        for kind in KINDS:
            for view in views:
                path = root / f"{subject:03d}" / kind / f"{view:03d}"
                if path.is_dir():
                    with os.scandir(path) as entries:
                        files = sorted((e.name, e.stat().st_size) for e in entries if e.name.lower().endswith(".png"))
                    yield Folder(Walk(subject, kind, view), path, tuple(files))


def _digest(folders: Sequence[Folder]) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(f"{folder.walk} {folder.files}\n".encode())
    return digest.hexdigest()


def _layout_problem(root: Path) -> Problem:
    pickles = next(root.glob("*/*/*/*.pkl"), None)
    if pickles is not None:
        hint = (
            "pickle files are refused, since opening one may run code in it; give the folder of PNG silhouettes instead"
        )
        return Problem(
            "pickled arrays",
            file=root,
            path="dataset.root",
            seen=str(pickles.relative_to(root)),
            allowed=LAYOUT,
            hint=hint,
        )
    seen = ", ".join(sorted(entry.name for entry in root.iterdir())[:5]) or "an empty folder"
    return Problem("no CASIA-B sequence found", file=root, path="dataset.root", seen=seen, allowed=LAYOUT)


def _check(data: CasiaB) -> None:
    problems = []
    if not data.root.is_dir():
        hint = "CASIA-B is handed out on application by its authors; the dataset 'walkers' needs no data"
        problems.append(Problem("no such folder", file=data.root, path="dataset.root", allowed=LAYOUT, hint=hint))
    if data.frames < 1:
        problems.append(
            Problem("frames is too small", path="dataset.frames", seen=str(data.frames), allowed="1 or more")
        )
    if strange := sorted(set(data.views) - set(VIEWS)):
        allowed = ", ".join(map(str, VIEWS))
        problems.append(Problem("unknown views", path="dataset.views", seen=str(strange), allowed=allowed))
    if both := sorted(set(data.train_subjects) & set(data.test_subjects)):
        problems.append(Problem("subjects both learnt from and tested on", path="dataset", seen=str(both)))
    if problems:
        raise BadInput(problems)
