"""What a person reads while a study runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from explorer.errors import on_board
from explorer.progress import COMPRESSION, _in_short, brief, short_names, summary
from explorer.report import wording
from explorer.result import Evaluation, Metric, Objective, Record, StageTime
from explorer.study import Ending


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("accuracy", 0.9336, "0.934"),
        ("throughput_ips", 812.4, "812/s"),
        ("throughput_ips", 12345.6, "12346/s"),
        ("latency_ms", 0.52341, "0.523 ms"),
        ("energy_mj", 6.071, "6.07 mJ"),
        ("macs", 39900000.0, "39900000"),
    ],
)
def test_values_in_few_characters(name: str, value: float, told: str) -> None:
    assert brief(name, Metric(value)) == told


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        (["ssh://nvidia@orin-1.local", "ssh://orin-2:2222"], ["orin-1", "orin-2"]),
        (["ssh://a@10.0.0.1", "ssh://a@10.0.0.2:22"], ["10.0.0.1", "10.0.0.2:22"]),
        (["ssh://a@orin", "ssh://b@orin"], ["ssh://a@orin", "ssh://b@orin"]),
        (["local:", "boards/left.yaml", "ssh://[fe80::1]:22"], ["local", "left", "[fe80::1]:22"]),
    ],
)
def test_boards_are_called_by_short_names_that_differ(specs: list[str], names: list[str]) -> None:
    assert list(short_names(specs).values()) == names


@pytest.mark.parametrize("board", ["local:", "ssh://nvidia@orin.local"])
@pytest.mark.parametrize("job", ["", "build: "])
def test_why_there_is_no_result_is_told_without_the_board_and_the_job(board: str, job: str) -> None:
    reason = on_board(board, f"{job}openvino cannot run bf16 here: no bf16 arithmetic\nmore")
    record = Record(3, "infeasible", {}, board, "", 0.0, Evaluation({}), reason=reason)
    assert _in_short(record) == "openvino cannot run bf16 here"


def test_the_last_words_of_a_run_fit_a_terminal() -> None:
    reason = "the budget of 560 trials is spent; 12 candidates are still undecided, and 3 boards were lost"
    stages = {name: StageTime(1.0, cached=True) for name in COMPRESSION}
    states = ["failed", "infeasible", "dominated", "complete", "cancelled"]  # the last by a newer program
    records = tuple(
        Record(
            number, states[number % 5], {}, f"ssh://nvidia@orin-{number % 7}.local", "", 0.0, Evaluation(stages=stages)
        )
        for number in range(560)
    )
    lines = summary(Ending(reason, Path("results/s"), records, ())).splitlines()
    assert " ".join(lines[:2]) == reason
    told = "112 complete, 112 dominated early, 112 infeasible, 112 failed, 112 cancelled"
    assert f"this run: {told}" in " ".join(lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("objectives", "explained"),
    [
        (("accuracy", "energy_mj"), ["* estimated from declared watts, not measured"]),
        (("accuracy", "latency_ms"), ["‡ brought to one scale by the reference engine measured beside (boards.jsonl)"]),
        (("accuracy",), []),
    ],
)
def test_only_marks_that_stood_in_a_line_are_explained(objectives: tuple[str, ...], explained: list[str]) -> None:
    metrics = dict.fromkeys(("accuracy", "energy_mj", "latency_ms"), Metric(1.0))
    found = Evaluation(metrics, estimated=("energy_mj",), scaled=("latency_ms",))
    records = (Record(0, "complete", {}, "local:", "", 0.0, found),)
    asked = tuple(Objective(name, "max" if name == "accuracy" else "min") for name in objectives)
    lines = summary(Ending("all were tried", Path("results/s"), records, asked)).splitlines()
    assert [line for line in lines if line[0] in wording.MEANING] == explained
    refused = (replace(records[0], state="infeasible"),)
    assert "‡" not in summary(Ending("all were tried", Path("results/s"), refused, asked))
