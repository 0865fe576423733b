"""What the TensorRT at hand can do, asked of the module itself: names that are there, never a version compared.

    8.5, 8.6    weakly typed: flags choose precisions           a calibration for int8
    10.x        both: flags, or strongly typed by a flag        a calibration for int8 on the DLA only
    11.x        strongly typed: precisions are in the network   no calibration at all

Sources: the wheels tensorrt 8.5.3.1 and 8.6.0; python/src/infer of NVIDIA/TensorRT at v10.3.0, v10.9.0, v11.0, v11.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

# The flag of a weakly typed network that each precision needs; int8 and best bring others along (see `flags`).
FLAGS = {"tf32": "TF32", "fp16": "FP16", "bf16": "BF16", "int8": "INT8", "fp8": "FP8"}
PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8", "best")
NO_INT8 = (53, 62)  # Nano and TX2: neither DP4A nor tensor cores
FIRST = (8, 5)  # release that has inputs and outputs by name
TENSOR_TF32_BF16 = 80  # from Ampere on
FP8 = 89  # from Ada on


@dataclass(frozen=True)
class Api:
    """The capabilities of a TensorRT module."""

    version: str
    flags: frozenset[str]  # of BuilderFlag
    names_tensors: bool  # inputs and outputs by name, execute_async_v3: 8.5 and later
    weakly_typed: bool  # precisions by flags; gone in 11
    strongly_typed: bool  # precisions from the network
    strongly_typed_by_flag: bool  # asked for when the network is made; in 11 there is nothing else
    explicit_batch: bool  # a flag that 8.x needs; without effect in 10.x, gone in 11
    dynamic_ranges: bool  # a calibration can be given; gone in 11

    @classmethod
    def of(cls, trt: Any) -> Api:
        """The capabilities of the module `trt`."""
        creation = trt.NetworkDefinitionCreationFlag
        weakly = hasattr(trt.BuilderFlag, "FP16")
        return cls(
            version=str(trt.__version__),
            flags=frozenset(name for name in dir(trt.BuilderFlag) if re.fullmatch(r"[A-Z][A-Z0-9_]+", name)),
            names_tensors=hasattr(trt.ICudaEngine, "get_tensor_name")
            and hasattr(trt.IExecutionContext, "execute_async_v3"),
            weakly_typed=weakly,
            strongly_typed=not weakly or hasattr(creation, "STRONGLY_TYPED"),
            strongly_typed_by_flag=weakly and hasattr(creation, "STRONGLY_TYPED"),
            explicit_batch=hasattr(creation, "EXPLICIT_BATCH"),
            dynamic_ranges=weakly and hasattr(trt.ITensor, "set_dynamic_range"),
        )

    def why_not(self) -> str:
        """Why this TensorRT cannot be used; empty when it can."""
        return "" if self.names_tensors else nameless(self.version)


def nameless(version: str) -> str:
    """Why a TensorRT from before `FIRST` cannot be used."""
    return f"TensorRT {version} knows no inputs and outputs by name; 8.5 (JetPack 5) is the oldest that serves"


def precisions(api: Api, sm: int) -> dict[str, str]:
    """Each precision, and why it cannot be had on a GPU of compute capability `sm`; empty when it can."""
    return {name: _no_hardware(name, sm) or _no_flag(name, api) for name in PRECISIONS}


def _no_hardware(precision: str, sm: int) -> str:
    if precision == "int8" and sm in NO_INT8:
        return f"a GPU of compute capability {sm // 10}.{sm % 10} has no int8 arithmetic"
    least = {"tf32": TENSOR_TF32_BF16, "bf16": TENSOR_TF32_BF16, "fp8": FP8}.get(precision, 0)
    if sm < least:
        words = "{} needs a GPU of compute capability {}.{}, this one has {}.{}"
        return words.format(precision, *divmod(least, 10), *divmod(sm, 10))
    return ""


def _no_flag(precision: str, api: Api) -> str:
    if precision == "best" and not api.weakly_typed:
        return f"TensorRT {api.version} chooses no precisions: it takes those of the network"
    if precision in ("fp32", "best") or api.strongly_typed or FLAGS[precision] in api.flags:
        return ""
    return f"TensorRT {api.version} knows no {precision}"


def flags(precision: str, api: Api, sm: int) -> list[str]:
    """The builder's flags for `precision` in a weakly typed network. Beside int8 and fp8, what is not quantised runs in
    fp16: so do the layers of a DLA that lack a scale.
    """
    wanted = [FLAGS[precision]] if precision in FLAGS else []
    if precision in ("int8", "fp8"):
        wanted.append("FP16")
    if precision == "best":
        wanted = [flag for name, flag in FLAGS.items() if not _no_hardware(name, sm)]
    return [flag for flag in wanted if flag in api.flags]
