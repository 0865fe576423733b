"""What a report says of the verification of its trials."""

from __future__ import annotations

import json
from typing import Any

from explorer.report.html import content
from explorer.report.remarks import footnotes, remarks
from explorer.report.text import as_json, as_markdown
from explorer.report.verified import about_the_verification
from explorer.result import Record
from tests.report.studies import record
from tests.report.test_remarks import made, point


def told(ratio: float, *, agrees: bool = True) -> dict[str, Any]:
    return {"by": "trtexec", "throughput_ips": 100.0, "ratio": {"throughput_ips": ratio}, "agrees": agrees}


def verified(number: int, ratio: float, *, agrees: bool = True) -> Record:
    flags = () if agrees else ("trtexec-disagrees",)
    return point(number, 1.0 + number, 0.9, verified=told(ratio, agrees=agrees), flags=flags)


def not_verified(number: int, why_not: str) -> Record:
    return point(number, 1.0 + number, 0.9, verified={"by": "trtexec", "why_not": why_not})


MIXED = (
    verified(0, 1.02),
    verified(1, 0.969),
    verified(2, 0.7, agrees=False),
    not_verified(3, "no trtexec"),
    not_verified(4, "no trtexec"),
    point(5, 9.0, 0.1),
)


def test_agreement_is_said_in_one_line_and_each_reason_in_another() -> None:
    assert list(about_the_verification(reversed(MIXED))) == [
        "trtexec agrees within 3.1 % on 2 of 3 trials; elsewhere our throughput is so much of its: 0.70 (trial 2)",
        "not verified by trtexec (trials 3, 4), because: no trtexec",
    ]


def test_nothing_is_said_where_nobody_asked() -> None:
    assert list(about_the_verification([point(0, 1.0, 0.9)])) == []


def test_none_that_agrees() -> None:
    (line,) = about_the_verification([verified(7, 0.5, agrees=False)])
    assert line == "trtexec agrees on 0 of 1 trials; elsewhere our throughput is so much of its: 0.50 (trial 7)"


def test_every_format_says_it() -> None:
    view = made(*MIXED)
    lines = list(about_the_verification(MIXED))
    assert set(lines) <= set(remarks(view, view.front))
    assert set(lines) <= set(content(view, pareto=True)["footnotes"])
    assert "agrees within 3.1 %" in as_markdown(view, pareto=True)
    shown = json.loads(as_json(view, pareto=False))["records"]
    assert [trial["verified"].get("agrees") for trial in shown] == [True, True, False, None, None, None]


def test_a_trial_that_it_disagrees_on_is_marked_with_what_to_do() -> None:
    view = made(*MIXED)
    (note,) = footnotes(view, view.complete)
    assert note.startswith("! trtexec-disagrees (trial 2): trtexec runs the same engine faster or slower")
    assert "run its command by hand" in note


def test_a_record_keeps_it_and_an_older_one_has_none() -> None:
    kept = record(1, verified=told(0.98))
    line = json.loads(json.dumps(kept.to_json()))
    assert Record.from_json(line) == kept
    del line["verified"]
    assert Record.from_json(line).evaluation.verified == {}
