"""Every axis a space may have: what it means, which values it takes, and what holds when a file leaves it out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from explorer.space import Value


class NotAValue(ValueError):
    """A value that the axis does not take; `allowed` says in words which it does."""

    def __init__(self, what: str, *, allowed: str) -> None:
        super().__init__(what)
        self.allowed = allowed


class Domain(Protocol):
    """What an axis may hold, by the program's knowledge of it or by a table's column."""

    @property
    def name(self) -> str: ...

    @property
    def allowed(self) -> str:
        """The domain in words."""

    @property
    def words(self) -> tuple[str, ...]:
        """Values to compare a misspelt one with."""

    @property
    def open(self) -> bool:
        """Whether plug-ins may bring further words."""

    def read(self, value: Any, *, own: bool = False) -> Value:
        """`value` as the axis holds it.

        Raises:
            NotAValue: the axis has no such value.
        """


@dataclass(frozen=True)
class AxisSpec:
    """The domain of one axis.

    Attributes:
        kind: "ratio" (a number from 0 up to but without 1), "count" (a whole number from `least`), or "word".
        words: what a word axis may say, and a count in place of a number.
        default: what is fixed when the file names the axis nowhere; None leaves it to the device.
        open: plug-ins may bring further words.
    """

    name: str
    summary: str
    kind: Literal["ratio", "count", "word"]
    least: int = 1
    words: tuple[str, ...] = ()
    default: Value | None = None
    open: bool = False
    example: tuple[Value, ...] = ()

    @property
    def allowed(self) -> str:
        """The domain in words."""
        if self.kind == "ratio":
            return "a number from 0 up to, but not including, 1"
        if self.kind == "count":
            return ", or ".join((f"a whole number, {self.least} or more", *self.words))
        return ", ".join(self.words) if self.words else "a word without spaces"

    def read(self, value: Any, *, own: bool = False) -> Value:
        """`value` as the axis holds it: a ratio is always a float, so that 0 and 0.0 are one candidate.

        Args:
            value: as the file has it.
            own: whether the boards are brought runtimes of the user's own, whose names only they know.

        Raises:
            NotAValue: the axis has no such value.
        """
        if self.kind == "word":
            return self._word(value, own=own)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if self.kind == "ratio" and number and math.isfinite(value) and 0 <= value < 1:
            return float(value)
        if self.kind == "count" and isinstance(value, int) and number and value >= self.least:
            return value
        if self.kind == "count" and isinstance(value, str) and value in self.words:
            return value
        raise NotAValue(f"not a value of {self.name}", allowed=self.allowed)

    def _word(self, value: Any, *, own: bool) -> str:
        if own and self.open and isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", value):
            return value
        if not isinstance(value, str) or (self.words and value not in self.words) or not re.fullmatch(r"\S+", value):
            raise NotAValue(f"not a value of {self.name}", allowed=self.allowed)
        return value

    def value_schema(self) -> dict[str, Any]:
        """JSON Schema of one value."""
        if self.kind == "ratio":
            return {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
        if self.kind == "count":
            number = {"type": "integer", "minimum": self.least}
            return {"anyOf": [number, {"enum": list(self.words)}]} if self.words else number
        closed = {"enum": list(self.words)} if self.words and not self.open else {}
        return {"type": "string", **closed, **({"examples": list(self.words)} if self.open else {})}


_ALL = (
    AxisSpec(
        "prune_ratio",
        "Share of channels that structured pruning asks to remove; what was achieved is recorded with each trial.",
        "ratio",
        default=0.0,
        example=(0, 0.25, 0.5),
    ),
    AxisSpec(
        "round_to",
        "Keep the channels that survive pruning a multiple of this; unit: of what the candidate's precision and "
        "placement take at once, 8 on a GPU in fp16 to 32 on a DLA in int8.",
        "count",
        words=("unit",),
        default=1,
        example=(1, 8, "unit"),
    ),
    AxisSpec(
        "finetune_epochs",
        "Epochs of fine-tuning after pruning, in place of finetune.epochs.",
        "count",
        least=0,
        example=(0, 1, 4),
    ),
    AxisSpec(
        "precision",
        "Arithmetic of the engine; int8 is calibrated on the dataset's training split; best lets the runtime mix.",
        "word",
        words=("fp32", "tf32", "fp16", "bf16", "int8", "fp8", "best"),
        default="fp32",
        example=("fp32", "bf16", "int8"),
    ),
    AxisSpec(
        "calibration_method",
        "How int8 finds the range of an activation. The runtime's recipe decides when left out.",
        "word",
        words=("minmax", "entropy", "percentile"),
        example=("minmax", "percentile"),
    ),
    AxisSpec(
        "weight_type",
        "Signed or unsigned weights; on x86 without VNNI only unsigned ones cannot saturate.",
        "word",
        words=("int8", "uint8"),
        example=("int8", "uint8"),
    ),
    AxisSpec(
        "weight_scale",
        "One scale for a whole tensor of weights, or one for each output channel.",
        "word",
        words=("tensor", "channel"),
        example=("tensor", "channel"),
    ),
    AxisSpec(
        "weight_range",
        "All 8 bits of a weight, or 7, which keeps x86 without VNNI from saturating.",
        "word",
        words=("full", "reduced"),
        example=("full", "reduced"),
    ),
    AxisSpec(
        "activation_range",
        "A range around zero, or one that follows the data; TensorRT takes symmetric ones only.",
        "word",
        words=("symmetric", "asymmetric"),
        example=("symmetric", "asymmetric"),
    ),
    AxisSpec(
        "runtime",
        "What executes the network on the device; a plug-in of yours (device_options.plugins) may bring others.",
        "word",
        words=("onnxruntime", "openvino", "tensorrt"),
        default="onnxruntime",
        open=True,
        example=("onnxruntime", "openvino"),
    ),
    AxisSpec("batch", "Samples in one inference.", "count", default=1, example=(1, 4, 16)),
    AxisSpec("threads", "CPU threads the runtime may use for one inference.", "count", default=1, example=(1, 2)),
    AxisSpec(
        "streams",
        "Inferences in flight at the same time; a runtime may be unable to.",
        "count",
        default=1,
        example=(1, 2),
    ),
    AxisSpec(
        "placement",
        "The unit that executes the network. TensorRT: gpu when left out; dla: the GPU runs what it cannot; dla_only: "
        "nothing falls back; gpu+dla: an engine on each, together. Other runtimes: cpu.",
        "word",
        words=("cpu", "gpu", "dla", "dla_only", "gpu+dla"),
        example=("gpu", "dla", "gpu+dla"),
    ),
    AxisSpec(
        "power_mode",
        "The board's power mode, by the board's own name for it (explorer agent check tells them), never by number.",
        "word",
        example=("15W", "MAXN"),
    ),
)

AXES: Mapping[str, AxisSpec] = {spec.name: spec for spec in _ALL}
