"""A drawn network, and what pruning makes of it: layers' channels, and accuracy.

    prune_ratio, round_to ──► channels of each layer ──► work, weights, activations      (a staircase)
                                        └─► share of work removed ──► knee, lottery ──► accuracy

Everything is an array over checkpoints ``[k]``, or over checkpoints and layers ``[k, layers]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_CUT = 0.95  # of a layer's channels


@dataclass(frozen=True)
class Taste:
    """How the networks of a family lose accuracy.

    Attributes:
        lottery: standard deviation of what fine-tuning happens to yield, per checkpoint.
        knee: least and largest share of work that can go before accuracy falls.
        int8: least and largest loss by int8 in the dense network.
    """

    lottery: float
    knee: tuple[float, float]
    int8: tuple[float, float]


@dataclass(frozen=True)
class Network:
    """Convolutions in a row.

    Attributes:
        channels: of each layer's output ``[layers]``, dense.
        kernel: weights from one channel to another ``[layers]``.
        pixels: of each layer's output ``[layers]``.
        evenness: how much of the wanted ratio each layer is cut by: what matters is not spread evenly.
        dense: accuracy before anything is done.
    """

    channels: Floats
    kernel: Floats
    pixels: Floats
    evenness: Floats
    dense: float
    knee: float
    steep: float
    gentle: float
    int8: float


@dataclass(frozen=True)
class Checkpoints:
    """The networks that are left after pruning and fine-tuning.

    Attributes:
        inputs: channels into each layer ``[k, layers]``.
        outputs: channels out of it ``[k, layers]``.
        removed: share of the work that is gone ``[k]``.
        accuracy: in floating point ``[k]``.
        int8_loss: ``[k]``.
    """

    inputs: Floats
    outputs: Floats
    removed: Floats
    accuracy: Floats
    int8_loss: Floats


def draw(rng: np.random.Generator, taste: Taste) -> Network:
    """A network of 10 to 22 layers in four stages, each of half the resolution and about twice the channels."""
    layers = int(rng.integers(10, 23))
    stage = np.sort(rng.integers(0, 4, layers))
    width = float(rng.choice([24, 32, 48, 64]))
    channels = 4.0 * np.round(width * 2.0**stage * rng.uniform(0.8, 1.25, layers) / 4)
    side = float(rng.choice([64, 96, 128, 160])) / 2.0 ** (stage + 1)
    return Network(
        channels=channels,
        kernel=rng.choice([1.0, 9.0], layers, p=[0.35, 0.65]),
        pixels=side * side,
        evenness=rng.uniform(0.7, 1.1, layers),
        dense=float(rng.uniform(0.86, 0.96)),
        knee=float(rng.uniform(*taste.knee)),
        steep=float(rng.uniform(0.8, 2.0)),
        gentle=float(rng.uniform(0.005, 0.03)),
        int8=float(rng.uniform(*taste.int8)),
    )


def pruned(
    network: Network, ratio: Floats, round_to: Floats, epochs: Floats, taste: Taste, rng: np.random.Generator
) -> Checkpoints:
    """Cut to multiples of `round_to` channels and fine-tuned for `epochs`, all three ``[k]``."""
    inputs, outputs = _widths(network, ratio[:, None] * network.evenness, round_to)
    removed = 1 - _work(network, inputs, outputs) / _work(network, *_widths(network, np.zeros((1, 1)), np.ones(1)))
    accuracy = network.dense - _lost(network, removed, epochs)
    accuracy += taste.lottery * (0.4 + removed) * rng.standard_normal(len(ratio)) * (removed > 0)
    int8_loss = network.int8 * (1 + 2.5 * removed**2) * np.exp(0.25 * rng.standard_normal(len(ratio)))
    return Checkpoints(inputs, outputs, removed, accuracy, int8_loss)


def expected_work(network: Network, ratio: Floats, round_to: Floats) -> Floats:
    """What one reckons with who knows how much is to be cut, but not from where: as evenly as can be ``[k]``."""
    return _work(network, *_widths(network, np.repeat(ratio[:, None], len(network.channels), axis=1), round_to))


def _widths(network: Network, cut: Floats, round_to: Floats) -> tuple[Floats, Floats]:
    """Channels into and out of each layer that is cut by a share ``[k, layers]``."""
    wanted = np.ceil(network.channels * (1 - np.minimum(cut, MOST_CUT)) / round_to[:, None]) * round_to[:, None]
    outputs = np.where(cut > 0, np.minimum(wanted, network.channels), network.channels)
    outputs[:, -1] = network.channels[-1]  # what comes out of the last layer is the task's
    return np.concatenate([np.full((len(outputs), 1), 3.0), outputs[:, :-1]], axis=1), outputs


def _work(network: Network, inputs: Floats, outputs: Floats) -> Floats:
    """Multiply-accumulates of an inference ``[k]``."""
    return np.asarray((inputs * outputs * network.kernel * network.pixels).sum(axis=1))


def _lost(network: Network, removed: Floats, epochs: Floats) -> Floats:
    """Little before the knee, much after it; half the epochs leave a quarter more of it unhealed."""
    beyond = 0.04 * np.logaddexp(0.0, (removed - network.knee) / 0.04)
    unhealed = epochs ** -np.log2(1.25)
    return np.asarray((network.gentle * removed + network.steep * beyond**1.5) * unhealed)
