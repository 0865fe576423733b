"""Axes, rules and candidates."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.space import Axis, Candidate, Rule, Space, Value

BATCH, PRECISION = Axis("batch", (1, 4, 16)), Axis("precision", ("fp32", "int8"))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 2, 4), "ordinal"),
        ((0.0, 0.5), "ordinal"),
        ((4, 1), "categorical"),
        (("a", "b"), "categorical"),
        ((False, True), "categorical"),
        ((1, "a"), "categorical"),
    ],
)
def test_sorted_numbers_are_ordinal_and_words_categorical(values: tuple[Value, ...], kind: str) -> None:
    assert Axis("x", values).kind == kind


def test_candidates_come_in_the_order_of_the_axes() -> None:
    space = Space((PRECISION, BATCH))
    assert [candidate.key for candidate in space.candidates][:4] == [
        (1, "fp32"),
        (4, "fp32"),
        (16, "fp32"),
        (1, "int8"),
    ]
    assert space.size == 6


def test_a_rule_binds_only_when_it_applies() -> None:
    rule = Rule(when={"precision": ("int8",)}, then={"batch": (4, 16)})
    assert rule.allows({"precision": "fp32", "batch": 1})
    assert rule.allows({"precision": "int8", "batch": 4})
    assert not rule.allows({"precision": "int8", "batch": 1})
    assert str(rule) == "when precision is int8 then batch is 4 or 16"


def test_rules_see_fixed_axes() -> None:
    rule = Rule(when={"runtime": ("openvino",)}, then={"batch": (1,)})
    assert Space((BATCH,), (rule,), {"runtime": "openvino"}).size == 1
    assert Space((BATCH,), (rule,), {"runtime": "onnxruntime"}).size == 3


def test_a_candidate_has_a_dear_and_a_cheap_half() -> None:
    candidate = Candidate({"prune_ratio": 0.5, "batch": 4}, {"precision": "int8", "round_to": 8})
    assert candidate.compression == {"round_to": 8, "prune_ratio": 0.5}
    assert candidate.deployment == {"precision": "int8", "batch": 4}
    assert str(candidate) == "prune_ratio=0.5 batch=4"


def test_what_would_be_the_same_thing_twice_is_one_candidate() -> None:
    axes = (Axis("prune_ratio", (0.0, 0.5)), Axis("finetune_epochs", (0, 1, 4)), Axis("round_to", (1, 8)))
    assert Space(axes).size == 1 + 6
    axes = (PRECISION, Axis("calibration_method", ("minmax", "entropy")))
    assert Space(axes).size == 1 + 2


def test_a_rule_may_choose_which_of_the_doubles_stays() -> None:
    axes = (Axis("prune_ratio", (0.0, 0.5)), Axis("finetune_epochs", (0, 1)), PRECISION)
    rule = Rule(when={"precision": ("int8",)}, then={"finetune_epochs": (1,)})
    left = [dict(candidate.params) for candidate in Space(axes, (rule,)).candidates]
    assert {"prune_ratio": 0.0, "finetune_epochs": 1, "precision": "int8"} in left
    assert len(left) == 2 + 3


values = st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True).map(tuple)


@given(a=values, b=values, when=values, then=values)
def test_the_space_is_the_product_less_what_the_rules_exclude(
    a: tuple[int, ...], b: tuple[int, ...], when: tuple[int, ...], then: tuple[int, ...]
) -> None:
    space = Space((Axis("a", a), Axis("b", b)), (Rule({"a": when}, {"b": then}),))
    expected = [(x, y) for x, y in itertools.product(a, b) if x not in when or y in then]
    assert [candidate.key for candidate in space.candidates] == expected
    assert all(space.allows(candidate.params) for candidate in space.candidates)


def test_what_is_listed_is_all_there_is_and_no_two_points_are_the_same() -> None:
    axes = (Axis("prune_ratio", (0, 0.5)), Axis("round_to", (1, 8)))
    points = ({"prune_ratio": 0, "round_to": 1}, {"prune_ratio": 0, "round_to": 8}, {"prune_ratio": 0.5, "round_to": 8})
    space = Space(axes, (Rule({"prune_ratio": (0.5,)}, {"round_to": (1,)}),), listed=points)
    assert [candidate.params for candidate in space.candidates] == list(points[:2])
