"""What is said beside tables and plots: doubts with their reasons, what has no number and why, how sure a front is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from explorer.report import flags
from explorer.report.remarks import about_the_front, footnotes, left_out, not_on_the_front
from explorer.report.view import View, view_of
from explorer.result import Metric, Record
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
