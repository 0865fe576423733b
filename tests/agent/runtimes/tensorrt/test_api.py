"""What a TensorRT can do, asked of its names; which precisions a GPU has; the flags for each."""

from __future__ import annotations

import pytest

from explorer_agent.runtimes.tensorrt import api

from . import faces
from .conftest import Boards


@pytest.mark.parametrize(
    ("version", "weakly", "strongly", "by_flag", "explicit_batch", "ranges"),
    [
        ("8.5", True, False, False, True, True),
        ("10.3", True, True, True, True, True),
        ("11", False, True, False, False, False),
    ],
)
def test_capabilities_are_names(
    version: str, weakly: bool, strongly: bool, by_flag: bool, explicit_batch: bool, ranges: bool, board: Boards
) -> None:
    able = api.Api.of(board(version).module)
    assert able.why_not() == ""
    assert (able.weakly_typed, able.strongly_typed, able.strongly_typed_by_flag) == (weakly, strongly, by_flag)
    assert (able.explicit_batch, able.dynamic_ranges) == (explicit_batch, ranges)
    assert {"TF32", "GPU_FALLBACK"} <= able.flags
    assert ("FP16" in able.flags) is weakly


def test_one_without_names_of_tensors_is_too_old(board: Boards) -> None:
    module = board("8.5").module
    del module.IExecutionContext.execute_async_v3
    assert "TensorRT 8.5.3.1 knows no inputs and outputs by name" in api.Api.of(module).why_not()


# version, compute capability, what cannot be had and a word of the reason; all others can
@pytest.mark.parametrize(
    ("version", "sm", "refused"),
    [
        ("8.5", 53, {"int8": "no int8 arithmetic", "tf32": "8.0", "bf16": "8.0", "fp8": "8.9"}),
        ("8.5", 62, {"int8": "no int8 arithmetic", "tf32": "8.0", "bf16": "8.0", "fp8": "8.9"}),
        ("8.5", 72, {"tf32": "this one has 7.2", "bf16": "this one has 7.2", "fp8": "this one has 7.2"}),
        ("8.5", 87, {"bf16": "8.5.3.1 knows no bf16", "fp8": "this one has 8.7"}),
        ("10.3", 87, {"fp8": "needs a GPU of compute capability 8.9"}),
        ("10.3", 110, {}),
        ("11", 87, {"fp8": "this one has 8.7", "best": "chooses no precisions"}),
        ("11", 110, {"best": "takes those of the network"}),
    ],
)
def test_precisions_of_a_board(version: str, sm: int, refused: dict[str, str], board: Boards) -> None:
    found = api.precisions(api.Api.of(board(version).module), sm)
    assert set(found) == set(api.PRECISIONS)
    assert {name for name, why_not in found.items() if why_not} == set(refused)
    assert all(words in found[name] for name, words in refused.items())


@pytest.mark.parametrize(
    ("version", "precision", "sm", "flags"),
    [
        ("8.5", "fp32", 87, []),
        ("8.5", "tf32", 87, ["TF32"]),
        ("8.5", "fp16", 87, ["FP16"]),
        ("8.5", "int8", 87, ["INT8", "FP16"]),
        ("8.5", "best", 87, ["TF32", "FP16", "INT8"]),
        ("8.5", "best", 53, ["FP16"]),
        ("10.3", "bf16", 87, ["BF16"]),
        ("10.3", "fp8", 110, ["FP8", "FP16"]),
        ("10.3", "best", 110, ["TF32", "FP16", "BF16", "INT8", "FP8"]),
    ],
)
def test_flags_of_a_weakly_typed_network(
    version: str, precision: str, sm: int, flags: list[str], board: Boards
) -> None:
    assert api.flags(precision, api.Api.of(board(version).module), sm) == flags


def test_every_precision_has_a_reason_or_none_on_every_face(board: Boards) -> None:
    for version in faces.VERSIONS:
        able = api.Api.of(board(version).module)
        assert all(
            isinstance(why_not, str) for sm in (53, 72, 87, 110) for why_not in api.precisions(able, sm).values()
        )
