"""An engine's file, and what may not load it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from explorer_agent.messages import AgentError
from explorer_agent.runtimes.tensorrt import plans

HERE = {"tensorrt": "8.5.2.2", "sm": 87, "l4t": "35.4.1", "module": "p3767-0000", "machine": "aarch64"}


def written(folder: Path, **facts: object) -> Path:
    plans.write(folder / "engine", {"gpu": b"\x00one", "dla": b"two"}, {"bound_to": HERE, **facts})
    return folder / "engine"


def test_plans_come_back_by_their_unit(tmp_path: Path) -> None:
    found, facts = plans.read(written(tmp_path, placement="gpu+dla"), HERE)
    assert found == {"gpu": b"\x00one", "dla": b"two"}
    assert facts["placement"] == "gpu+dla"


@pytest.mark.parametrize(
    ("name", "value"), [("tensorrt", "8.6.2"), ("sm", 72), ("l4t", "35.5.0"), ("module", "x"), ("machine", "x86_64")]
)
def test_one_from_elsewhere_is_refused_with_both_sides(name: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=f"built elsewhere: {name} {HERE[name]!r}, here {value!r}") as refused:
        plans.read(written(tmp_path), {**HERE, name: value})
    assert (refused.value.kind, "build it on this board" in refused.value.hint) == ("failed", True)


def test_one_that_does_not_say_where_it_was_built_is_refused(tmp_path: Path) -> None:
    plans.write(tmp_path / "engine", {"gpu": b""}, {"bound_to": {}})
    with pytest.raises(AgentError, match="tensorrt None, here '8.5.2.2'"):
        plans.read(tmp_path / "engine", HERE)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut short"])
def test_what_is_no_engine_fails_in_words(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "engine").write_bytes(content)
    with pytest.raises(AgentError, match="none of TensorRT's") as failed:
        plans.read(tmp_path / "engine", HERE)
    assert failed.value.kind == "failed"


@pytest.mark.parametrize("facts", ["{", "{}", "[]", '{"bound_to": 3}'])
def test_a_zip_without_its_facts_fails_in_words(facts: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "engine", "w") as file:
        file.writestr("engine.json", facts)
    with pytest.raises(AgentError, match="none of TensorRT's"):
        plans.read(tmp_path / "engine", HERE)
