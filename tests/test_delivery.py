"""What a trial ran is handed out; what it never had is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.delivery import export
from explorer.errors import BadInput
from explorer.result import Evaluation, Record, Stopped
from explorer.store import open_store

WORDS = "dominated with 99.6 % confidence after its preview on this host: accuracy 0.59; not measured further"


def test_a_candidate_that_was_stopped_before_it_was_built_has_no_engine(tmp_path: Path) -> None:
    found = Evaluation(artifacts={"onnx": "ab" * 32}, previewed={"accuracy": 594})
    stopped = Stopped("preview", 0.996)
    record = Record(0, "dominated", {"batch": 1}, "d", "", 1.0, found, reason=WORDS, stopped=stopped)
    with open_store(tmp_path / "s", {"study": "s", "objectives": [], "experiment": {}}) as store:
        store.append(record)
    with pytest.raises(BadInput, match=f"this trial has no engine\n.*seen: 0: {WORDS}"):
        export(tmp_path / "s", trial=0, to="engine", output=tmp_path / "out")
