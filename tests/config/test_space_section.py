"""Axes and rules: what is accepted, what is refused, and that an empty space names its culprits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.config import Experiment
from explorer.config.axes import AXES, NotAValue
from explorer.errors import Problem

Read = Callable[[str], Experiment]
Problems = Callable[[str], list[Problem]]

HEAD = "model: {onnx: small.onnx}\nobjectives: {throughput_ips: max}\n"


def test_three_ways_to_write_an_axis(read: Read) -> None:
    text = HEAD + "space:\n  batch: [4, 1]\n  threads: {values: [1, 2]}\n  streams: {from: 1, to: 3, step: 1}\n"
    axes = {axis.name: axis.values for axis in read(text).space.axes}
    assert axes == {"batch": (1, 4), "threads": (1, 2), "streams": (1, 2, 3)}


def test_steps_are_round_numbers_and_ratios_are_floats() -> None:
    spec = AXES["prune_ratio"]
    assert [spec.read(value) for value in (0, 0.3)] == [0.0, 0.3]
    assert isinstance(spec.read(0), float)


def test_a_fixed_axis_and_the_defaults(read: Read) -> None:
    space = read(HEAD + "threads: 2\nspace: {batch: [1, 2]}\n").space
    assert space.fixed == {"precision": "fp32", "runtime": "onnxruntime", "threads": 2, "streams": 1}
    assert space.candidates[0].deployment == {**space.fixed, "batch": 1}


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("prune_ratio", 1),
        ("prune_ratio", -0.1),
        ("prune_ratio", True),
        ("prune_ratio", float("nan")),
        ("batch", 0),
        ("batch", 1.0),
        ("batch", True),
        ("batch", "4"),
        ("precision", "fp17"),
        ("precision", 8),
        ("runtime", "tensorflow"),
        ("placement", "npu"),
        ("finetune_epochs", -1),
        ("round_to", "units"),
        ("batch", "unit"),
    ],
)
def test_values_an_axis_does_not_take(axis: str, value: object) -> None:
    with pytest.raises(NotAValue):
        AXES[axis].read(value)


def test_widths_may_follow_the_unit() -> None:
    assert [AXES["round_to"].read(value) for value in (8, "unit")] == [8, "unit"]
    assert AXES["round_to"].allowed == "a whole number, 1 or more, or unit"


@pytest.mark.parametrize(
    ("text", "path", "line", "words"),
    [
        ("space: {}", "space", 3, "the space is empty"),
        ("space: [batch]", "space", 3, "axes with values"),
        ("spice: {batch: [1]}", "spice", 3, "did you mean 'space'"),
        ("space: {bach: [1]}", "space.bach", 3, "did you mean 'batch'"),
        ("space:\n  batch: 4", "space.batch", 4, "write batch: 4 outside space:"),
        ("space:\n  batch: []", "space.batch", 4, "at least one value"),
        ("space:\n  batch: [1, 2, 1]", "space.batch", 4, "twice"),
        ("space:\n  batch: [1,\n    two]", "space.batch[1]", 5, "a whole number, 1 or more"),
        ("space:\n  precision: [fp32, itn8]", "space.precision[1]", 4, "did you mean 'int8'"),
        ("space:\n  runtime: [tensorrd]", "space.runtime[0]", 4, "did you mean 'tensorrt'"),
        ("space:\n  placement: {values: [npu]}", "space.placement.values[0]", 4, "cpu, gpu, dla, dla_only, gpu+dla"),
        ("space:\n  power_mode: [15W, 2]", "space.power_mode[1]", 4, "a word without spaces"),
        ("space:\n  batch: {from: 1, to: 9}", "space.batch", 4, "{from: ..., to: ..., step: ...}"),
        ("space:\n  batch: {from: 9, to: 1, step: 1}", "space.batch", 4, "no series"),
        ("space:\n  weight_type: [int8, uint8]", "space.weight_type", 4, "precision is never int8"),
        ("space:\n  batch: [1]\nbatch: 2", "batch", 5, "free and fixed at once"),
        ("space:\n  batch: [1]\nthreads: [1, 2]", "threads", 5, "below space:"),
        ("space:\n  batch: [1]\npower_mode: ''", "power_mode", 5, "a word without spaces"),
        ("space:\n  batch: {from: 1, to: 900, step: 1}\n  threads: {from: 1, to: 900, step: 1}", "space", 3, "810,000"),
    ],
)
def test_each_mistake_in_a_space(problems: Problems, text: str, path: str, line: int, words: str) -> None:
    found = [problem for problem in problems(HEAD + text + "\n") if problem.path == path]
    assert [problem.line for problem in found] == [line]
    assert words in str(found[0])


RULES = HEAD + "space:\n  precision: [fp32, int8]\n  batch: [1, 4]\nrules:\n"


@pytest.mark.parametrize(
    ("rule", "path", "words"),
    [
        ("{when: {precison: int8}, then: {batch: 1}}", "rules[0].when.precison", "did you mean 'precision'"),
        ("{when: {prune_ratio: 0}, then: {batch: 1}}", "rules[0].when.prune_ratio", "does not have"),
        ("{when: {precision: bf16}, then: {batch: 1}}", "rules[0].when.precision", "never has this value"),
        ("{when: {precision: int8}, then: {batch: [1, 2]}}", "rules[0].then.batch", "allowed: 1, 4"),
        ("{when: {precision: int8}, then: {batch: []}}", "rules[0].then.batch", "at least one value"),
        ("{when: {runtime: openvino}, then: {batch: 1}}", "rules[0].when.runtime", "never has this value"),
        ("{when: {precision: int8}}", "rules[0].then", "missing"),
        ("{if: {precision: int8}, then: {batch: 1}}", "rules[0].if", "unknown key"),
        ("{when: {}, then: {batch: 1}}", "rules[0].when", "at least one entry"),
        ("just words", "rules[0]", "keys and values"),
    ],
)
def test_each_mistake_in_a_rule(problems: Problems, rule: str, path: str, words: str) -> None:
    found = [problem for problem in problems(f"{RULES}  - {rule}\n") if problem.path == path]
    assert found
    assert found[0].line == 7
    assert words in str(found[0])


def test_rules_exclude_combinations(read: Read) -> None:
    space = read(RULES + "  - {when: {precision: int8}, then: {batch: [4]}}\n").space
    assert [str(candidate) for candidate in space.candidates] == [
        "precision=fp32 batch=1",
        "precision=fp32 batch=4",
        "precision=int8 batch=4",
    ]


def test_an_empty_space_names_the_rules_that_empty_it_and_no_others(problems: Problems) -> None:
    text = """\
  - {when: {precision: fp32}, then: {batch: 1}}
  - {when: {batch: 1}, then: {precision: int8}}
  - {when: {threads: 1}, then: {batch: 1}}
  - {when: {batch: 1}, then: {precision: fp32}}
"""
    found = problems(RULES + text)
    assert [problem.line for problem in found] == [8, 9, 10]
    assert all("the space is empty" in problem.what and "together with" in problem.what for problem in found)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
keys = ["model", "dataset", "device", "space", "rules", "objectives", "constraints", "search", "measure", "finetune"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=anything, key=st.sampled_from([*keys, "meter", "study", "batch", "precision"]))
def test_whatever_stands_at_a_key_is_never_a_traceback(problems: Problems, data: object, key: str) -> None:
    whole = {"model": {"onnx": "small.onnx"}, "space": {"threads": [1, 2]}, "objectives": {"throughput_ips": "max"}}
    problems(yaml.safe_dump(whole | {key: data}))
