"""The JSON Schema agrees with the reader: what is shipped passes, what the reader refuses by shape is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from explorer.config import json_schema
from explorer.config.axes import AXES
from explorer.config.document import read

FILES = sorted(
    [*Path(__file__).parents[2].glob("search_spaces/*.yaml"), *Path(__file__).parents[2].glob("examples/*/*.yaml")]
)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_files_are_valid(validator: Draft202012Validator, file: Path) -> None:
    assert [error.message for error in validator.iter_errors(read(file).data)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"serach": {}},
        {"model": 7},
        {"space": {}},
        {"space": {"bach": [1]}},
        {"space": {"batch": [0]}},
        {"space": {"batch": []}},
        {"space": {"prune_ratio": [1]}},
        {"space": {"precision": ["int9"]}},
        {"space": {"precision": {"from": 1, "to": 2, "step": 1}}},
        {"search": {"trials": "ten"}},
        {"search": {"timeout": "2x"}},
        {"search": {"prior": "on"}},
        {"objectives": {"accuracy": "min"}},
        {"objectives": {"mine": "maximise"}},
        {"threads": [1, 2]},
        {"rules": [{"when": {"batch": 1}}]},
        {"study": "../outside"},
    ],
)
def test_what_is_out_of_shape_is_refused(validator: Draft202012Validator, change: dict[str, Any]) -> None:
    valid = {"model": "small.onnx", "space": {"batch": [1]}, "objectives": {"throughput_ips": "max"}}
    assert validator.is_valid(valid)
    assert not validator.is_valid(valid | change)


def test_a_recorded_table_has_columns_of_its_own_and_no_model(validator: Draft202012Validator) -> None:
    recorded = {"device": "recorded:t.csv", "space": ["cores", "clock"], "objectives": {"seconds_a_frame": "min"}}
    assert validator.is_valid(recorded)
    assert validator.is_valid(recorded | {"space": {"cores": [1, 2]}, "device_options": {"seconds": "took"}})
    assert not validator.is_valid(recorded | {"device": "local:"})
    assert not validator.is_valid(recorded | {"space": []})


def test_every_axis_is_described_free_and_fixed() -> None:
    properties = json_schema()["properties"]
    for name, spec in AXES.items():
        assert spec.summary in properties[name]["description"]
    measured = json_schema()["else"]["properties"]
    assert measured["space"]["properties"]["batch"]["examples"] == [[1, 4, 16]]
    assert properties["precision"]["default"] == "fp32"


def test_the_schema_is_plain_json() -> None:
    assert json.loads(json.dumps(json_schema())) == json_schema()
