"""What is said beside tables and plots: doubts with their reasons, what has no number and why, how sure a front is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from explorer.report import flags
from explorer.report.html import content
from explorer.report.remarks import about_the_front, dominated_early, footnotes, left_out, not_on_the_front
from explorer.report.text import as_json, as_markdown
from explorer.report.view import View, view_of
from explorer.result import Metric, Record, Rung, StageTime, Stopped
from explorer.store import StudyData
from tests.report.studies import record

OBJECTIVES = [{"metric": "latency_ms", "direction": "min"}, {"metric": "accuracy", "direction": "max"}]


def made(*records: Record) -> View:
    return view_of(StudyData(Path("x"), {"study": "x", "objectives": OBJECTIVES}, records))


def point(number: int, latency: float, accuracy: float, *, share: float = 0.02, **more: object) -> Record:
    metric = Metric(latency, latency * (1 - share), latency * (1 + share))
    return record(number, {"latency_ms": metric, "accuracy": Metric(accuracy)}, **more)


def test_a_void_trial_has_its_reason_and_what_to_do() -> None:
    view = made(
        point(0, 1.0, 0.9), record(1, state="failed", reason="void: throttled, and so when it was taken once more")
    )
    again = "throttled, and so when it was taken once more"
    (group,) = left_out(view.records)
    assert (group.kind, group.trials) == ("void", (1,))
    assert str(group) == f"void (trial 1): {again}: {flags.explain('throttled')}"


def test_trials_of_one_reason_are_told_together_void_ones_first() -> None:
    ended = [
        record(1, state="infeasible", reason="no bf16 here"),
        record(2, state="failed", reason="killed\nwith a log\nbehind it"),
        record(3, state="infeasible", reason="no bf16 here"),
        record(4, state="failed", reason="void: clocks-moved"),
        record(5, state="failed", reason=""),
    ]
    lines = list(not_on_the_front(made(point(0, 1.0, 0.9), *ended)))
    assert lines[0].startswith("void (trial 4): clocks-moved: its clocks or its power mode did")
    assert lines[1:] == [
        "failed (trial 2): killed",
        "failed (trial 5): no reason was recorded",
        "infeasible (trials 1, 3): no bf16 here",
    ]


def test_many_reasons_are_counted() -> None:
    ended = [record(n, state="failed", reason=f"reason {n} {'x' * 200}") for n in range(1, 10)]
    lines = list(not_on_the_front(made(point(0, 1.0, 0.9), *ended)))
    assert len(lines) == 7
    assert max(map(len, lines)) < 200
    assert lines[-1] == "and 3 more for 3 other reasons (--format json has all)"


def test_a_trial_that_may_belong_to_the_front_is_named_and_one_that_cannot_is_not() -> None:
    view = made(point(0, 1.0, 0.9), point(1, 1.01, 0.9), point(2, 2.0, 0.9), point(3, 0.5, 0.8))
    assert [r.number for r in view.front] == [3, 0]
    assert [r.number for r in view.near] == [1]
    said = "\n".join(about_the_front(view))
    assert re.search(r"^1 more may belong to it: trial 1 \(0\.[1-4]\d\)$", said, flags=re.M)
    assert re.search(r"^undecided, and measuring again would tell: trials 0, 1$", said, flags=re.M)


def test_a_front_that_is_sure_needs_no_words() -> None:
    assert list(about_the_front(made(point(0, 1.0, 0.9), point(1, 2.0, 0.8)))) == []


def test_every_flag_is_one_sentence_with_an_advice() -> None:
    for flag, (meaning, advice) in {**flags.VOID, **flags.DOUBTS}.items():
        assert re.fullmatch(r"[a-z][a-z-]+[a-z]", flag)
        assert meaning
        assert advice
        assert not meaning.endswith(".")
        assert len(flags.explain(flag)) < 150


def test_a_flag_from_elsewhere_is_told_as_it_is() -> None:
    assert footnotes(made(point(0, 1.0, 0.9, flags=("cosmic-ray",))), [point(0, 1.0, 0.9, flags=("cosmic-ray",))]) == [
        "! cosmic-ray (trial 0)"
    ]


FLAGS_IN_CODE = re.compile(r"""["']([a-z]+(?:-[a-z]+)+|throttled|unstable|disturbed|starved|drifting|swapping)["']""")


@pytest.mark.parametrize(
    "folder", ["agents/explorer_agent/measuring", "explorer/statistics", "agents/explorer_agent/conditions.py"]
)
def test_every_flag_that_is_set_somewhere_has_its_sentence(root: Path, folder: str) -> None:
    """Words with a hyphen in the code that judges measurements are flags, and nothing else is."""
    paths = [root / folder] if folder.endswith(".py") else sorted((root / folder).glob("*.py"))
    found = {word for path in paths for word in FLAGS_IN_CODE.findall(path.read_text("utf-8"))}
    assert {word for word in found if not flags.explain(word)} == set()


def early(number: int, after: Rung, confidence: float, *seconds: float, **more: Any) -> Record:
    """A trial that was stopped: better than all in what was measured, which is not all."""
    stages = {name: StageTime(s, cached=False) for name, s in zip(("build", "short"), seconds, strict=False)}
    stopped = Stopped(after, confidence)
    known = {"accuracy": Metric(0.99)}
    return record(number, known, state="dominated", stopped=stopped, stages=stages, reason="dominated", **more)


def test_who_was_stopped_early_is_told_of_in_a_line_with_what_it_has_saved() -> None:
    took = {"finetune": StageTime(900, False), "build": StageTime(30, False), "measure": StageTime(20, False)}
    view = made(
        point(0, 1.0, 0.9, stages=took),
        point(1, 2.0, 0.8, stages=took),
        early(2, "preview", 0.9999, previewed={"accuracy": 594}),
        early(3, "short bench", 0.99678, 30.0, 5.0),
        early(4, "preview", 0.9999, previewed={"accuracy": 594}),
    )
    assert view.headline == "x: 2 complete, 3 dominated early; 1 on the front"
    assert list(dominated_early(view)) == [
        "dominated early (trials 2, 3, 4): 2 after a preview on this host, 1 after a short bench, with 99.6 % "
        "confidence or more; they spared boards about 1m55s, at the 50.0 s that a complete trial takes"
    ]
    assert left_out(view.records) == []
    assert list(not_on_the_front(view)) == []


def test_every_format_tells_of_who_was_stopped_early() -> None:
    view = made(point(0, 1.0, 0.9), point(1, 2.0, 0.8), early(2, "preview", 0.9999, previewed={"accuracy": 594}))
    (row,) = [row for row in content(view, pareto=True)["leftOut"] if row["kind"] == "dominated early"]
    assert (row["trials"], row["count"]) == ("2", "1")
    assert row["why"].startswith("1 after a preview on this host, with 99.9 % confidence or more")
    assert "dominated early (trial 2): 1 after a preview on this host" in as_markdown(view, pareto=True)
    told = json.loads(as_json(view, pareto=True))
    assert told["trials"] == {"complete": 2, "dominated": 1}
    assert told["dominated"] == [{"trial": 2, "after": "preview", "confidence": 0.9999}]


def test_who_was_stopped_early_stands_on_no_front_and_competes_with_nobody() -> None:
    whole = [point(0, 1.0, 0.9), point(1, 0.5, 0.8)]
    better = {name: Metric(0.1 if name == "latency_ms" else 1.0) for name in ("latency_ms", "accuracy")}
    stopped = record(2, better, state="dominated", stopped=Stopped("full bench", 0.995))
    with_it, without = made(*whole, stopped), made(*whole)
    assert with_it.on_front == without.on_front == {0, 1}
    assert with_it.probability(stopped) is None
    assert with_it.complete == without.complete
    assert list(dominated_early(without)) == []
