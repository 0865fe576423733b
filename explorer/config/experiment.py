"""The experiment as the rest of the program sees it: frozen, every default filled in, every path absolute."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from explorer.artifacts import sha256_of
from explorer.recorded import Recording
from explorer.result import Constraint, Objective
from explorer.space import Space
from explorer.transports.specs import SIM

# Of the device options those that change results; the others say how a board is reached and waited for.
_TELLING = ("meter", "plugins", "runtimes", "clocks")
# Fields of the plan that every study states.
_EVER = ("warmup_s", "window_s", "windows_min", "budget_s", "relative_interval", "idle_s")


@dataclass(frozen=True)
class ModelRef:
    """The network: a registered name or ``package.module:callable`` with its options, or an ONNX file.

    Attributes:
        weights: a checkpoint to start from; None trains from scratch.
        onnx: the network as a file, in place of a name; it cannot be pruned or trained.
        code: sha256 of the user's own module file; empty for the program's own networks and for plug-ins.
    """

    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    onnx: Path | None = None
    code: str = ""

    def identity(self) -> dict[str, Any]:
        """What of the model changes results; files by their content, so that moving one changes nothing."""
        files = {"weights": self.weights, "onnx": self.onnx}
        hashes = {kind: sha256_of(path) for kind, path in files.items() if path is not None}
        return _given({"name": self.name, "options": dict(self.options), **hashes, "code": self.code})


@dataclass(frozen=True)
class DatasetRef:
    """The data: a registered name or ``package.module:callable``, its options, and how many samples calibrate int8."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    calibration: int = 256
    code: str = ""

    def identity(self) -> dict[str, Any]:
        return _given(asdict(self) | {"options": dict(self.options)})


@dataclass(frozen=True)
class SearchPlan:
    """How candidates are chosen and when to stop; with neither `trials` nor `seconds` the whole space is explored.

    Attributes:
        stop_below: stop when the best candidate is expected to add less than this share to the hypervolume, 0 for
            never; None: the usual, where the sampler tells what it expects.
        race_s: seconds in which undecided candidates are measured again, 0 for never; None: what is left of `seconds`,
            or else a share of the time that measuring took.
        learn_from: earlier studies whose records warm the search, by name or folder.
        prior: a roofline model of the network on the board may steer the search.
        ladder: whether candidates that are dominated for sure are stopped early, where the sampler can tell.
    """

    sampler: str = "auto"
    trials: int | None = None
    seconds: float | None = None
    seed: int = 0
    stop_below: float | None = None
    race_s: float | None = None
    learn_from: tuple[str, ...] = ()
    prior: bool = True
    ladder: bool = True


@dataclass(frozen=True)
class FinetunePlan:
    """What follows pruning: `epochs` or `iterations`, not both; `recipe` replaces fields of the model's own recipe."""

    epochs: float | None = None
    iterations: int | None = None
    seed: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def skipped(self) -> bool:
        """Whether pruned networks are used as they are."""
        return not self.epochs and not self.iterations


@dataclass(frozen=True)
class MeasurePlan:
    """How long the device warms up and measures; see ``explorer schema`` for each field."""

    warmup_s: float = 0.2
    window_s: float = 0.1
    windows_min: int = 5
    budget_s: float = 3.0
    relative_interval: float = 0.02
    idle_s: float = 0.5
    cooldown_s: float = 60.0
    reference_every: int = 1
    rounds: int = 12
    rate_hz: float = 25.0
    deadline_ms: float = 40.0
    verify: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON."""
        return asdict(self)

    def identity(self) -> dict[str, Any]:
        """What of the plan changes results; what was added later counts once it is not at its default. Whether figures
        are verified changes none of them.
        """
        plan, usual = replace(self, verify=None).to_json(), MeasurePlan().to_json()
        return {name: value for name, value in plan.items() if name in _EVER or value != usual[name]}


@dataclass(frozen=True)
class Experiment:
    """One space file, read and checked.

    Attributes:
        train: fields of the training recipe that replace the model's own, when it is trained from scratch.
        device_options: what the device has to be told, such as ``{"meter": {"name": "auto", "idle_w": 10.0}}``.
        build_on: the board that builds the engines of the others; empty where each builds for itself.
        stand_in: the virtual board that may be taken in place of the devices; empty where the file names none.
        recorded: the table that is replayed in place of a device; nothing is made, run or measured then.
        path: the space file.
        folder: where it lies; relative paths and the user's own modules are looked for here.
    """

    study: str
    model: ModelRef | None
    space: Space
    objectives: tuple[Objective, ...]
    path: Path
    folder: Path
    dataset: DatasetRef | None = None
    devices: tuple[str, ...] = ("local:",)
    device_options: Mapping[str, Any] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    search: SearchPlan = field(default_factory=SearchPlan)
    train: Mapping[str, Any] = field(default_factory=dict)
    finetune: FinetunePlan = field(default_factory=FinetunePlan)
    measure: MeasurePlan = field(default_factory=MeasurePlan)
    build_on: str = ""
    stand_in: str = ""
    recorded: Recording | None = None

    @property
    def simulate(self) -> bool:
        """Whether it runs on virtual boards: nothing that it measures of time and power is real."""
        return any(device.startswith(SIM) for device in self.devices)

    def identity(self) -> dict[str, Any]:
        """Everything that changes results, as plain JSON.

        How long the search may last is left out, and so are the boards' names: which boards are equal is told by their
        fingerprints, which the study keeps beside this.
        """
        if self.recorded is not None:
            return {"recorded": self.recorded.identity(), **self._wanted()}
        return {
            "model": self.model.identity() if self.model else None,
            "dataset": self.dataset.identity() if self.dataset else None,
            "device_options": {k: v for k, v in self.device_options.items() if k in _TELLING},
            **self._wanted(),
            "train": dict(self.train),
            "finetune": _given(asdict(self.finetune) | {"recipe": dict(self.finetune.recipe)}),
            "measure": self.measure.identity(),
            "simulate": self.simulate,
        }

    def _wanted(self) -> dict[str, Any]:
        """What is looked for, where, and how."""
        return {
            "fixed": dict(self.space.fixed),
            "space": {axis.name: list(axis.values) for axis in self.space.axes},
            "rules": [str(rule) for rule in self.space.rules],
            "objectives": {objective.metric: objective.direction for objective in self.objectives},
            "constraints": [str(constraint) for constraint in self.constraints],
            "search": _given(
                {
                    "sampler": self.search.sampler,
                    "seed": self.search.seed,
                    "learn_from": list(self.search.learn_from),
                    "prior": "" if self.search.prior else "off",
                    "ladder": "" if self.search.ladder else "off",
                }
            ),
        }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed between two identities, one line each: ``space.batch: [1, 2] → [1, 2, 4]``."""
    was, now = dict(_leaves(old)), dict(_leaves(new))
    return [
        f"{path}: {was.get(path, 'absent')} → {now.get(path, 'absent')}"
        for path in {**was, **now}
        if was.get(path) != now.get(path)
    ]


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, json.dumps(value, ensure_ascii=False)


def _given(data: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: a field added to the program later must not change the identity of studies made before."""
    return {key: value for key, value in data.items() if value not in (None, "", {}, [])}
