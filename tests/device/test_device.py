"""The device as the study sees it: the real agent over a local pipe, and every way to lose it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent.networks import convolutional, samples

from explorer.device import Built, Device, check, connect, line, parcel
from explorer.errors import BadInput, DeviceLost, Infeasible, JobFailed, NoDevice
from explorer.statistics import Measurement, derive

FAKE = {"runtime": "fake", "precision": "fp32", "batch": 2, "threads": 1}
PLAN = {"warmup_s": 0.02, "window_s": 0.02, "windows_min": 3, "budget_s": 0.3, "relative_interval": 0.5}
OPTIONS = {"plugins": ["explorer_agent.testing"], "runtimes": ["fake"]}
Connect = Callable[..., Device]


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[Connect]:
    devices: list[Device] = []

    def begin(**options: Any) -> Device:
        devices.append(connect("local:", cache=tmp_path / "cache", options={**OPTIONS, **options}))
        return devices[-1]

    yield begin
    for each in devices:
        each.close()


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    def write(**fields: object) -> Path:
        path = tmp_path / "source.json"
        path.write_text(json.dumps(fields))
        return path

    return write


def test_a_real_network_from_file_to_metrics(tmp_path: Path) -> None:
    """ONNX Runtime and OpenVINO: check, build, measure, infer; the same answers from both."""
    source, inputs = convolutional(tmp_path / "net.onnx"), samples(7)
    found = []
    with connect("local:", cache=tmp_path) as device:
        assert device.shares_host
        assert device.agent_sha == hashlib.sha256(next((tmp_path / "agents").iterdir()).read_bytes()).hexdigest()
        for runtime in ("onnxruntime", "openvino"):
            deployment = {"runtime": runtime, "precision": "fp32", "batch": 4, "threads": 1}
            check(deployment, device.capabilities, name=device.name)
            built = device.build(source, deployment)
            metrics, estimated, _ = derive(device.measure(built, deployment, PLAN, inputs=inputs), 4)
            assert metrics["throughput_ips"].value == pytest.approx(4e3 / metrics["latency_ms"].value, rel=0.8)
            assert metrics["energy_mj"].value > metrics["energy_net_mj"].value > 0
            assert "rapl" in str(device.capabilities["meters"])
            assert set(estimated) in (set(), {"power_w", "energy_mj", "energy_net_mj"})
            found.append(device.infer(built, deployment, inputs))
            assert device.get(built.engine)
    assert found[0].shape == (7, 10)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_power_from_a_meter_is_that_of_the_meter(connected: Connect, script: Callable[..., Path]) -> None:
    device = connected(meter={"name": "steady"})
    built = device.build(script(latency_s=0.001), FAKE)
    metrics, estimated, flags = derive(device.measure(built, FAKE, {**PLAN, "idle_s": 0.2}), 2)
    assert metrics["power_w"].value == pytest.approx(7.5, rel=0.02)
    assert metrics["energy_mj"].value == pytest.approx(7.5e3 / metrics["throughput_ips"].value, rel=0.02)
    assert metrics["energy_net_mj"].value == pytest.approx(0.0, abs=0.3)
    assert estimated == ()
    assert "no-idle-baseline" not in flags


def test_without_meter_and_figures_there_is_no_energy_and_it_says_so(connected: Connect, tmp_path: Path) -> None:
    device = connected(plugins=[], runtimes=["onnxruntime"], meter={"idle_w": None})
    if device.capabilities["meters"]["rapl"]["available"]:
        pytest.skip("this machine has a real meter")
    deployment = {"runtime": "onnxruntime", "batch": 2}
    built = device.build(convolutional(tmp_path / "net"), deployment)
    metrics, _, flags = derive(device.measure(built, deployment, PLAN), 2)
    assert "energy_mj" not in metrics
    assert "no-meter" in flags


def test_a_measurement_is_kept_as_taken(connected: Connect, script: Callable[..., Path]) -> None:
    device = connected()
    taken = device.measure(device.build(script(latency_s=0.0005), FAKE), FAKE, PLAN)
    again = Measurement.of_raw(json.loads(json.dumps(taken.raw, allow_nan=False)))
    assert derive(again, 2) == derive(taken, 2)


def test_outputs_are_asked_for_once_and_the_inputs_sent_once(connected: Connect, script: Callable[..., Path]) -> None:
    device = connected()
    built, inputs = device.build(script(), FAKE), samples(4)
    np.testing.assert_array_equal(device.infer(built, FAKE, inputs), inputs)
    assert not inputs.flags.writeable, "what was hashed cannot be changed unseen"
    before = time.perf_counter()
    device.infer(built, FAKE, inputs)
    assert time.perf_counter() - before < 0.1
    np.testing.assert_array_equal(device.infer(built, FAKE, samples(4) * 2), samples(4) * 2)


def test_a_build_is_found_by_the_next_agent(connected: Connect, script: Callable[..., Path]) -> None:
    first = connected()
    assert not first.build(script(), FAKE).cached
    first.close()
    assert connected().build(script(), FAKE).cached


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        ({"precision": "fp16"}, "this fake has no fp16"),
        ({"threads": 9999}, "9999 threads asked for"),
        ({"placement": "dla"}, "placement 'dla'"),
        ({"runtime": "tensorrt"}, "unknown runtime 'tensorrt'"),
        ({"luck": 7}, "unknown deployment key 'luck'"),
        ({"batch": 1.5}, "batch must be int"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(
    connected: Connect, deployment: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(Infeasible, match=words):
        check({**FAKE, **deployment}, connected().capabilities, name="board")


def test_endings_are_not_mixed(connected: Connect, script: Callable[..., Path]) -> None:
    device = connected()
    with pytest.raises(Infeasible, match="this layer does not exist here"):
        device.build(script(do="refuse"), FAKE)
    with pytest.raises(JobFailed, match="SIGSEGV") as crashed:
        device.build(script(do="crash"), FAKE)
    assert "Segmentation fault" in crashed.value.log_tail
    with pytest.raises(JobFailed, match="longer than"):
        device.build(script(do="hang"), FAKE, timeout_s=0.1)
    assert device.build(script(), FAKE).engine, "and the device lives"


def test_a_dead_agent_is_a_lost_device_and_can_be_connected_again(
    connected: Connect, script: Callable[..., Path]
) -> None:
    device = connected()
    os.kill(_agent(device), signal.SIGKILL)
    with pytest.raises(DeviceLost, match=r"went away|does not listen"):
        device.build(script(), FAKE)
    with pytest.raises(DeviceLost):
        device.build(script(), FAKE)
    assert connected().build(script(), FAKE).engine


def test_an_agent_that_dies_during_a_job_is_a_lost_device(connected: Connect, script: Callable[..., Path]) -> None:
    device = connected()
    device.watch(lambda note: os.kill(_agent(device), signal.SIGKILL))
    with pytest.raises(DeviceLost, match="went away"):
        device.build(script(do="hang"), FAKE)


def test_silence_is_noticed(connected: Connect, script: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "SILENCE_S", 0.5)
    monkeypatch.setattr("explorer.transports.local.PATIENCE_S", 0.2)
    device = connected()
    os.kill(_agent(device), signal.SIGSTOP)
    with pytest.raises(DeviceLost, match="silent"):
        device.build(script(), FAKE)


def test_an_agent_that_stops_reading_is_noticed_while_a_file_is_sent(
    connected: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.transports.STALL_S", 0.5)
    monkeypatch.setattr("explorer.transports.local.PATIENCE_S", 0.2)
    device, large = connected(), tmp_path / "large"
    large.write_bytes(bytes(20 << 20))
    device.round_trip_s(1)
    real = line.Writer.write

    def freeze_first(writer: line.Writer, message: dict[str, Any], *rest: Any, **named: Any) -> None:
        if message["type"] == "put":
            os.kill(_agent(device), signal.SIGSTOP)
        real(writer, message, *rest, **named)

    monkeypatch.setattr(line.Writer, "write", freeze_first)
    with pytest.raises(DeviceLost, match=r"local: put: the device does not listen any more .*nothing for"):
        device.build(large, FAKE)


def test_a_file_that_shrinks_while_it_is_sent_is_no_hang(
    connected: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, large = connected(), tmp_path / "large"
    large.write_bytes(bytes(8 << 20))
    whole = parcel.of_file

    def shrink(path: Path, sha256: str) -> Any:
        announced = whole(path, sha256)
        os.truncate(path, 1 << 20)
        return announced

    monkeypatch.setattr("explorer.device.device.of_file", shrink)
    with pytest.raises(DeviceLost, match="became shorter"):
        device.build(large, FAKE)


def test_what_the_agent_threw_away_is_sent_again(
    connected: Connect, script: Callable[..., Path], tmp_path: Path
) -> None:
    device, source = connected(), script()
    built, inputs = device.build(source, FAKE), samples(3)
    device.infer(built, FAKE, inputs)
    sent = device.sent_bytes
    device.infer(built, FAKE, inputs)
    assert device.sent_bytes == sent
    for path in (tmp_path / "cache" / "agent" / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes()[:2] == b"PK":
            path.unlink()
    measured = device.measure(built, FAKE, PLAN, inputs=inputs)
    assert measured.windows >= 3
    assert device.sent_bytes > sent


def test_a_question_asked_once_is_answered_once(connected: Connect, script: Callable[..., Path]) -> None:
    first = connected()
    built = first.build(script(latency_s=0.001), FAKE)
    taken = first.measure(built, FAKE, PLAN, once="study/7/0")
    first.close()
    again = connected()
    assert again.measure(built, FAKE, PLAN, once="study/7/0").raw["series"] == taken.raw["series"]
    assert again.measure(built, FAKE, PLAN, once="study/7/1").raw["series"] != taken.raw["series"]


def test_a_long_job_is_not_silence(
    connected: Connect, script: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "SILENCE_S", 1.7)
    device, notes = connected(), []
    device.watch(notes.append)
    with pytest.raises(JobFailed, match="longer than"):
        device.build(script(do="hang"), FAKE, timeout_s=2.5)
    assert [note["kind"] for note in notes].count("heartbeat") >= 2


def test_a_job_is_cancelled_from_another_thread(connected: Connect, script: Callable[..., Path]) -> None:
    device = connected()
    threading.Timer(0.5, device.cancel).start()
    with pytest.raises(JobFailed, match="cancelled by the host"):
        device.build(script(do="hang"), FAKE)
    assert device.build(script(), FAKE).engine


def test_two_hosts_at_once_are_one_too_many(connected: Connect) -> None:
    connected()
    with pytest.raises(NoDevice, match=r"in use: process \d+ of"):
        connected(wait_s=0.1)


@pytest.mark.parametrize(
    ("meter", "words"),
    [
        ({"name": "crystal"}, "unknown meter 'crystal'; known: auto, .*declared"),
        ({"name": "declared", "idle_w": None}, "'declared' needs idle_w, in watts"),
    ],
)
def test_a_meter_that_is_not_there_is_said_at_once(connected: Connect, meter: Mapping[str, Any], words: str) -> None:
    with pytest.raises(NoDevice, match=words):
        connected(meter=meter)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('{"type":"hello","protocol":99,"capabilities":{}}', "speaks protocol 99"),
        ('{"type":"hello"}', "expected hello"),
        ('{"type":"gday"}', "expected hello, heard 'gday'"),
        ("Last login: yesterday", "not a line of ASCII JSON"),
        ('{"type":"error","kind":"failed","text":"no room","hint":"make some"}', "no room. make some"),
    ],
)
def test_a_strange_far_side_is_no_device(connected: Connect, tmp_path: Path, said: str, words: str) -> None:
    stranger = tmp_path / "python"
    stranger.write_text(f"#!/bin/sh\necho '{said}'\ncat > /dev/null\n")
    stranger.chmod(stranger.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(NoDevice, match=words):
        connected(python=str(stranger))


def test_a_far_side_that_says_nothing_is_heard_out_of_its_errors(connected: Connect, tmp_path: Path) -> None:
    stranger = tmp_path / "python"
    stranger.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 127\n")
    stranger.chmod(0o700)
    with pytest.raises(NoDevice, match="(?s)its stream ended.*no such luck.*status 127"):
        connected(python=str(stranger))


def test_what_cannot_be_connected_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(NoDevice, match="no device 'locale:'.*did you mean 'local'"):
        connect("locale:", cache=tmp_path)
    with pytest.raises(NoDevice, match="cannot start the agent with /nowhere/python"):
        connect("local:", cache=tmp_path, options={"python": "/nowhere/python"})
    with pytest.raises(BadInput, match="unknown device option"):
        connect("local:", cache=tmp_path, options={"metre": {}})


def test_an_engine_that_is_gone_fails_the_job(connected: Connect) -> None:
    built = Built(engine="0" * 64, seconds=0, cached=False, bytes=0, layers={})
    with pytest.raises(JobFailed, match="not on this device"):
        connected().measure(built, FAKE, PLAN)


def _agent(device: Device) -> int:
    pid = device._line._transport.pid  # type: ignore[attr-defined]
    assert isinstance(pid, int)
    return pid
