"""The runtime's names against those of TensorRT 10 and 11, frozen from the sources of the public bindings.

No importable wheel of these versions is to be had without NVIDIA's own index, so their names were read once: each file
says from which source, of which version and, where it is known, at which commit.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from explorer_agent.runtimes.tensorrt import api

from .used import METHODS, USED, VALUES

FROZEN = sorted(Path(__file__).with_name("frozen").glob("*.json"), key=lambda path: int(path.stem))
MAJORS = pytest.mark.parametrize("path", FROZEN, ids=[path.stem for path in FROZEN])


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_there_are_10_and_11() -> None:
    assert [path.stem for path in FROZEN] == ["10", "11"]


@MAJORS
def test_every_class_says_where_it_was_read(path: Path) -> None:
    frozen = read(path)
    holds = [name for origin in frozen["origin"] for name in origin["holds"]]
    assert set(holds) == {*frozen["names"], *frozen["values"]}
    assert all(origin["file"].endswith(".cpp") and origin["version"] for origin in frozen["origin"])
    builder = next(origin for origin in frozen["origin"] if "Builder" in origin["holds"])
    assert re.fullmatch("[0-9a-f]{40}", builder["commit"])


@MAJORS
def test_every_method_is_there_with_its_arguments(path: Path) -> None:
    frozen = read(path)
    for name in METHODS:
        owner, _, attribute = name.path.rpartition(".")
        known = frozen["names"][owner] if owner or attribute not in frozen["names"] else {attribute: None}
        assert (attribute in known) is name.is_in(tuple(frozen["version"])), name.path
        if name.arguments and attribute in known:
            assert tuple(known[attribute][: len(name.arguments)]) == name.arguments, name.path


@MAJORS
def test_every_value_is_there_exactly_where_it_is_meant_to_be(path: Path) -> None:
    frozen = read(path)
    for name in VALUES:
        enumeration, _, value = name.path.partition(".")
        assert (value in frozen["values"][enumeration]) is name.is_in(tuple(frozen["version"])), name.path


def test_the_weakly_typed_flags_end_with_10() -> None:
    ten, eleven = (set(read(path)["values"]["BuilderFlag"]) for path in FROZEN)
    assert set(api.FLAGS.values()) <= ten
    assert set(api.FLAGS.values()) & eleven == {"TF32"}
    assert len(USED) > 60
