"""The crowd as a dataset: subjects, walks and views in CASIA-B's manner, drawn once and kept in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from explorer.datasets import protocol
from explorer.datasets.arrays import spread
from explorer.datasets.cache import cached, key_of
from explorer.datasets.pretreatment import cut, pretreat_all
from explorer.datasets.protocol import Walk
from explorer.datasets.protocols import Floats, Labels
from explorer.datasets.walkers import flow, silhouettes
from explorer.datasets.walkers.body import CONDITIONS, Condition, Walker, outfit
from explorer.datasets.walkers.camera import DISTANCE, VIEWS, project
from explorer.datasets.walkers.gait import capsules
from explorer.errors import BadInput, Problem
from explorer.result import Metric

# 1: first.
GENERATOR = 1
FRAME_S = 1 / 25
TRAIN, TEST = 0, 1

# How much one person's walks differ, in half ranges of the population's traits; the scale of the difficulty.
DAY_TO_DAY = 0.16


@dataclass(frozen=True)
class Options:
    """Everything the pixels depend on."""

    modality: Literal["silhouette", "flow"]
    seed: int
    subjects_train: int
    subjects_test: int
    views: tuple[int, ...]
    conditions: tuple[Condition, ...]
    sequences_train: int
    frames: int
    frames_train: int
    noise: float


class Walkers:
    """A crowd of procedural walkers with CASIA-B's protocol: other people are tested on than learnt from.

    Each test subject walks ten times: nm-01…06, bg-01…02 (a backpack or a bag), cl-01…02 (a coat), each seen from
    every view.

    Args:
        modality: ``silhouette`` [frames, 64, 44] in 0…1, or ``flow`` [2, frames, 60, 60], ±1 for ±3 pixels a frame.
        seed: another seed, another crowd.
        subjects_train: identities to learn from.
        subjects_test: identities to be tested on.
        views: degrees, of 0…180; CASIA-B has 0, 18, …, 180.
        conditions: of nm, bg, cl; nm is the gallery and always there.
        sequences_train: nm walks of each training subject; a third as many (at least one) bg and cl walks.
        frames: frames of a sample; default 8 silhouettes, 25 flow frames.
        frames_train: silhouettes drawn of each training sequence, of which a sample takes `frames` at random.
        noise: amount of the segmenter's or flow estimator's flaws and of the day-to-day differences; 1 as tuned.

    Raises:
        BadInput: an option is outside what is allowed.
    """

    def __init__(
        self,
        *,
        modality: str = "silhouette",
        seed: int = 0,
        subjects_train: int = 74,
        subjects_test: int = 50,
        views: Sequence[int] = VIEWS,
        conditions: Sequence[str] = CONDITIONS,
        sequences_train: int = 6,
        frames: int | None = None,
        frames_train: int = 16,
        noise: float = 1.0,
    ) -> None:
        flows = modality == "flow"
        frames = frames if frames is not None else (25 if flows else 8)
        self.options = Options(
            modality=cast(Literal["silhouette", "flow"], modality),
            seed=seed,
            subjects_train=subjects_train,
            subjects_test=subjects_test,
            views=tuple(views),
            conditions=cast(tuple[Condition, ...], tuple(c for c in CONDITIONS if c in conditions or c == "nm")),
            sequences_train=sequences_train,
            frames=frames,
            frames_train=frames if flows else frames_train,
            noise=noise,
        )
        _check(self.options, conditions)
        self.sample_shape: tuple[int, ...] = (2, frames, flow.SIZE, flow.SIZE) if flows else (frames, 64, 44)
        self.classes = subjects_train

    @cached_property
    def walks(self) -> tuple[Walk, ...]:
        """The test sequences, in the order of `evaluation()`."""
        counts = {"nm": 6, "bg": 2, "cl": 2}
        return tuple(self._walks(self.options.subjects_test, counts))

    @cached_property
    def training_walks(self) -> tuple[Walk, ...]:
        """The training sequences, in the order of `training().labels`."""
        nm = self.options.sequences_train
        other = max(1, nm // 3)
        return tuple(self._walks(self.options.subjects_train, {"nm": nm, "bg": other, "cl": other}))

    def _walks(self, subjects: int, counts: dict[str, int]) -> Iterator[Walk]:
        for subject in range(1, subjects + 1):
            for condition in self.options.conditions:
                for number in range(1, counts[condition] + 1):
                    for view in self.options.views:
                        yield Walk(subject, f"{condition}-{number:02d}", view)

    def training(self) -> TrainingCrowd:
        """The training split."""
        labels = np.array([walk.subject - 1 for walk in self.training_walks], dtype=np.int64)
        return TrainingCrowd(self._stored(TRAIN), labels, self.options)

    def calibration(self, count: int) -> Floats:
        """`count` training inputs spread evenly over the training sequences."""
        crowd = self.training()
        return crowd.draw(spread(len(crowd.labels), count), np.random.default_rng(0))

    def evaluation(self) -> Floats:
        """All test inputs, in the order of `walks`."""
        return as_inputs(self._stored(TEST), self.options.modality)

    def score(self, outputs: Floats) -> dict[str, Metric]:
        """Rank-1 by the gait protocol; flow embeddings are scaled to unit length first, as published for the
        flow networks.
        """
        return protocol.score(unit(outputs) if self.options.modality == "flow" else outputs, self.walks)

    def fingerprint(self) -> str:
        """The options and the generator's version, in short."""
        return f"walkers-{GENERATOR}-{key_of(asdict(self.options))}"

    def _stored(self, split: int) -> NDArray[Any]:
        walks = self.training_walks if split == TRAIN else self.walks
        frames = self.options.frames_train if split == TRAIN else self.options.frames
        said = asdict(self.options)
        for foreign in (
            ("subjects_test", "frames") if split == TRAIN else ("subjects_train", "sequences_train", "frames_train")
        ):
            del said[foreign]
        key = key_of({**said, "split": split, "drawn": frames, "generator": GENERATOR})
        films = cached(
            "walkers", key, lambda: {"films": np.stack([film(walk, split, frames, self.options) for walk in walks])}
        )
        return films["films"]


@dataclass(frozen=True)
class TrainingCrowd:
    """Training sequences; a sample takes some of a sequence's frames at random."""

    stored: NDArray[Any]
    labels: Labels
    options: Options

    def draw(self, indices: NDArray[np.integer[Any]], rng: np.random.Generator) -> Floats:
        """Inputs [len(indices), *sample_shape]: silhouettes of random moments in order, or the flow as it is."""
        if self.options.modality == "flow":
            return as_inputs(self.stored[indices], "flow")
        pool, frames = self.stored.shape[1], self.options.frames
        moments = np.sort(rng.random((len(indices), pool)).argsort(axis=1)[:, :frames], axis=1)
        return as_inputs(self.stored[np.asarray(indices)[:, None], moments], "silhouette")


def as_inputs(stored: NDArray[Any], modality: str) -> Floats:
    """What is stored as small integers, as the network takes it."""
    return np.asarray(stored.astype(np.float32) / np.float32(flow.LEVELS if modality == "flow" else 255))


def unit(outputs: Floats) -> Floats:
    """Embeddings [M, …] flattened to [M, d] and scaled to unit length; a zero stays zero."""
    flat = np.asarray(outputs, np.float32).reshape(len(outputs), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(flat, length, out=np.zeros_like(flat), where=length != 0)


def film(walk: Walk, split: int, frames: int, options: Options) -> NDArray[Any]:
    """One sequence: silhouettes [frames, 64, 44] uint8, or flow [2, frames, 60, 60] int8.

    Who walks depends on seed, split and subject; the walk on its kind too; the camera's flaws also on the view. So
    all views show the same walk, and more subjects or views leave those that are there as they are.
    """
    condition = cast(Condition, walk.condition)
    person = (options.seed, split, walk.subject)
    day = (*person, CONDITIONS.index(condition), int(walk.kind[-2:]))
    by_day, by_camera = np.random.default_rng(day), np.random.default_rng((*day, walk.view))
    walker = Walker.born(np.random.default_rng(person)).on_a_day(by_day, options.noise * DAY_TO_DAY)
    worn = outfit(condition, by_day)
    turn = 2 * np.pi * walker.cadence * FRAME_S  # phase a frame at 25 frames a second
    start = by_camera.uniform(0, 2 * np.pi)
    view = walk.view + options.noise * by_camera.normal(0, 2.0)
    camera = {"tilt": options.noise * by_camera.normal(0, 0.012), "distance": DISTANCE * by_camera.uniform(0.85, 1.15)}
    if options.modality == "flow":
        phase = start + turn * np.arange(frames + 1)
        seen = [project(capsules(walker, part, outfit=worn), view, **camera) for part in (phase[:-1], phase[1:])]
        return flow.draw(seen[0], seen[1], by_camera, noise=options.noise)
    phase = start + 2 * np.pi * np.arange(frames) / frames + options.noise * by_camera.normal(0, 0.1, frames)
    seen_now = project(capsules(walker, phase, outfit=worn), view, **camera)
    return cut(pretreat_all(silhouettes.draw(seen_now, by_camera, noise=options.noise)))


def _check(options: Options, conditions: Sequence[str]) -> None:
    at_least = {"subjects_train": 2, "subjects_test": 2, "sequences_train": 1, "frames": 1, "seed": 0}
    problems = [
        Problem(
            f"{name} is too small",
            path=f"dataset.{name}",
            seen=repr(getattr(options, name)),
            allowed=f"{least} or more",
        )
        for name, least in at_least.items()
        if not isinstance(getattr(options, name), int) or getattr(options, name) < least
    ]
    if options.modality not in ("silhouette", "flow"):
        problems.append(
            Problem(
                "unknown modality", path="dataset.modality", seen=repr(options.modality), allowed="silhouette, flow"
            )
        )
    if strange := [c for c in conditions if c not in CONDITIONS]:
        problems.append(
            Problem(
                "unknown condition", path="dataset.conditions", seen=", ".join(strange), allowed=", ".join(CONDITIONS)
            )
        )
    if (
        not options.views
        or len(set(options.views)) < len(options.views)
        or any(not 0 <= v <= 180 for v in options.views)
    ):
        problems.append(
            Problem(
                "no usable views",
                path="dataset.views",
                seen=str(list(options.views)),
                allowed="distinct degrees of 0…180",
            )
        )
    if not problems and options.frames_train < options.frames:
        problems.append(
            Problem(
                "frames_train is smaller than frames",
                path="dataset.frames_train",
                seen=str(options.frames_train),
                allowed=f"{options.frames} or more",
            )
        )
    if not 0 <= options.noise <= 10:
        problems.append(Problem("noise is out of range", path="dataset.noise", seen=str(options.noise), allowed="0…10"))
    if problems:
        raise BadInput(problems)
