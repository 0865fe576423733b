"""The crowd as a dataset: subjects, walks and views in CASIA-B's manner, drawn once and kept in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from explorer.datasets import protocol
from explorer.datasets.arrays import spread
from explorer.datasets.cache import cached, key_of
from explorer.datasets.part import Part
from explorer.datasets.protocol import Walk
from explorer.datasets.protocols import Dataset, Floats, Labels
from explorer.datasets.walkers import flow
from explorer.datasets.walkers.body import CONDITIONS, Condition
from explorer.datasets.walkers.camera import VIEWS
from explorer.datasets.walkers.film import GENERATOR, TEST, TRAIN, film
from explorer.datasets.walkers.options import Modality, Options, check
from explorer.result import Metric
from explorer.tally import Tally

# Pixels. The published augmentation goes up to 5; a small network in a short training copes with less.
SHIFT = 2


class Walkers:
    """A crowd of procedural walkers with CASIA-B's protocol: other people are tested on than learnt from.

    Each test subject walks ten times: nm-01…06, bg-01…02 (a backpack or a bag), cl-01…02 (a coat), each seen from
    every view.

    Args:
        modality: ``silhouette`` [frames, 64, 44] in 0…1; ``flow`` [2, frames, 60, 60], ±1 for ±3 pixels a frame; or
            ``stacked_flow`` [2 · frames, 60, 60], the same flow, x and y of each frame beside each other.
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
        flows = modality in ("flow", "stacked_flow")
        frames = frames if frames is not None else (25 if flows else 8)
        self.options = Options(
            modality=cast(Modality, modality),
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
        check(self.options, conditions=conditions)
        self.sample_shape = _sample_shape(self.options)
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

    def tallies(self, outputs: Floats) -> dict[str, Tally]:
        """What `score` counts, subject by subject; flow embeddings are scaled to unit length first, as published for
        the flow networks.
        """
        return self._tallied(outputs, self.walks)

    def _tallied(self, outputs: Floats, walks: Sequence[Walk]) -> dict[str, Tally]:
        return protocol.tallies(unit(outputs) if self.options.flows else outputs, walks)

    def score(self, outputs: Floats) -> dict[str, Metric]:
        """Rank-1 by the gait protocol."""
        return {name: tally.metric() for name, tally in self.tallies(outputs).items()}

    def subset(self, samples: int) -> Dataset:
        """Everybody enrolled, and some subjects who probe."""
        chosen = protocol.part(self.walks, samples)
        if chosen is None:
            return self
        walks = [self.walks[place] for place in chosen]
        return Part(self, chosen, lambda places: self.evaluation()[places], lambda out: self._tallied(out, walks))

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
        said["modality"] = "flow" if self.options.flows else said["modality"]  # stacked or not, the films are the same
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
        """Inputs [len(indices), *sample_shape]: silhouettes of random moments in order; flow a little shifted."""
        if self.options.flows:
            return as_inputs(_shifted(self.stored[indices], rng), self.options.modality)
        pool, frames = self.stored.shape[1], self.options.frames
        moments = np.sort(rng.random((len(indices), pool)).argsort(axis=1)[:, :frames], axis=1)
        return as_inputs(self.stored[np.asarray(indices)[:, None], moments], "silhouette")


def _shifted(flows: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Each sample moved by up to `SHIFT` pixels both ways, as the published flow networks are trained."""
    moves = rng.integers(-SHIFT, SHIFT + 1, (len(flows), 2)).tolist()
    return np.stack([np.roll(one, move, axis=(-2, -1)) for one, move in zip(flows, moves, strict=True)])


def _sample_shape(options: Options) -> tuple[int, ...]:
    shapes: dict[Modality, tuple[int, ...]] = {
        "silhouette": (options.frames, 64, 44),
        "flow": (2, options.frames, flow.SIZE, flow.SIZE),
        "stacked_flow": (2 * options.frames, flow.SIZE, flow.SIZE),
    }
    return shapes[options.modality]


def as_inputs(stored: NDArray[Any], modality: str) -> Floats:
    """What is stored as small integers, as the network takes it."""
    if modality == "stacked_flow":
        stored = np.swapaxes(stored, 1, 2).reshape(len(stored), -1, flow.SIZE, flow.SIZE)
    return np.asarray(stored.astype(np.float32) / np.float32(255 if modality == "silhouette" else flow.LEVELS))


def unit(outputs: Floats) -> Floats:
    """Embeddings [M, …] flattened to [M, d] and scaled to unit length; a zero stays zero."""
    flat = np.asarray(outputs, np.float32).reshape(len(outputs), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.divide(flat, length, out=np.zeros_like(flat), where=length != 0))
