"""What `explorer list` says of kinds that only an agent knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.listing import listing


def test_meters_are_listed_in_the_order_of_asking_with_what_they_are_or_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path))
    lines = [line.split(maxsplit=1) for line in listing("meters").splitlines()]
    assert [name for name, _ in lines] == ["ina3221", "jtop", "nvml", "rapl", "declared"]
    assert all("available" in text for _, text in lines)
    assert lines[0][1].startswith("a Jetson's own power sensors")
    assert "not available: idle_w and busy_core_w not declared" in lines[-1][1]


def test_other_kinds_are_listed_by_name() -> None:
    names = [line.split()[0] for line in listing("samplers").splitlines()]
    assert names == sorted(names)
