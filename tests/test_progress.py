"""What a person reads while a study runs."""

from __future__ import annotations

import pytest

from explorer.progress import brief
from explorer.result import Metric


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("accuracy", 0.9336, "0.934"),
        ("throughput_ips", 812.4, "812/s"),
        ("throughput_ips", 12345.6, "12346/s"),
        ("latency_ms", 0.52341, "0.523 ms"),
        ("energy_mj", 6.071, "6.07 mJ"),
        ("macs", 39900000.0, "39900000"),
    ],
)
def test_values_in_few_characters(name: str, value: float, told: str) -> None:
    assert brief(name, Metric(value)) == told
