"""What the builder's log says, read as people have reported it: a fact about the candidate, or the board's doing."""

from __future__ import annotations

from typing import Any

import pytest

from explorer_agent.runtimes.tensorrt import failures
from explorer_agent.runtimes.tensorrt.failures import ERROR, INFO, WARNING

from .conftest import Boards

# what is in the log, kind, what it is called
CASES = [
    (
        [(ERROR, "[executionContext.cpp::ExecutionContext::476] Error Code 2: OutOfMemory (no further information)")],
        "failed",
        "out of memory",
    ),
    ([(ERROR, "Requested amount of GPU memory (1073741824 bytes) could not be allocated.")], "failed", "out of memory"),
    ([(ERROR, "std::bad_alloc")], "failed", "out of memory"),
    (
        [
            (WARNING, "Skipping tactic 0 due to insufficient memory on requested size of 1170309120 detected."),
            (ERROR, "Error Code 10: Internal Error (Could not find any implementation for node conv1.)"),
        ],
        "failed",
        "out of memory",
    ),
    (
        [(ERROR, "[optimizer.cpp::computeCosts::3728] Error Code 10: Could not find any implementation for node X.")],
        "infeasible",
        "a layer without any implementation",
    ),
    ([(ERROR, "DLA node exceeds the maximum number of loadables (16)")], "infeasible", "too many pieces for a DLA"),
    (
        [(ERROR, "conv1: DLA validation failed"), (ERROR, "Error Code 4: GPU fallback is not enabled")],
        "infeasible",
        "a layer that the DLA cannot run",
    ),
    (
        [(ERROR, "Default DLA is enabled but layer pool is not supported on DLA and falling back is not enabled.")],
        "infeasible",
        "a layer that the DLA cannot run",
    ),
    (
        [(ERROR, "QuantizeLayer layers require hardware with Int8 support, but this device has none")],
        "infeasible",
        "no hardware for this precision",
    ),
    (
        [(ERROR, "[checkMacros.cpp::catchCudaError::278] Cuda Runtime (an illegal memory access was encountered)")],
        "failed",
        "the device failed",
    ),
    (
        [(ERROR, "Serialization assertion stdVersionRead == serializationVersion failed. Version tag does not match.")],
        "failed",
        "an engine from elsewhere",
    ),
    (
        [(ERROR, "The engine plan file is generated on an incompatible device, expecting compute 8.7 got compute 7.2")],
        "failed",
        "an engine from elsewhere",
    ),
    (
        [(ERROR, "Error Code 4: Internal Error (Network must have at least one output)")],
        "infeasible",
        "a network that TensorRT does not accept",
    ),
    ([(WARNING, "CUDA initialization failure with error: 35")], "failed", "the device failed"),
]


@pytest.mark.parametrize(("log", "kind", "name"), CASES)
def test_a_reason_is_read_from_the_log(log: failures.Log, kind: str, name: str) -> None:
    error = failures.classified([(INFO, "insufficient memory is only chatter here"), *log], "TensorRT built nothing")
    assert (error.kind, error.text.split(": ")[:2]) == (kind, ["TensorRT built nothing", name])
    assert all(text in error.trace for _, text in log)


def test_every_kind_of_reason_has_a_case() -> None:
    assert {name for _, name, _, _ in failures._REASONS} == {name for _, _, name in CASES}


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([], "TensorRT gave no reason"),
        ([(INFO, "all is well")], "TensorRT gave no reason"),
        ([(ERROR, "something quite new")], "TensorRT built nothing: something quite new"),
        ([(WARNING, "odd"), (WARNING, "odder")], "odd; odder"),
        ([(ERROR, "Error Code 1: Cask (invalid argument)")], "Cask (invalid argument)"),
    ],
)
def test_a_log_without_a_known_reason_is_unclear_and_told(log: failures.Log, words: str) -> None:
    error = failures.classified(log, "TensorRT built nothing")
    assert error.kind == "failed", "once more, then recorded"
    assert words in error.text


def test_a_warning_of_memory_is_no_reason_beside_an_error() -> None:
    log = [(WARNING, "insufficient memory: skipped one way"), (ERROR, "something quite new")]
    assert "something quite new" in failures.classified(log, "x").text


def test_a_logger_keeps_what_is_said_and_prints_what_matters(
    board: Boards, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LINES_MOST", 2)
    kept: failures.Log = []
    trt = board().module
    logger = failures.logger(trt, kept)
    for severity, text in [("INFO", "a"), ("VERBOSE", "b"), ("INFO", "too much"), ("ERROR", "c"), ("WARNING", "d")]:
        logger.log(getattr(trt.ILogger.Severity, severity), text)
    assert kept == [(3, "a"), (4, "b"), (1, "c"), (2, "d")], "what matters has always room"
    assert capsys.readouterr().err == "[TensorRT E] c\n[TensorRT W] d\n"


@pytest.mark.parametrize("factory", ["Builder", "Runtime"])
def test_a_factory_that_gives_nothing_says_why(factory: str, board: Boards) -> None:
    there = board()
    there.world.cuda.no_device = 35
    log: failures.Log = []
    with pytest.raises(failures.AgentError, match=f"TensorRT gives no {factory.lower()}: ") as error:
        failures.made(getattr(there.module, factory), failures.logger(there.module, log), log)
    assert error.value.kind == "failed"
    words = (
        "CUDA initialization failure with error: 35" if factory == "Builder" else "factory function returned nullptr"
    )
    assert words in error.value.text


class Parser:
    """As much of one as is asked for its errors."""

    def __init__(self, *errors: Any) -> None:
        self._errors = errors
        self.num_errors = len(errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]


def test_a_parser_names_the_nodes(board: Boards) -> None:
    trt = board().module
    unknown = trt.ErrorCode.UNSUPPORTED_NODE
    errors = [trt.ParserError(unknown, f"No importer registered for op: Odd{n}", n) for n in range(30)]
    error = failures.unparsed(trt, Parser(*errors), [])
    assert error.kind == "infeasible"
    assert error.text.startswith("an operator that TensorRT's parser does not know: node 0: No importer")
    assert "Odd19" in error.text
    assert "Odd20" not in error.text
    assert "17 for 8.5" in error.hint


def test_a_parser_without_errors_of_its_own_has_a_log(board: Boards) -> None:
    trt = board().module
    assert "In node 3: bad" in failures.unparsed(trt, Parser(), [(ERROR, "In node 3: bad")]).text
    assert "it gave no reason" in failures.unparsed(trt, Parser(), []).text
