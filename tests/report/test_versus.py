"""Two studies of one space with known rankings: what is claimed, what is not, and what is refused."""

from __future__ import annotations

import itertools
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from explorer.cli import app
from explorer.errors import BadInput
from explorer.report import versus_text, versus_words, write
from explorer.report.contrast import Ranking, tau_b
from explorer.report.versus import Comparison, compare
from explorer.result import Metric, Record
from tests.report import studies

SPACE = {"prune_ratio": [0, 0.5], "precision": ["fp32", "int8"], "batch": [1, 2]}
EXPERIMENT = {"model": {"name": "net"}, "space": SPACE, "fixed": {"runtime": "onnxruntime"}, "measure": {"budget_s": 1}}
Params = Mapping[str, Any]
Latency = Callable[[Params], float]


def desktop(params: Params) -> float:
    """Pruning halves the time, int8 doubles it."""
    return _times(params, pruned=0.5, int8=2.0, each=1.0)


def board(params: Params) -> float:
    """Pruning halves the time, int8 cuts it to two fifths; forty times as slow in all."""
    return _times(params, pruned=0.5, int8=0.4, each=40.0)


def _times(params: Params, *, pruned: float, int8: float, each: float) -> float:
    factor = (pruned if params["prune_ratio"] else 1.0) * (int8 if params["precision"] == "int8" else 1.0)
    return float(factor * each * params["batch"])


def study(folder: Path, latency: Latency, *, spread: float = 0.01, skip: int = 0, **more: Any) -> Path:
    """A study of the whole space but the last `skip` candidates, each latency known to ± `spread`."""
    candidates = [dict(zip(SPACE, values, strict=True)) for values in itertools.product(*SPACE.values())]
    records = [_record(i, params, latency, spread) for i, params in enumerate(candidates[: len(candidates) - skip])]
    given: dict[str, Any] = {"objectives": {"accuracy": "max", "latency_ms": "min"}, "experiment": EXPERIMENT}
    return studies.write(folder, records, **given | more)


def _record(number: int, params: Params, latency: Latency, spread: float) -> Record:
    value = latency(params)
    accuracy = 0.9 - 0.2 * bool(params["prune_ratio"]) - 0.01 * (params["precision"] == "int8")
    metrics = {
        "accuracy": Metric(accuracy, accuracy - 0.05, accuracy + 0.05),
        "latency_ms": Metric(value, value * (1 - spread), value * (1 + spread)),
    }
    return studies.record(number, metrics, params=params)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    device = {"name": "ssh://board", "machine": "aarch64", "runtimes": {"onnxruntime": {"version": "1.2.3"}}}
    return study(tmp_path / "a", desktop), study(tmp_path / "b", board, device=device)


def _latency(comparison: Comparison) -> Ranking:
    return next(r for r in comparison.rankings if r.objective.metric == "latency_ms")


def test_what_is_the_other_way_round_is_named_with_its_figures(two: tuple[Path, Path]) -> None:
    comparison = compare(*two)
    found = _latency(comparison)
    # A: 1 2 .5 1 and twice that; B: 40 16 20 8 and twice that.
    assert found.tau == pytest.approx(_tau_by_hand(desktop, board))
    sentences = " ".join([*versus_words.shifts(found), *versus_words.reversals(comparison, found)])
    assert "int8 instead of fp32 is 2.00× slower (1.96 to 2.04) on A and 2.50× faster (2.45 to 2.55) on B." in sentences
    assert "With prune ratio 0, batch 1, int8 instead of fp32 is" in sentences
    assert versus_words.verdict(comparison) == (
        "The two devices rank the candidates differently in latency. No two candidates surely change places in "
        "accuracy."
    )


def test_an_effect_that_turns_round_is_told_once_for_its_axis(two: tuple[Path, Path]) -> None:
    (shift,) = _latency(compare(*two)).shifts
    assert (shift.axis, shift.before, shift.after, shift.count) == ("precision", "fp32", "int8", 4)
    assert math.exp(-shift.on_a.value) == pytest.approx(2)
    assert math.exp(shift.on_b.value) == pytest.approx(2.5)


def test_reversals_that_differ_in_one_axis_go_first_and_the_largest_of_them(two: tuple[Path, Path]) -> None:
    reversals = _latency(compare(*two)).reversals
    assert [r.changed for r in reversals[:4]] == [("precision",)] * 4
    assert len(reversals[-1].changed) > 1
    assert all(r.on_a.sign * r.on_b.sign == -1 for r in reversals)


def test_nothing_is_claimed_where_intervals_overlap(tmp_path: Path) -> None:
    vague = compare(study(tmp_path / "a", desktop, spread=0.45), study(tmp_path / "b", board, spread=0.5))
    found = _latency(vague)
    assert (found.opposite, found.reversals, found.shifts) == (0, (), ())
    assert found.open > 0
    assert "No two candidates surely change places in accuracy and latency." in versus_words.verdict(vague)
    assert any("cannot be told" in sentence for sentence in versus_words.agreement(found))
    assert any("their intervals overlap" in sentence for sentence in versus_words.bests(vague, found))


def test_a_study_agrees_with_itself(tmp_path: Path) -> None:
    found = compare(study(tmp_path / "a", desktop), study(tmp_path / "b", desktop))
    assert _latency(found).tau == pytest.approx(1)
    assert (_latency(found).opposite, found.fronts[1], found.fronts[2]) == (0, (), ())
    assert list(versus_words.agreement(_latency(found))) == ["Every candidate has the same value on both."]


def test_from_the_other_side_it_looks_the_same(two: tuple[Path, Path]) -> None:
    there, back = (_latency(compare(*folders)) for folders in (two, two[::-1]))
    assert there.tau == back.tau
    assert (there.same, there.opposite, there.open) == (back.same, back.opposite, back.open)
    assert there.same + there.opposite + there.open == 28


def test_the_best_and_what_the_others_best_would_cost(two: tuple[Path, Path]) -> None:
    comparison = compare(*two)
    first, second = versus_words.bests(comparison, _latency(comparison))
    assert first.startswith("Best on A: p0.5 fp32 b1, with 0.5000 ±0.0050 ms. The other's best is 2.00× slower")
    assert second.startswith("Best on B: p0.5 int8 b1, with 8.000 ±0.080 ms. The other's best is 2.50× slower")


def test_the_fronts_and_what_they_share(two: tuple[Path, Path]) -> None:
    comparison = compare(*two)
    names = [[versus_words.name(comparison, pair) for pair in part] for part in comparison.fronts]
    assert names == [["p0 fp32 b1"], ["p0.5 fp32 b1"], ["p0 int8 b1", "p0.5 int8 b1"]]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 1, 2], [1, 2, 3], 2 / math.sqrt(2 * 3)),  # one couple tied on one side
        ([1, 2, 3, 4], [2, 1, 4, 3], (4 - 2) / 6),
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_kendalls_tau_b(a: list[float], b: list[float], expected: float | None) -> None:
    assert tau_b(a, b) == (None if expected is None else pytest.approx(expected))


def test_kendalls_tau_b_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = random.Random(5)
    for _ in range(20):
        a, b = ([rng.randint(0, 6) for _ in range(12)] for _ in range(2))
        assert tau_b(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_other_spaces_are_refused_with_what_differs(tmp_path: Path) -> None:
    other = EXPERIMENT | {"space": SPACE | {"batch": [1, 4]}, "model": {"name": "other"}}
    a, b = study(tmp_path / "a", desktop), study(tmp_path / "b", desktop, experiment=other)
    with pytest.raises(BadInput) as caught:
        compare(a, b)
    told = str(caught.value)
    assert "cannot be compared" in told
    assert "space.batch: [1, 2], not [1, 4]" in told
    assert 'model.name: "net", not "other"' in told
    assert "explorer run --space FILE" in told


def test_other_objectives_are_refused_too(tmp_path: Path) -> None:
    experiments = [EXPERIMENT | {"objectives": {"accuracy": "max", name: "min"}} for name in ("latency_ms", "power_w")]
    a, b = (study(tmp_path / str(i), desktop, experiment=given) for i, given in enumerate(experiments))
    with pytest.raises(BadInput, match=r"objectives\.latency_ms"):
        compare(a, b)


def test_too_few_common_candidates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="1 in both; 8 in .*, 1 in"):
        compare(study(tmp_path / "a", desktop), study(tmp_path / "b", board, skip=7))


def test_what_is_left_out_or_measured_otherwise_is_told(tmp_path: Path) -> None:
    other = EXPERIMENT | {"measure": {"budget_s": 5}}
    found = compare(study(tmp_path / "a", desktop), study(tmp_path / "b", board, skip=3, experiment=other))
    assert found.notes[0] == "Left out: 3 of 8 trials of A, which are not complete on the other."
    assert "The studies differ in measure.budget_s: 1, not 5." in found.notes


def test_a_metric_that_may_be_zero_is_compared_by_difference(tmp_path: Path) -> None:
    def none(_: Params) -> float:
        return 0.0

    found = _latency(compare(study(tmp_path / "a", none), study(tmp_path / "b", board)))
    assert (found.relative, found.tau, found.opposite) == (False, None, 0)


def test_every_line_of_the_table_fits_the_terminal(two: tuple[Path, Path]) -> None:
    lines = versus_text.as_table(compare(*two), width=80, colour=False).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("architecture") and "aarch64" in line for line in lines)
    assert any(
        line.split() == ["p0.5", "int8", "b1", "1.000", "±0.010", "4.", "8.000", "±0.080", "1."] for line in lines
    )


def test_json_is_for_scripts(two: tuple[Path, Path]) -> None:
    found = json.loads(
        write(two[0], pareto=False, format="json", output=None, versus=two[1]), parse_constant=pytest.fail
    )
    latency = found["objectives"][1]
    assert latency["couples"]["same"] + latency["couples"]["opposite"] + latency["couples"]["open"] == 28
    assert latency["reversals"][0]["after"]["precision"] == "int8"
    assert latency["best"]["B"] == {"prune_ratio": 0.5, "precision": "int8", "batch": 1}
    assert found["fronts"]["only_A"] == [{"prune_ratio": 0.5, "precision": "fp32", "batch": 1}]


def test_markdown_and_html_say_the_same(two: tuple[Path, Path], tmp_path: Path) -> None:
    written = write(two[0], pareto=False, format="html", output=None, versus=two[1])
    page, text = Path(written).read_text(), write(two[0], pareto=False, format="md", output=None, versus=two[1])
    for claim in ("rank the candidates differently in latency", "Kendall&#x27;s tau-b", "aarch64"):
        assert claim in page
        assert claim.replace("&#x27;", "'") in text
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page


def test_html_shows_names_as_they_are(tmp_path: Path) -> None:
    nasty = {"device": {"name": "<script>alert(1)</script>", "machine": "<b>"}}
    a, b = study(tmp_path / "a", desktop, study="<i>", **nasty), study(tmp_path / "b", board, **nasty)
    assert "<b>" not in versus_text.as_html(compare(a, b))
    assert "<i>" not in versus_text.as_html(compare(a, b))


@pytest.mark.parametrize("format", ["csv", "png", "jsn"])
def test_a_format_that_cannot_compare_is_refused(two: tuple[Path, Path], format: str) -> None:
    with pytest.raises(BadInput, match="no such format of a comparison") as caught:
        write(two[0], pareto=False, format=format, output=None, versus=two[1])
    assert "table, json, md, html" in str(caught.value)


def test_the_command_line_knows_it(two: tuple[Path, Path]) -> None:
    found = CliRunner().invoke(app, ["report", str(two[0]), "--versus", str(two[1])])
    assert found.exit_code == 0, found.output
    assert "rank the candidates differently" in found.output


def test_it_loads_nothing_heavy(two: tuple[Path, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from explorer.report import write\n"
        "print(write(Path(sys.argv[1]), pareto=False, format='table', output=None, versus=Path(sys.argv[2])))\n"
        "heavy = ('pandas', 'matplotlib', 'plotly', 'torch', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, *map(str, two)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"


def _tau_by_hand(first: Latency, second: Latency) -> float:
    candidates = [dict(zip(SPACE, values, strict=True)) for values in itertools.product(*SPACE.values())]
    signs = [
        tuple((f(p) > f(q)) - (f(p) < f(q)) for f in (first, second)) for p, q in itertools.combinations(candidates, 2)
    ]
    norm = math.sqrt(sum(a * a for a, _ in signs) * sum(b * b for _, b in signs))
    return sum(a * b for a, b in signs) / norm
