"""JSON Schema of a space file, for editors: completion, descriptions, and red lines before anything runs."""

from __future__ import annotations

from typing import Any

from explorer.config.axes import AXES, AxisSpec
from explorer.config.metrics import METRICS
from explorer.config.sections import SpaceFile

_MAY_BE_EMPTY = (
    "dataset",
    "device_options",
    "meter",
    "rules",
    "constraints",
    "search",
    "train",
    "finetune",
    "measure",
)
_WHAT_VARIES = "The axes that may vary, each with its values; of a recorded table, a list of its columns will do."
# Then axes and objectives are whatever columns the table has.
_IS_RECORDED = {"properties": {"device": {"type": "string", "pattern": "^recorded:"}}, "required": ["device"]}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12; what holds across sections (an empty space, say) ``explorer run`` alone can tell."""
    schema = SpaceFile.model_json_schema()
    sections = schema["properties"]
    for name in ("model", "dataset"):
        sections[name] = _or_word(sections[name])
    sections["device"] = _or_word(sections["device"])
    sections["space"] = {"description": _WHAT_VARIES, "type": ["object", "array"], "minProperties": 1, "minItems": 1}
    sections["objectives"] |= {"properties": _objectives(), "examples": [{"accuracy": "max", "energy_mj": "min"}]}
    for name in _MAY_BE_EMPTY:
        sections[name] = _or_nothing(sections[name])
    for name, spec in AXES.items():
        sections[name] = {"description": spec.summary + " Here: one fixed value."} | spec.value_schema()
        if spec.default is not None:
            sections[name]["default"] = spec.default
    schema["required"].remove("model")
    schema |= {"if": _IS_RECORDED, "else": {"required": ["model"], "properties": {"space": _space()}}}
    _weed(schema)
    return {"$schema": DIALECT, "title": "explorer space file"} | schema | {"title": "explorer space file"}


def _space() -> dict[str, Any]:
    properties = {name: _axis(spec) for name, spec in AXES.items()}
    return {
        "description": _WHAT_VARIES,
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": properties,
    }


def _axis(spec: AxisSpec) -> dict[str, Any]:
    values = {"type": "array", "minItems": 1, "uniqueItems": True, "items": spec.value_schema()}
    ways: list[dict[str, Any]] = [values, _exactly({"values": values})]
    if spec.kind != "word":
        ways.append(_exactly({name: {"type": "number"} for name in ("from", "to", "step")}))
    return {"description": spec.summary, "anyOf": ways, "examples": [list(spec.example)]}


def _exactly(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _objectives() -> dict[str, Any]:
    return {name: {"description": spec.summary, "const": spec.better} for name, spec in METRICS.items()}


def _or_word(section: dict[str, Any]) -> dict[str, Any]:
    described = {key: section.pop(key) for key in ("description", "default") if key in section}
    return described | {"anyOf": [*section.pop("anyOf", [section]), {"type": "string"}]}


def _or_nothing(section: dict[str, Any]) -> dict[str, Any]:
    """A section whose lines are all commented out counts as left out."""
    described = {key: section.pop(key) for key in ("description", "default") if key in section}
    ways = section.pop("anyOf", None) or [section]
    return described | {"anyOf": [*ways, *([] if {"type": "null"} in ways else [{"type": "null"}])]}


def _weed(node: Any) -> None:
    """Drop the titles pydantic makes of every name: editors show them instead of the descriptions."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for value in node.values():
            _weed(value)
    elif isinstance(node, list):
        for value in node:
            _weed(value)
