"""The sections of a space file as pydantic models: their keys, types, defaults and descriptions.

They give the shape of each section and the JSON Schema; what only makes sense across sections is checked in `reader`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = r"(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?"


def seconds_of(text: str) -> float:
    """Seconds in a duration such as ``2h``, ``90s``, ``1h30m``.

    Raises:
        ValueError: the text is not one.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not re.fullmatch(_DURATION, text) or total <= 0:
        raise ValueError("a duration such as 2h, 5m, 90s or 1h30m")
    return total


def _duration(text: str) -> str:
    seconds_of(text)
    return text


Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
StudyName = Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]
Duration = Annotated[str, AfterValidator(_duration), WithJsonSchema({"type": "string", "pattern": rf"^{_DURATION}$"})]


class Section(BaseModel):
    """Unknown keys are errors, and a word is never taken for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelSection(Section):
    """The network. Keys that are not listed here are handed to the network's constructor."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: str | None = Field(
        default=None, description="A registered model (explorer list models) or your own: module:callable."
    )
    weights: str | None = Field(
        default=None,
        description="Checkpoint to start from, relative to this file, or shipped for the project's own weights. "
        "Without it the network is trained from scratch.",
        examples=["shipped", "weights/gaitset.pt"],
    )
    onnx: str | None = Field(
        default=None, description="A network as an .onnx file, in place of a name; it cannot be pruned."
    )


class DatasetSection(Section):
    """The data. Keys that are not listed here are handed to the dataset's constructor."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: str = Field(description="A registered dataset (explorer list datasets) or your own: module:callable.")
    calibration: Count = Field(default=256, description="Training samples from which int8 learns its ranges.")
    metrics: list[str] = Field(
        default=[], description="Names of further metrics that your own dataset's score() returns."
    )


class SearchSection(Section):
    """How candidates are chosen and when to stop."""

    sampler: str = Field(
        default="auto",
        description="front, tpe, nsga2, gp, random, a plug-in, or auto: front, but tpe for over 30,000 candidates.",
    )
    trials: Count | None = Field(
        default=None, description="Stop after this many candidates; 100 when no limit is given."
    )
    hours: Positive | None = Field(default=None, description="Stop after this many hours.")
    timeout: Duration | None = Field(default=None, description="The same in words.", examples=["2h", "90s", "1h30m"])
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="Seed of the sampler.")
    stop_below: Annotated[float, Field(gt=0, lt=1)] | Literal["auto", "off"] = Field(
        default="auto",
        description="Stop when a candidate is expected to add less than this share to the hypervolume, several times "
        "in a row; auto for 0.001 where the sampler tells what it expects (front does), else off.",
        examples=["auto", "off", 0.01],
    )
    race: Duration | Literal["auto", "off"] = Field(
        default="auto",
        description="How long candidates whose rank is undecided are measured again, against each other: a duration, "
        "off, or auto for what is left of the time (without a limit of time, half of what measuring took).",
        examples=["auto", "off", "5m"],
    )
    learn_from: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list,
        description="Earlier studies whose records warm the search (front, auto): the same network on another board, "
        "or another network on this one; by name in the results folder, or by folder from where this file is.",
        examples=[["gaitset-xavier"]],
    )
    prior: Literal["auto", "off"] = Field(
        default="auto",
        description="Whether a roofline model of the network on the board, worked out before anything is run, steers "
        "the search (front, auto) as far as it turns out to be right; it is never reported.",
        examples=["auto", "off"],
    )
    ladder: Literal["auto", "off"] = Field(
        default="auto",
        description="Whether a candidate is stopped once it is dominated with 99 % confidence: by its accuracy on this "
        "host, where its board is another machine, or by a short measurement, where whole ones take 10 s or more; auto "
        "for yes where the sampler can tell (front), off for never.",
    )


class RecipeSection(Section):
    """How a network is trained; what is not given comes from the model's own recipe."""

    epochs: NotNegative | None = Field(default=None, description="Passes over the training data; or give iterations.")
    iterations: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Optimiser steps; or give epochs.")
    optimiser: Literal["adam", "adamw", "sgd"] | None = Field(default=None, description="adam, adamw or sgd.")
    lr: Positive | None = Field(default=None, description="Highest learning rate.")
    schedule: Literal["constant", "cosine", "step"] | None = Field(
        default=None, description="How the learning rate falls."
    )
    warmup: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description="Share of the steps in which lr rises."
    )
    identities: Count | None = Field(default=None, description="Classes in a batch.")
    samples_each: Count | None = Field(default=None, description="Samples of each class in a batch.")
    weight_decay: NotNegative | None = Field(default=None, description="L2 penalty on the weights.")
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = Field(default=None, description="Momentum of sgd.")
    clip_norm: Positive | None = Field(default=None, description="Scale gradients down to this norm.")
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="Seed of the order of samples and of new weights.")


class MeasureSection(Section):
    """How long the device warms up and measures."""

    warmup_s: NotNegative = Field(default=0.2, description="Warm up at least this long, longer until steady.")
    window_s: Positive = Field(default=0.1, description="Length of one window of back-to-back inferences.")
    windows_min: Annotated[int, Field(ge=2)] = Field(default=5, description="At least this many windows.")
    budget_s: Positive = Field(default=3.0, description="Stop adding windows after this long, tight or not.")
    relative_interval: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.02,
        description="Stop adding windows when the 95 % interval's half-width is below this share of the mean.",
    )
    idle_s: NotNegative = Field(
        default=0.5, description="Idle baseline before and after a measurement, where a meter measures."
    )
    cooldown_s: NotNegative = Field(
        default=60.0, description="Wait at most this long for the board's temperature to settle before a measurement."
    )
    reference_every: Annotated[int, Field(ge=0)] = Field(
        default=1, description="Interleave every so many candidates with the reference engine; 0 for never."
    )
    rounds: Count = Field(
        default=12, description="Interleaved rounds, at most, in which a candidate and the reference take turns."
    )
    rate_hz: Positive = Field(default=25.0, description="Samples a second that one subject brings, for subjects_25ips.")
    deadline_ms: Positive = Field(
        default=40.0, description="Time in which a batch must be done for subjects_25ips, from its last sample on."
    )
    verify: Literal["trtexec"] | None = Field(
        default=None,
        description="NVIDIA's own runner checks the throughput of each candidate in TensorRT; no figure changes by it.",
        examples=["trtexec"],
    )


class MeterSection(Section):
    """Where watts come from."""

    name: str = Field(default="auto", description="auto takes the first that works; explorer list meters names them.")
    idle_w: NotNegative | None = Field(
        default=None, description="Declared watts of the idle machine, where nothing measures."
    )
    busy_core_w: NotNegative | None = Field(default=None, description="Declared watts that each busy core adds.")
    policy: str | None = Field(
        default=None, description="For ina3221: another of the totals that the board's rails allow, such as sum_all/1."
    )
    lag_s: NotNegative | None = Field(
        default=None, description="For ina3221: the time constant of a sensor that does not tell how it smooths."
    )
    gpus: list[int] | None = Field(
        default=None, description="For nvml: these GPUs only, by the numbers that nvidia-smi shows."
    )
    python: str | None = Field(default=None, description="For jtop: the Python that jetson-stats is installed for.")


class DeviceOptionsSection(Section):
    """What the boards have to be told; it goes over what their own files say."""

    plugins: list[str] | None = Field(
        default=None, description="Python modules that bring runtimes or meters of your own to the board."
    )
    runtimes: list[str] | None = Field(default=None, description="Only these, of all that the board has.")
    python: str | None = Field(default=None, description="The board's interpreter, 3.8 or later; python3 by default.")
    home: str | None = Field(default=None, description="Where the agent keeps its files on the board.")
    wait_s: NotNegative | None = Field(default=None, description="How long to wait for a board that is in use.")
    patience_s: NotNegative | None = Field(
        default=None, description="How long a lost board is tried again before it is given up; 600 by default."
    )
    clocks: Literal["lock", "leave"] | None = Field(
        default=None, description="Whether the board's clocks are locked while it measures, where that is possible."
    )
    reboot: Literal["never", "allow"] | None = Field(
        default=None,
        description="Whether a power mode that wants it may restart the board, which then stays in that mode; "
        "never by default.",
    )
    seed: int | None = Field(default=None, ge=0, description="Of a virtual board's noise; 0 by default.")
    faults: dict[str, Any] | None = Field(
        default=None, description="What is wrong with a virtual board: explorer agent serve --help tells its faults."
    )
    cache_gb: Positive | None = Field(default=None, description="Room that the agent's files may take on the board.")
    password_env: str | None = Field(
        default=None, description="Name of the environment's variable that holds the password, where no key is used."
    )
    identity_file: str | None = Field(default=None, description="The private key to log in with.")


class RecordedOptions(Section):
    """What a recorded table has to be told."""

    seconds: str = Field(default="", description="The column that says how many seconds each trial took.")


class BoardFile(DeviceOptionsSection):
    """A board, described in a file of its own: how it is reached, and what it has to be told."""

    summary: str = Field(default="", description="One line for explorer list devices.")
    transport: Literal["local", "ssh"] = Field(description="ssh for a board, local for this machine.")
    address: str | None = Field(default=None, description="ssh://[user@]host[:port]; the host may be an alias.")
    meter: MeterSection = Field(default=MeterSection(), description=MeterSection.__doc__)


class RuleSection(Section):
    """When these axes have these values, then those may only have those."""

    when: dict[str, Any] = Field(min_length=1, description="Axis to value, or list of values.")
    then: dict[str, Any] = Field(min_length=1, description="Axis to the value, or list of values, it is limited to.")


class SpaceFile(Section):
    """One experiment of explorer: a network, its data, a device, a space of deployments, and what is wanted of them."""

    study: StudyName | None = Field(
        default=None, description="Name of the study and of its folder below results/; the file's name when left out."
    )
    model: ModelSection = Field(description=ModelSection.__doc__)
    dataset: DatasetSection | None = Field(default=None, description=DatasetSection.__doc__)
    device: list[str] = Field(
        default=["local:"],
        description="Where candidates run: local: (this machine), ssh://[user@]host[:port], sim:NAME (a virtual "
        "Jetson), the name of a board (explorer list devices) or of a group, a board's .yaml file; a list is a fleet "
        "of equal boards. recorded:TABLE.csv: nothing runs, all was measured before.",
        examples=["ssh://nvidia@orin.local", ["ssh://orin-1", "ssh://orin-2"]],
    )
    build_on: str | None = Field(
        default=None,
        description="A board that is like the others, builds their engines and measures nothing; without, each board "
        "builds for itself.",
        examples=["ssh://nvidia@orin-3"],
    )
    simulate: str | None = Field(
        default=None,
        description="The virtual board that stands in for the real one with explorer run --simulate.",
        examples=["agx-orin-64"],
    )
    device_options: DeviceOptionsSection | RecordedOptions = Field(
        default=DeviceOptionsSection(), description=DeviceOptionsSection.__doc__
    )
    meter: MeterSection = Field(default=MeterSection(), description=MeterSection.__doc__)
    space: dict[str, Any] = Field(description="The axes that may vary, each with its values.")
    rules: list[RuleSection] = Field(default=[], description="Combinations that are left out.")
    objectives: dict[str, Literal["max", "min"]] = Field(min_length=1, description="Metrics to make large or small.")
    constraints: list[str] = Field(
        default=[], description="What a candidate must keep.", examples=[["accuracy >= 0.85"]]
    )
    search: SearchSection = Field(default=SearchSection(), description=SearchSection.__doc__)
    train: RecipeSection = Field(
        default=RecipeSection(), description="How the network is trained when it has no weights."
    )
    finetune: RecipeSection = Field(
        default=RecipeSection(), description="How a pruned network is trained further; epochs 1 by default."
    )
    measure: MeasureSection = Field(default=MeasureSection(), description=MeasureSection.__doc__)
