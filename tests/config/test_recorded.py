"""Space files over a recorded table: the space is what the table holds, and what makes no sense is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.config import Experiment, differences, load, override
from explorer.errors import BadInput, Problem

TABLE = """\
batch,precision,graph,latency_ms,accuracy,joules,note,trial_s
4,fp16,true,3.5,0.92,7,,20
1,fp16,true,2.5,0.91,8,fine,20
1,int8,true,,,,oom,5
1,int8,false,1.5,0.88,4,,20
1,int8,false,1.7,0.88,5,,30
"""
SPACE = """\
device: recorded:t.csv
space: [batch, precision, graph]
objectives: {latency_ms: min, joules: min}
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Experiment]:
    def of(text: str, held: str = TABLE) -> Experiment:
        (tmp_path / "t.csv").write_text(held)
        (tmp_path / "s.yaml").write_text(text)
        return load(tmp_path / "s.yaml")

    return of


Read = Callable[..., Experiment]


def only_problem(read: Read, text: str, held: str = TABLE) -> Problem:
    with pytest.raises(BadInput) as told:
        read(text, held)
    assert len(told.value.problems) == 1, str(told.value)
    return told.value.problems[0]


def test_the_space_is_what_the_table_holds(read: Read) -> None:
    experiment = read(SPACE)
    space = experiment.space
    assert {axis.name: axis.values for axis in space.axes} == {
        "batch": (1, 4),
        "precision": ("fp16", "int8"),
        "graph": ("true", "false"),
    }
    assert [axis.kind for axis in space.axes] == ["ordinal", "categorical", "categorical"]
    assert [str(candidate) for candidate in space.candidates] == [
        "batch=1 precision=fp16 graph=true",
        "batch=1 precision=int8 graph=true",
        "batch=1 precision=int8 graph=false",
        "batch=4 precision=fp16 graph=true",
    ]


def test_a_part_of_a_column_searches_a_part_of_the_table_and_rules_cut_it_further(read: Read) -> None:
    some = read(SPACE.replace("[batch, precision, graph]", "{graph: [true], batch: , precision: [fp16, int8]}"))
    assert some.space.size == 3
    ruled = read(SPACE + "rules: [{when: {precision: int8}, then: {graph: 'false'}}]\n")
    assert ruled.space.size == 3


def test_several_rows_are_their_mean_and_tell_how_sure_it_is(read: Read) -> None:
    experiment = read(SPACE + "device_options: {seconds: trial_s}\n")
    assert experiment.recorded is not None
    twice = experiment.recorded.evaluation(experiment.space.candidates[2])
    latency = twice.metrics["latency_ms"]
    assert latency.value == pytest.approx(1.6)
    assert latency.high is not None
    assert latency.high - latency.value == pytest.approx(12.706 * 0.1)  # Student's t with one degree of freedom
    assert twice.stages["trial"].seconds == 25
    assert set(twice.recorded) == set(twice.metrics) == {"latency_ms", "accuracy", "joules"}


def test_another_table_is_another_experiment(read: Read) -> None:
    one, other = read(SPACE).identity(), read(SPACE, TABLE.replace("3.5", "3.6")).identity()
    assert [line.partition(":")[0] for line in differences(one, other)] == ["recorded.table"]


@pytest.mark.parametrize(
    ("was", "now", "line", "path", "words"),
    [
        ("t.csv", "tt.csv", 1, "device", "did you mean 't.csv'"),
        ("t.csv", "s.yaml", None, "", "allowed: .csv or .parquet"),
        ("graph]", "graf]", 2, "space.graf", "did you mean 'graph'"),
        ("graph]", "graph, graph]", 2, "space", "twice"),
        ("[batch, precision, graph]", "{batch: [1, 2], graph: }", 2, "space.batch[1]", "allowed: 1, 4"),
        ("[batch, precision, graph]", "{batch: [4], precision: [int8], graph: }", 2, "space", "such a combination"),
        ("joules", "jouls", 3, "objectives.jouls", "did you mean 'joules'"),
        ("joules: min", "batch: min", 3, "objectives.batch", "either an axis or an objective"),
        ("latency_ms: min", "latency_ms: max", 3, "objectives.latency_ms", "looks for the worst"),
        ("joules", "note", 3, "note", "fine"),
    ],
)
def test_each_mistake_is_told_with_its_place(
    read: Read, was: str, now: str, line: int | None, path: str, words: str
) -> None:
    assert was in SPACE
    problem = only_problem(read, SPACE.replace(was, now))
    assert (problem.line, problem.path) == (line, path)
    assert words in str(problem)


@pytest.mark.parametrize(
    ("more", "path", "words"),
    [
        ("model: gaitset", "model", "knows no model"),
        ("measure: {budget_s: 3}", "measure", "knows no measure"),
        ("threads: 2", "threads", "stands below space"),
        ("device_options: {clocks: lock}", "device_options.clocks", "unknown key"),
        ("device_options: {seconds: trail_s}", "device_options.seconds", "did you mean 'trial_s'"),
        ("search: {race: 5m}", "search.race", "measured again"),
        ("constraints: [note >= 3]", "constraints[0]", "no such column of numbers"),
    ],
)
def test_what_a_table_knows_nothing_of_is_refused(read: Read, more: str, path: str, words: str) -> None:
    problem = only_problem(read, f"{SPACE}{more}\n")
    assert (problem.line, problem.path) == (4, path)
    assert words in str(problem)


@pytest.mark.parametrize(
    ("was", "now", "line", "words"),
    [
        ("0.92,7", "0.92,seven", 2, "not a number"),
        ("4,fp16", ",fp16", 2, "without a value on an axis"),
        ("1,int8,false,1.7", "1,int8,false,", 6, "contradict each other"),
        (",30", ",", 6, "how long a trial took"),
        ("1,fp16,true,2.5", "1,fp16,true,-1", 3, "a value that cannot be"),
        ("1,fp16,true,2.5", "1,fp16,true,0", 3, "a value that cannot be"),
    ],
)
def test_a_wrong_cell_is_told_with_the_line_of_the_table(
    read: Read, tmp_path: Path, was: str, now: str, line: int, words: str
) -> None:
    assert was in TABLE
    problem = only_problem(read, SPACE + "device_options: {seconds: trial_s}\n", TABLE.replace(was, now))
    assert (problem.file, problem.line) == (tmp_path / "t.csv", line)
    assert words in problem.what


def test_nor_may_it_be_what_a_constraint_is_kept_by(read: Read) -> None:
    space = SPACE.replace("latency_ms: min, ", "") + "constraints: [latency_ms <= 3]\n"
    assert only_problem(read, space, TABLE.replace("1,fp16,true,2.5", "1,fp16,true,-1")).line == 3


def test_what_may_be_nothing_or_less_may_be(read: Read) -> None:
    space = SPACE.replace("joules: min", "energy_net_mj: min, score: max")
    held = TABLE.replace("accuracy,joules", "score,energy_net_mj").replace("0.92,7", "-3,-0.2")
    recording = read(space, held).recorded
    assert recording is not None
    [row] = (row for rows in recording.rows.values() for row in rows if row.line == 2)
    assert (row.metrics["score"], row.metrics["energy_net_mj"]) == (-3.0, -0.2)


def test_no_board_can_take_the_place_of_a_table(read: Read) -> None:
    with pytest.raises(BadInput, match="--device means nothing to a recorded table"):
        override(read(SPACE), devices=("local:",))
    with pytest.raises(BadInput, match="--simulate means nothing"):
        override(read(SPACE), simulate=True)
    assert override(read(SPACE), trials=2).search.race_s == 0
