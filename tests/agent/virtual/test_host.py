"""The host's own end, from build to outputs, with a virtual board behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from explorer.device import Device
from explorer.errors import Infeasible
from explorer.statistics.derive import derive
from explorer.transports.local import LocalTransport

from . import nets
from .conftest import PLAN


def test_a_device_like_any_other(virtual_bundle: Path, tmp_path: Path) -> None:
    words = ["--simulate", "agx-orin-64", "--clocks", "lock"]
    transport = LocalTransport(virtual_bundle, home=tmp_path / "home", words=words)
    with Device("sim:agx-orin-64", transport, shares_host=False) as device:
        assert device.capabilities["simulated"] == "agx-orin-64"
        asked = {"runtime": "tensorrt", "precision": "fp16", "batch": 4, "placement": "dla", "power_mode": "MODE_15W"}
        built = device.build(nets.mixed(tmp_path / "n"), asked)
        measurement = device.measure(built, asked, PLAN)
        metrics, estimated, doubts = derive(measurement, batch=4)
        assert measurement.header["simulated"] is True
        assert not estimated
        assert not doubts
        assert {"latency_ms", "throughput_ips", "energy_mj", "power_w"} <= set(metrics)
        assert device.can_verify
        with pytest.raises(Infeasible, match="verify: a virtual board has no trtexec"):
            device.verify(built, asked, PLAN)
        outputs = device.infer(built, asked, np.random.default_rng(0).random((5, 32, 32, 32), dtype=np.float32))
        assert np.shape(outputs) == (5, 32, 32, 32)
        with pytest.raises(Infeasible, match="a DLA computes in fp16 and int8, not in fp32"):
            device.build(nets.mixed(tmp_path / "n"), {**asked, "precision": "fp32"})
