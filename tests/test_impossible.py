"""What no board can run is counted by reason; each deployment is asked for once, however many networks there are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from explorer.errors import BadInput
from explorer.impossible import Impossible, Reason, impossible, sentence
from explorer.space import Axis, Space

SPACE = Space(
    (
        Axis("prune_ratio", tuple(i / 100 for i in range(90))),
        Axis("precision", ("fp32", "fp16", "int8")),
        Axis("placement", ("gpu", "dla")),
        Axis("batch", (1, 2, 4, 8)),
    )
)


def test_each_deployment_is_asked_for_once_and_every_candidate_is_counted() -> None:
    asked: list[Mapping[str, Any]] = []

    def refuse(deployment: Mapping[str, Any]) -> Reason | None:
        asked.append(deployment)
        if deployment["placement"] == "dla" and deployment["precision"] == "fp32":
            return Reason("a DLA takes no fp32", "a source")
        return Reason("batch 8 is too much") if deployment["batch"] == 8 else None

    found = impossible(SPACE, refuse)
    assert len(asked) == 3 * 2 * 4
    refused = {c.key for c in SPACE.candidates if refuse(c.deployment)}
    assert found.reasons.keys() == refused
    assert found.to_json() == [
        {"count": 450, "reason": "batch 8 is too much", "source": ""},
        {"count": 360, "reason": "a DLA takes no fp32", "source": "a source"},
    ]
    told = "810 of 2,160 candidates are impossible on this board: 450: batch 8 is too much; 360: a DLA takes no fp32"
    assert sentence(found.to_json(), SPACE.size) == told


def test_rare_reasons_are_counted_together() -> None:
    found = impossible(SPACE, lambda deployment: Reason(f"{deployment['precision']} {deployment['batch']}"))
    assert sentence(found.to_json(), SPACE.size).endswith("; and 1,260 for 7 other reasons")


def test_a_space_without_a_possible_candidate_is_bad_input() -> None:
    impossible(SPACE, lambda _: None).refuse_all(Path("s.yaml"))
    Impossible().refuse_all(Path("s.yaml"))
    with pytest.raises(BadInput, match="all 2,160 candidates are impossible on this board"):
        impossible(SPACE, lambda _: Reason("no")).refuse_all(Path("s.yaml"))
