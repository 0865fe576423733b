"""The space: axes that may vary, rules that exclude combinations, and the candidates they leave."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Value = str | int | float | bool
Params = Mapping[str, Value]

# Axes the compression on the host depends on; every other axis is the deployment's.
TRAINING_AXES = ("prune_ratio", "round_to", "finetune_epochs")  # change weights: they need a module, not a file
QUANTISATION_AXES = ("calibration_method", "weight_type", "weight_scale", "weight_range", "activation_range")
COMPRESSION_AXES = (*TRAINING_AXES, *QUANTISATION_AXES)
IDLE_UNPRUNED = ("round_to", "finetune_epochs")  # change nothing while nothing is pruned
NETWORK_AXES = (*COMPRESSION_AXES, "precision", "runtime", "placement")
ENGINE_AXES = (*NETWORK_AXES, "batch", "power_mode")  # what an engine is built for
DEPLOYMENT_AXES = ("precision", "runtime", "batch", "threads", "placement", "power_mode", "streams")


@dataclass(frozen=True)
class Axis:
    """A name and the values it may take, in order; numbers are ordinal, words are categorical."""

    name: str
    values: tuple[Value, ...]

    @property
    def kind(self) -> Literal["ordinal", "categorical"]:
        numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in self.values)
        return "ordinal" if numeric and list(self.values) == sorted(self.values) else "categorical"


@dataclass(frozen=True)
class Rule:
    """``when`` these axes have these values, ``then`` those may only have those."""

    when: Mapping[str, tuple[Value, ...]]
    then: Mapping[str, tuple[Value, ...]]

    def allows(self, params: Params) -> bool:
        return not _matches(self.when, params) or _matches(self.then, params)

    def __str__(self) -> str:
        return f"when {_say(self.when)} then {_say(self.then)}"


def _matches(wanted: Mapping[str, tuple[Value, ...]], params: Params) -> bool:
    return all(params.get(axis) in allowed for axis, allowed in wanted.items())


def _say(wanted: Mapping[str, tuple[Value, ...]]) -> str:
    return " and ".join(f"{axis} is {' or '.join(map(str, allowed))}" for axis, allowed in wanted.items())


@dataclass(frozen=True)
class Candidate:
    """One point of the space, with the experiment's fixed axes filled in.

    `params` holds the free axes only and is the candidate's identity; `fixed` what the experiment holds constant.
    """

    params: Params
    fixed: Params = field(default_factory=dict)

    @property
    def all(self) -> dict[str, Value]:
        return {**self.fixed, **self.params}

    @property
    def compression(self) -> dict[str, Value]:
        """The dear half: what the host does to the network."""
        return {name: value for name, value in self.all.items() if name in COMPRESSION_AXES}

    @property
    def deployment(self) -> dict[str, Value]:
        """The cheap half: how the device runs it."""
        return {name: value for name, value in self.all.items() if name not in COMPRESSION_AXES}

    def has(self, values: Params) -> bool:
        """Whether it has all of these values, on free axes and fixed ones."""
        everything = self.all
        return all(axis in everything and everything[axis] == value for axis, value in values.items())

    @property
    def network(self) -> dict[str, Value]:
        """All that the file which the device is given can depend on."""
        return {name: value for name, value in self.all.items() if name in NETWORK_AXES}

    @property
    def effect(self) -> tuple[tuple[str, Value], ...]:
        """What is really done: how to heal a cut that is not made, or reach an int8 not wanted, is no choice."""
        everything = self.all
        unpruned = IDLE_UNPRUNED if everything.get("prune_ratio") == 0 else ()
        unquantised = QUANTISATION_AXES if everything.get("precision", "int8") != "int8" else ()
        idle = {*unpruned, *unquantised}
        return tuple((name, self.params[name]) for name in sorted(self.params) if name not in idle)

    @property
    def key(self) -> tuple[Value, ...]:
        """Hashable identity within one space."""
        return tuple(self.params[name] for name in sorted(self.params))

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.params.items())


@dataclass(frozen=True)
class Space:
    """A finite space: the product of its axes, less what the rules exclude and what would be the same thing twice.

    Attributes:
        listed: the only points there are, where not every combination is one (those of a recorded table); None for all
            combinations. What is listed is taken as it is: no two points are the same thing.
    """

    axes: tuple[Axis, ...]
    rules: tuple[Rule, ...] = ()
    fixed: Params = field(default_factory=dict)
    listed: tuple[Params, ...] | None = field(default=None, repr=False)

    def allows(self, params: Params) -> bool:
        """Whether no rule excludes the point; `params` names every free axis."""
        everything = {**self.fixed, **params}
        return all(rule.allows(everything) for rule in self.rules)

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every allowed candidate, in the order of the axes as written (the last varies fastest)."""
        if self.listed is not None:
            return tuple(self.walk())
        found: dict[Any, Candidate] = {}
        for candidate in self.walk():
            found.setdefault(candidate.effect, candidate)
        return tuple(found.values())

    def walk(self) -> Iterator[Candidate]:
        """Every allowed point one by one, doubles included."""
        for params in self._product() if self.listed is None else self.listed:
            if self.allows(params):
                yield Candidate(params, self.fixed)

    def _product(self) -> Iterator[Params]:
        names = [axis.name for axis in self.axes]
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield dict(zip(names, values, strict=True))

    def takes(self, name: str, value: Value) -> bool:
        """Whether the axis `name`, free or fixed, may have this value."""
        free = next((axis.values for axis in self.axes if axis.name == name), (self.fixed.get(name),))
        return value in free

    @property
    def size(self) -> int:
        return len(self.candidates)
