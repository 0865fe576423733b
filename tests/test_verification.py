"""Our figures beside trtexec's: what counts as agreement, what as no answer, and that nothing of it ends a trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hostile.noise import Line
from hostile.scripted import ANSWERS, HELLO, SHA, Scripted

from explorer.device import Built, Device
from explorer.device.replies import Ran, measurement
from explorer.errors import DeviceLost
from explorer.report.flags import DOUBTS
from explorer.result import Metric
from explorer.statistics import derive
from explorer.verification import BOUND, DISAGREES, doubts, judged, verify
from explorer_agent.messages import AgentError
from explorer_agent.wire import Message

BUILT = Built(engine=SHA, seconds=0.0, cached=True, bytes=1, layers={})
TENSORRT = {"runtime": "tensorrt", "batch": 2}
PLAN = {"warmup_s": 0.1, "budget_s": 0.5}
OURS = {"throughput_ips": Metric(1000.0, 980.0, 1020.0), "latency_ms": Metric(2.0, 1.9, 2.1)}
MEASURED = measurement(*ANSWERS["measure"], windows=True, entrants=2)


def ran(throughput_ips: float = 1000.0, **changes: Any) -> Ran:
    figures = {"throughput_ips": throughput_ips, "latency_ms": 1.6}
    usual = Ran("10.3.0", ("/x/trtexec", "--loadEngine=/a b"), {"waits": "as it is"}, 0, True, "", figures, ())
    return replace(usual, **changes)


@pytest.mark.parametrize(
    ("theirs", "agrees"),
    [(1000.0, True), (1020 * (1 + BOUND) - 1, True), (1020 * (1 + BOUND) + 1, False), (980 * 0.9 - 1, False)],
)
def test_agreement_is_within_the_bound_beyond_our_interval(theirs: float, agrees: bool) -> None:
    found = judged(ran(theirs), OURS)
    assert found["agrees"] is agrees
    assert found["ratio"] == {"throughput_ips": pytest.approx(1000 / theirs), "latency_ms": pytest.approx(1.25)}
    assert (found["throughput_ips"], found["latency_ms"]) == (theirs, 1.6)
    assert found["command"] == "/x/trtexec '--loadEngine=/a b'"
    assert doubts(found) == (() if agrees else (DISAGREES,))
    assert DISAGREES in DOUBTS


def test_its_latency_is_not_judged() -> None:
    """It is the device's own: what the host takes to begin a batch is in ours."""
    theirs = ran(figures={"throughput_ips": 1000.0, "latency_ms": 0.5})
    assert judged(theirs, OURS)["agrees"]


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (ran(passed=False, exit=1, why="Unknown option: --x"), "exit status 1: Unknown option: --x"),
        (ran(exit=-11), "exit status -11"),
        (ran(figures={}), "told no throughput"),
        (ran(figures={"throughput_ips": 0.0}), "told no throughput"),
        (ran(flags=("too-warm", "throttled")), "void: throttled while trtexec ran"),
    ],
)
def test_what_is_no_figure_is_not_compared(theirs: Ran, words: str) -> None:
    found = judged(theirs, OURS)
    assert words in found["why_not"]
    assert "agrees" not in found
    assert "trtexec" in found["command"]
    assert doubts(found) == ()


class Board:
    """A device whose agent answers as told, and what it was asked."""

    def __init__(self, answer: Message | AgentError | None = None, *, requests: tuple[str, ...] = ("verify",)) -> None:
        self.asked: list[Message] = []
        self._answer = answer or ANSWERS["verify"][0]
        capabilities = {**HELLO["capabilities"], "requests": list(requests)}
        hello = Line({**HELLO, "capabilities": capabilities}).bytes_for(0)
        self.device = Device("board", Scripted(hello, self._said), shares_host=True)

    def _said(self, message: Message) -> tuple[bytes, bool]:
        self.asked.append(message)
        answer = self._answer
        told = answer.to_wire() if isinstance(answer, AgentError) else answer
        return (Line(told).bytes_for(message["id"]) if told.get("type") != "gone" else b"", told.get("type") == "gone")


@pytest.fixture
def boards() -> Iterator[list[Board]]:
    made: list[Board] = []
    yield made
    for board in made:
        board.device.close()


def test_the_board_is_asked_for_the_conditions_of_ours(boards: list[Board]) -> None:
    boards.append(Board())
    found = verify(boards[0].device, BUILT, TENSORRT, MEASURED, PLAN)
    ours = derive(MEASURED, 2)[0]["throughput_ips"].value
    assert found["ratio"]["throughput_ips"] == pytest.approx(ours / 9.5)
    (asked,) = boards[0].asked
    assert (asked["type"], asked["plan"], asked["no_graph"]) == ("verify", PLAN, "")
    assert 60 < asked["timeout_s"] < 600


def test_that_ours_had_no_graph_is_passed_on(boards: list[Board]) -> None:
    boards.append(Board())
    streams = [{"unit": "gpu", "no_graph": ""}, {"unit": "gpu", "no_graph": "error 901"}]
    header = {**MEASURED.header, "entrants": [{"runs": {"streams": streams}}]}
    verify(boards[0].device, BUILT, TENSORRT, replace(MEASURED, header=header), PLAN)
    assert boards[0].asked[0]["no_graph"] == "error 901"


def test_an_older_agent_is_not_asked(boards: list[Board]) -> None:
    boards.append(Board(requests=("has", "put")))
    found = verify(boards[0].device, BUILT, TENSORRT, MEASURED, PLAN)
    assert "older than this program" in found["why_not"]
    assert not boards[0].asked


def test_another_runtime_is_not_asked_for(boards: list[Board]) -> None:
    boards.append(Board())
    found = verify(boards[0].device, BUILT, {"runtime": "openvino"}, MEASURED, PLAN)
    assert found == {"by": "trtexec", "why_not": "trtexec runs engines of TensorRT, not of openvino"}
    assert not boards[0].asked


@pytest.mark.parametrize("kind", ["unsupported", "infeasible", "failed"])
def test_a_refusal_is_the_reason_why_not(kind: str, boards: list[Board]) -> None:
    boards.append(Board(AgentError(kind, "there is no trtexec", hint="install it")))
    found = verify(boards[0].device, BUILT, TENSORRT, MEASURED, PLAN)
    assert found["why_not"] == "there is no trtexec (install it)"


def test_an_answer_that_is_none_is_the_reason_why_not(boards: list[Board]) -> None:
    boards.append(Board({**ANSWERS["verify"][0], "throughput_ips": "fast"}))
    found = verify(boards[0].device, BUILT, TENSORRT, MEASURED, PLAN)
    assert "verify.throughput_ips must be float, not 'fast'" in found["why_not"]


def test_a_board_that_goes_away_is_lost(boards: list[Board]) -> None:
    boards.append(Board({"type": "gone"}))
    with pytest.raises(DeviceLost):
        verify(boards[0].device, BUILT, TENSORRT, MEASURED, PLAN)
