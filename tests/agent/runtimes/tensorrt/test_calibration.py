"""Scales from a calibration cache, given to the tensors of a network."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from explorer_agent.messages import AgentError
from explorer_agent.runtimes.tensorrt import calibration

from ...networks import convolutional
from .conftest import Boards
from .networks import HEADER, line, with_an_output_left_out


def test_scales_are_floats_in_hexadecimal_and_names_may_hold_colons() -> None:
    found = calibration.scales(f"{HEADER}\ninput: 3c010a14\n/conv/Add:0: 3f000000\n\n")
    assert found["input"] == pytest.approx(1 / 127, rel=1e-3), "a cache's own number for a range of one"
    assert found["/conv/Add:0"] == 0.5


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        ("", "no cache of TensorRT's"),
        ("input: 3c010a14", "no cache of TensorRT's"),
        (f"{HEADER}\ninput 3c010a14", "no scale in|gives the tensor ''"),
        (f"{HEADER}\ninput: xyz", "no scale in 'input: xyz'"),
        (f"{HEADER}\ninput: 3c01", "no scale in"),
        (f"{HEADER}\n{line('input', 0.0)}", "the scale 0.0"),
        (f"{HEADER}\n{line('input', -1.0)}", "the scale -1.0"),
        (f"{HEADER}\n{line('input', float('nan'))}", "the scale nan"),
    ],
)
def test_what_is_no_calibration_is_refused(cache: str, words: str) -> None:
    with pytest.raises(AgentError, match=words) as refused:
        calibration.scales(cache)
    assert refused.value.kind == "infeasible"


@pytest.mark.parametrize("version", ["8.5", "10.3"])
def test_a_range_is_127_steps_and_who_has_none_is_told(version: str, board: Boards, tmp_path: Path) -> None:
    trt = board(version).module
    network = parsed(trt, convolutional(tmp_path / "net"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # from 10.1 on the face warns, as the real one does
        lacking = calibration.apply(trt, network, {"input": 0.01, "a": 0.5})
    assert network.get_input(0).range == (-1.27, 1.27)
    assert network.get_layer(0).get_output(0).range == (-63.5, 63.5)
    assert lacking == ["b", "c", "d", "features", "embedding"]


def test_an_output_that_the_network_left_out_needs_no_scale(board: Boards, tmp_path: Path) -> None:
    trt = board().module
    network = parsed(trt, with_an_output_left_out(tmp_path / "net"))
    assert network.get_layer(1).get_output(1) is None
    assert calibration.apply(trt, network, {"input": 1.0}) == ["a", "output"]


def test_the_calibration_of_another_network_is_refused(board: Boards, tmp_path: Path) -> None:
    trt = board().module
    with pytest.raises(AgentError, match="that of another network"):
        calibration.apply(trt, parsed(trt, convolutional(tmp_path / "net")), {"elsewhere": 0.5})


def parsed(trt: Any, path: Path) -> Any:
    logger = trt.Logger()
    network = trt.Builder(logger).create_network(1)
    assert trt.OnnxParser(network, logger).parse(path.read_bytes())
    return network
