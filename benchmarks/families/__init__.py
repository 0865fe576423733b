"""Synthetic spaces of deployments whose truth is known: every seed is another board and another network.

    seed ──► network ──► checkpoints (pruned, fine-tuned) ──► accuracy
         └─► board ────────────┴─► roofline ──► throughput, energy ──► what is impossible ──► a Problem

| family   | candidates | flavour |
|---|---|---|
| A        | 1,620      | a GPU and a DLA, three power modes; pruning heals well |
| B        | 4,536      | a GPU and two DLAs, epochs of fine-tuning as an axis, a strong lottery |
| C        | 2,220      | no DLA, many checkpoints, engines are built for each power mode, power is what is short |
| refusals | 2,808      | a GPU and two DLAs; 22 % is impossible |
| small    | 324        | a space that can be exhausted |

Hypervolume is counted in accuracy, log throughput and log energy. Its reference: accuracy `USEFUL` below the best that
is possible, so that none is earned with worthless networks (the searches know: it is a constraint of the study), and
the lowest throughput and highest energy of what is possible and not less accurate than that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from explorer.replay.course import gain
from explorer.result import Constraint, Objective
from explorer.space import COMPRESSION_AXES, TRAINING_AXES, Axis, Space

from . import device, network
from .columns import Columns
from .problem import MEASURE_S, Noise, Problem, Stage
from .refusals import NO_ROOM, refusals

__all__ = ["FAMILIES", "USEFUL", "family"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

OBJECTIVES = (Objective("accuracy", "max"), Objective("throughput_ips", "max"), Objective("energy_mj", "min"))
USEFUL = 0.10
CHECKPOINT_S, BUILD_S = 300.0, 60.0
HEALED = {"prune_ratio": 0.0, "round_to": 8.0, "finetune_epochs": 1.0}  # what makes a checkpoint, where it is no axis
BUILT_FOR = ("precision", "placement", "batch")
TACTICS = 0.02  # standard deviation of the logarithm of how lucky a build is with its kernels


@dataclass(frozen=True)
class Family:
    """What the spaces of a family have in common.

    Attributes:
        axes: without those that have one value only.
        dlas: of a board.
        impossible: least and largest share.
        cap: least and largest share of engines that a power mode does not slow down.
        foreseen: whether everybody knows the rules beforehand.
        per_mode: whether an engine is built for one power mode.
    """

    axes: tuple[Axis, ...]
    taste: network.Taste
    dlas: int = 1
    impossible: tuple[float, float] = (0.18, 0.25)
    cap: tuple[float, float] = (0.7, 0.98)
    foreseen: bool = True
    per_mode: bool = False


def _axes(**values: tuple[str | int | float, ...]) -> tuple[Axis, ...]:
    return tuple(Axis(name, options) for name, options in values.items())


FAMILIES = {
    "A": Family(
        axes=_axes(
            prune_ratio=(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
            round_to=(8, 32),
            precision=("fp32", "fp16", "int8"),
            placement=("gpu", "dla"),
            batch=(1, 4, 16),
            power_mode=("10W", "15W", "20W"),
            streams=(1, 2),
        ),
        taste=network.Taste(lottery=0.004, knee=(0.55, 0.75), int8=(0.004, 0.02)),
    ),
    "B": Family(
        axes=_axes(
            prune_ratio=(0, 0.15, 0.3, 0.45, 0.6, 0.75),
            round_to=(4, 16),
            finetune_epochs=(1, 2),
            precision=("fp32", "fp16", "int8"),
            placement=("gpu", "dla", "gpu+dla"),
            batch=(1, 4, 8, 32),
            power_mode=("15W", "30W", "MAXN"),
            streams=(1, 2),
        ),
        taste=network.Taste(lottery=0.01, knee=(0.45, 0.7), int8=(0.003, 0.015)),
        dlas=2,
        impossible=(0.16, 0.25),
    ),
    "C": Family(
        axes=_axes(
            prune_ratio=(0, 0.08, 0.16, 0.24, 0.32, 0.4, 0.48, 0.56, 0.64, 0.72),
            round_to=(2, 8, 16, 32),
            precision=("fp32", "fp16", "int8", "mixed"),
            batch=(1, 2, 8),
            power_mode=("5W", "10W", "15W", "MAXN", "MAXN_SUPER"),
        ),
        taste=network.Taste(lottery=0.003, knee=(0.4, 0.65), int8=(0.006, 0.03)),
        impossible=(0.10, 0.20),
        cap=(0.4, 0.9),
        per_mode=True,
    ),
    "refusals": Family(
        axes=_axes(
            prune_ratio=(0, 0.1, 0.2, 0.35, 0.5, 0.6, 0.7),
            round_to=(8, 32),
            precision=("fp32", "fp16", "int8"),
            placement=("gpu", "dla", "gpu+dla"),
            batch=(1, 4, 8, 32),
            power_mode=("15W", "30W", "MAXN"),
            streams=(1, 2),
        ),
        taste=network.Taste(lottery=0.004, knee=(0.5, 0.7), int8=(0.004, 0.02)),
        dlas=2,
        impossible=(0.22, 0.22),
        foreseen=False,
    ),
    "small": Family(
        axes=_axes(
            prune_ratio=(0, 0.3, 0.5, 0.7),
            precision=("fp32", "fp16", "int8"),
            placement=("gpu", "dla", "gpu+dla"),
            batch=(1, 4, 16),
            power_mode=("15W", "30W", "MAXN"),
        ),
        taste=network.Taste(lottery=0.004, knee=(0.5, 0.7), int8=(0.004, 0.02)),
        foreseen=False,
    ),
}


def family(name: str, seed: int, *, board: int | None = None) -> Problem:
    """A board and a network of a family; the same for the same seed.

    Args:
        name: one of `FAMILIES`.
        seed: of the network, its checkpoints, and the board.
        board: seed of the board, where it is another one: the same network on it is a sibling of this problem.

    Raises:
        KeyError: there is no such family.
    """
    chosen, board = FAMILIES[name], seed if board is None else board
    whose = ([0, seed], [1, board], [2, seed, board])
    of_network, of_board, of_both = (np.random.default_rng([*who, *name.encode()]) for who in whose)
    columns = Columns(Space(chosen.axes))
    net = network.draw(of_network, chosen.taste)
    first, which = columns.distinct(*TRAINING_AXES)
    ratio, round_to, epochs = (columns.numbers(axis, default)[first] for axis, default in HEALED.items())
    made = network.pruned(net, ratio, round_to, epochs, chosen.taste, of_network)
    modes = int(columns.levels("power_mode").max()) + 1
    drawn = device.draw(of_board, dlas=chosen.dlas, modes=modes, cap=chosen.cap)
    drawn = device.meets(drawn, len(net.channels), of_both)
    _, engine = columns.distinct(*TRAINING_AXES, *BUILT_FOR, *(["power_mode"] if chosen.per_mode else []))
    load = _load(columns, net, made, which)
    lucky = np.exp(TACTICS * of_both.standard_normal(engine.max() + 1))[engine]
    figures = device.run(drawn, replace(load, luck=lucky))
    return _problem(
        f"{name}{seed}" if board == seed else f"{name}{seed} on {board}",
        columns.space,
        truth={"accuracy": _accuracy(made, which, load.precision), **_told(figures)},
        refused=refusals(columns.space, figures.memory, of_board.uniform(*chosen.impossible), of_board),
        stages=(Stage("finetune", which, CHECKPOINT_S), Stage("build", engine, BUILD_S)),
        prior={
            **_told(device.run(device.datasheet(drawn, of_board), load)),
            "macs": network.expected_work(net, ratio, round_to)[which],
        },
        foreseen=chosen.foreseen,
        noise=Noise(relative=of_board.uniform(0.015, 0.025), outliers=0.02, score=0.0015),
    )


def _load(columns: Columns, net: network.Network, made: network.Checkpoints, which: Ints) -> device.Load:
    return device.Load(
        inputs=made.inputs[which],
        outputs=made.outputs[which],
        kernel=net.kernel,
        pixels=net.pixels,
        precision=columns.words("precision", "fp32"),
        placement=columns.words("placement", "gpu"),
        batch=columns.numbers("batch", 1),
        streams=columns.numbers("streams", 1),
        mode=columns.levels("power_mode"),
        luck=np.ones(len(which)),
    )


def _accuracy(made: network.Checkpoints, which: Ints, precision: NDArray[np.str_]) -> Floats:
    """Of every candidate; a quarter of int8's loss remains where the layers that mind it stay in fp16."""
    share = np.select([precision == "int8", precision == "mixed", precision == "fp16"], [1.0, 0.25, 0.03], 0.0)
    return np.clip(made.accuracy[which] - share * made.int8_loss[which], 0.02, 1.0)


def _told(figures: device.Figures) -> dict[str, Floats]:
    return {"throughput_ips": figures.throughput_ips, "energy_mj": figures.energy_mj}


def _problem(
    name: str,
    space: Space,
    *,
    truth: dict[str, Floats],
    refused: NDArray[np.str_],
    stages: tuple[Stage, ...],
    prior: dict[str, Floats],
    noise: Noise,
    foreseen: bool,
) -> Problem:
    possible = refused == ""
    floor = round(float(truth["accuracy"][possible].max()) - USEFUL, 4)
    useful = possible & (truth["accuracy"] > floor)
    lowest = [gain(o, truth[o.metric][useful]).min() for o in OBJECTIVES[1:]]
    axes = tuple(axis.name for axis in space.axes)
    return Problem(
        name=name,
        space=space,
        objectives=OBJECTIVES,
        truth={metric: np.where(possible, values, np.nan) for metric, values in truth.items()},
        refusals=refused,
        stages=(*stages, Stage("measure", np.arange(space.size), MEASURE_S)),
        foreseen=foreseen,
        reached=np.where(possible | (refused == NO_ROOM), 3, 2),
        reference=np.array([floor, *lowest]),
        constraints=(Constraint("accuracy", ">=", floor),),
        noise=noise,
        depends={
            "accuracy": tuple(n for n in axes if n in COMPRESSION_AXES or n == "precision"),
            "throughput_ips": axes,
            "energy_mj": axes,
        },
        shares={"accuracy": "finetune"},
        prior=prior,
    )
