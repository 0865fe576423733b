"""What TensorRT says, kept, and what became of a build or a load read from it. The builder raises nothing: it gives
None, and the reason is only in its log.

    infeasible    a fact about this network on this board: the same again would end the same
    failed        the board's doing, or unclear: memory that others hold, a device in disorder, an engine of another
                  board (a fact about that file, not about the network), no reason at all

Sources of the words, as users report them on github.com: NVIDIA/TensorRT issues 1766, 1917 (no implementation), 2041,
2176, 2195 (plans from elsewhere), 2318, 3438 (DLA); onnx/onnx-tensorrt 758 (memory that shows as no implementation);
marcoslucianops/DeepStream-Yolo 27, 366 (DLA, memory); NVIDIA-AI-IOT/torch2trt 661 (memory).
"""

from __future__ import annotations

import re
import sys
from typing import Any, List, Sequence, Tuple

from explorer_agent.messages import FAILED, INFEASIBLE, AgentError

Line = Tuple[int, str]  # severity, text
Log = List[Line]
INTERNAL_ERROR, ERROR, WARNING, INFO = 0, 1, 2, 3  # ILogger.Severity
LINES_MOST = 50_000  # of a verbose build of a large network there are more
TOLD = 20

_MEMORY = re.compile(
    r"out ?of ?memory|insuff?icient memory|std::bad_alloc|bad_alloc|cudaErrorMemoryAllocation"
    r"|requested amount of (?:gpu )?memory|allocation failed|failed to allocate",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    r"illegal memory access|unspecified launch failure|misaligned address|device-side assert|launch timed out"
    r"|cudnn_status_|cublas_status_|Cuda Runtime|CUDA (?:initialization failure|error)|nvdla.*(?:timeout|hang)",
    re.IGNORECASE,
)
_SKIPPED = re.compile(r"skipping tactic.{0,40}insuff?icient memory", re.IGNORECASE)
_NO_IMPLEMENTATION = re.compile(r"could not find any implementation|no implementation|NO_?IMPL", re.IGNORECASE)
# In this order: what is found first is the reason. Each is (kind, what it is, hint, words).
_REASONS = [
    (FAILED, "out of memory", "a smaller batch, or fewer other programs on this board", _MEMORY),
    (
        INFEASIBLE,
        "too many pieces for a DLA",
        "a core holds 16 loadables at most: fewer layers that fall back to the GPU",
        re.compile(r"(?:max|exceed|too many|number of).{0,60}loadables?", re.IGNORECASE),
    ),
    (
        INFEASIBLE,
        "a layer that the DLA cannot run",
        "placement dla, where such layers run on the GPU",
        re.compile(
            r"GPU fallback is (?:not enabled|disabled)|DLA (?:validation|compilation) failed"
            r"|DLA.*(?:not support|cannot)|(?:not support\w*|Unsupported|cannot run) (?:on|for|by|with) (?:the )?DLA",
            re.IGNORECASE,
        ),
    ),
    (
        INFEASIBLE,
        "no hardware for this precision",
        "another precision",
        re.compile(
            r"requires? hardware with|(?:platform|hardware|device) (?:does not|doesn't) support|not supported on this "
            r"(?:platform|hardware|device)|no (?:fast )?native (?:int8|fp16|bf16|fp8)",
            re.IGNORECASE,
        ),
    ),
    (FAILED, "the device failed", "look at dmesg; a reboot may help", _DEVICE),
    (
        INFEASIBLE,
        "a layer without any implementation",
        "another precision or shape; the log names the layer",
        _NO_IMPLEMENTATION,
    ),
    (
        FAILED,
        "an engine from elsewhere",
        "build it on this board",
        re.compile(
            r"stdVersionRead|serialized engine version|different (?:TensorRT )?version|version (?:tag|mismatch)"
            r"|incompatible (?:device|version|platform)|plan file is (?:generated|incompatible)|magicTagRead"
            r"|rebuild\b|built with.*(?:version|platform)|not compatible with this version|platform.{0,40}mismatch",
            re.IGNORECASE,
        ),
    ),
    (
        INFEASIBLE,
        "a network that TensorRT does not accept",
        "the log names the layer",
        re.compile(
            r"unsupported|not supported|Error Code [34]\b|network (?:must|has)|shape.*mismatch"
            r"|invalid (?:network|node|layer|weights?|shape|dimension|input|output|axis|axes|attribute)",
            re.IGNORECASE,
        ),
    ),
]


def logger(trt: Any, kept: Log) -> Any:
    """A logger of TensorRT's that keeps every line in `kept`, and prints from a warning on."""

    class Kept(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            number = int(severity)
            if len(kept) < LINES_MOST or number <= WARNING:
                kept.append((number, msg))
            if number <= WARNING:
                sys.stderr.write(f"[TensorRT {'EEW'[number]}] {msg}\n")

    return Kept()


def made(factory: Any, log_to: Any, log: Sequence[Line]) -> Any:
    """A builder or a runtime; where TensorRT gives none pybind11 raises TypeError, and the reason is in the log."""
    try:
        return factory(log_to)
    except (TypeError, RuntimeError) as error:
        why = classified(log or [(ERROR, str(error))], f"TensorRT gives no {factory.__name__.lower()}")
        raise AgentError(FAILED, why.text, hint=why.hint, trace=why.trace) from error


def classified(log: Sequence[Line], what: str) -> AgentError:
    """Why `what` gave nothing, by the log; failed, with all that was said, when no known reason is in it."""
    said = [text for severity, text in log if severity <= WARNING]
    errors = [text for severity, text in log if severity <= ERROR]
    trace = "\n".join(said)
    if any(map(_NO_IMPLEMENTATION.search, errors)):  # for want of memory every way may have been left out
        errors = [text for text in said if _SKIPPED.search(text)] or errors
    for kind, name, hint, words in _REASONS:
        # A warning of memory is no failure yet: a tactic was skipped. Without a single error it is all there is.
        found = next((text for text in (errors or said) if words.search(text)), "")
        if found:
            return AgentError(kind, f"{what}: {name}: {found.strip()[:1000]}", hint=hint, trace=trace)
    told = "; ".join(text.strip()[:300] for text in (errors or said)[-3:]) or "TensorRT gave no reason"
    return AgentError(FAILED, f"{what}: {told}", trace=trace)


def unparsed(trt: Any, parser: Any, log: Sequence[Line]) -> AgentError:
    """What the parser has against a network: its own errors, each with its node."""
    errors = [parser.get_error(number) for number in range(parser.num_errors)]
    told = [_error(error) for error in errors] or [text for severity, text in log if severity <= ERROR]
    lacking = any(error.code() == trt.ErrorCode.UNSUPPORTED_NODE for error in errors)
    why = (
        "an operator that TensorRT's parser does not know" if lacking else "no network that TensorRT's parser can read"
    )
    text = "{}: {}".format(why, "; ".join(told[:TOLD]) or "it gave no reason")
    hint = "an operator set that this TensorRT reads: 17 for 8.5, 19 for 8.6, 20 for 10.3" if lacking else ""
    return AgentError(INFEASIBLE, text[:4000], hint=hint, trace="\n".join(text for _, text in log if _ <= WARNING))


def _error(error: Any) -> str:
    return f"node {error.node()}: {error.desc()}".strip()[:500]
