"""The doctor on fake boards with known contents, and the request `check` of a real agent."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures import boards

from explorer_agent import board, doctor
from explorer_agent.doctor import machine, now, power, software
from explorer_agent.doctor.look import Finding, Look, answer_of

from .talk import Talk

RUNTIME = {"available": True, "why_not": "", "version": "1.20.1", "precisions": {"fp32": "", "fp16": "too slow"}}
ABSENT = {"available": False, "why_not": "it is not installed", "version": "", "precisions": {}}
METER = {"available": False, "why_not": "no sensor"}
STATES = {"ok", "note", "warn", "bad"}


def look_at(root: Path, **capabilities: Any) -> Look:
    told = {"runtimes": {"onnxruntime": RUNTIME, "openvino": ABSENT}, "meters": {"rapl": METER, "declared": METER}}
    return Look(root, {**told, **capabilities}, root=root)


def words(found: list[Finding], topic: str) -> str:
    return "; ".join(one["found"] for one in found if one["topic"] == topic)


def states(found: list[Finding], topic: str) -> list[str]:
    return [one["state"] for one in found if one["topic"] == topic]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(now, "WATCH_S", 0.0)


@pytest.mark.parametrize("name", boards.BOARDS)
def test_every_board_is_told_whole(tmp_path: Path, name: str) -> None:
    tree = boards.make(name, tmp_path)
    found = doctor.findings(look_at(tmp_path))
    spec = tree.spec
    assert spec.model in words(found, "board")
    assert words(found, "jetpack").startswith(spec.jetpack)
    assert spec.l4t in words(found, "jetpack")
    assert all(rail in words(found, "rails") for chip in spec.rails.values() for rail, *_ in chip if rail != "NC")
    assert "NC " not in words(found, "rails")
    assert f"policy {spec.total}" in words(found, "total")
    assert words(found, "power mode") == f"{spec.modes[1]}, of {', '.join(spec.modes)}"
    assert words(found, "dla").startswith(f"{spec.dla} cores" if spec.dla else "none on this board")
    assert "kernel's devices" in words(found, "dla")
    assert states(found, "clocks") == ["warn", "warn"]
    assert "730 and 2202 MHz (schedutil)" in words(found, "clocks")
    assert "306 and 1300 MHz" in words(found, "clocks")
    assert states(found, "temperature") == ["ok"]
    assert not [one for one in found if "could not be looked at" in one["found"]]
    assert {one["state"] for one in found} <= STATES
    assert all(one["advice"] for one in found if one["state"] in ("warn", "bad")), "a warning says what to do"
    assert all(one["advice"] for one in found if one.get("because"))


def test_agx_orin_says_that_its_total_is_in_doubt(tmp_path: Path) -> None:
    boards.make("agx-orin", tmp_path)
    told = words(list(power.sensors(look_at(tmp_path))), "total")
    assert "8.50 W" in told
    assert "counted twice" in told
    assert "sum_without_vddq/1 says 8.00 W" in told


def test_a_slow_filter_spoils_short_measurements(tmp_path: Path) -> None:
    boards.make("orin-nano", tmp_path)
    (lag,) = (one for one in power.sensors(look_at(tmp_path)) if one["topic"] == "lag")
    assert lag["because"] == "power readings lag by up to 3.4 s"
    assert "for 17 s or more" in lag["advice"]
    assert "a mean of 512 samples" in lag["found"]


def test_a_rail_without_a_reading_is_said_so(tmp_path: Path) -> None:
    boards.make("thor", tmp_path).rail("VDD_GPU").gate()
    told = list(power.sensors(look_at(tmp_path)))
    assert "VDD_GPU no reading" in words(told, "rails")
    assert words(told, "total").startswith("31.25 W")


def test_clocks_held_still_are_fine(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    for core in range(2):
        tree.write(f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_min_freq", "2201600\n")
    tree.write(f"{tree.spec.gpu}/min_freq", "1300500000\n")
    told = list(power.clocks(look_at(tmp_path)))
    assert states(told, "clocks") == ["ok", "ok"]
    assert "held at 2202 MHz" in words(told, "clocks")
    assert "GPU held at 1300 MHz" in words(told, "clocks")


@pytest.mark.parametrize(
    ("user", "status", "told"),
    [
        (0, 1, "the agent runs as root: it may set clocks and power mode"),
        (1000, 0, "the agent may use nvpmodel and jetson_clocks without a password"),
        (1000, 1, "without a password the agent may not use nvpmodel and jetson_clocks"),
    ],
)
def test_whether_the_agent_may_set_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, status: int, told: str
) -> None:
    tree = boards.make("orin-nx", tmp_path)
    assert list(power.sudo(look_at(tmp_path))) == [], "no program to ask for"
    for name in ("nvpmodel", "jetson_clocks"):
        tree.write(f"usr/bin/{name}", "#!/bin/sh\nexit 1\n").chmod(0o755)
    script = f'#!/bin/sh\nprintf "%s\\n" "$*" >> {tmp_path}/asked\nexit {status}\n'
    tree.write("usr/bin/sudo", script).chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert words(list(power.sudo(look_at(tmp_path))), "sudo") == told
    if user:
        asked = f"-n {tmp_path}/usr/bin/nvpmodel -q\n-n {tmp_path}/usr/bin/jetson_clocks --show\n"
        assert (tmp_path / "asked").read_text() == asked, "asked to tell, never to change"


def test_the_power_mode_is_asked_for_where_its_file_does_not_tell(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    (tmp_path / "var/lib/nvpmodel/status").unlink()
    (unknown,) = power.power_mode(look_at(tmp_path))
    assert (unknown["state"], "MAXN, 10W, 15W, 25W" in unknown["found"]) == ("note", True)
    tree.write("usr/sbin/nvpmodel", "#!/bin/sh\necho NV Fan Mode:quiet\necho NV Power Mode: 15W\necho 2\n").chmod(0o755)
    (told,) = power.power_mode(look_at(tmp_path))
    assert told["found"] == "15W, of MAXN, 10W, 15W, 25W"
    lasting = list(power.power_mode(look_at(tmp_path, power_mode={"lasting": "restarted for 15W, and stays in it"})))
    assert (lasting[-1]["state"], lasting[-1]["found"]) == ("note", "restarted for 15W, and stays in it")


@pytest.mark.parametrize(
    ("state", "told"), [("locked", "held by the agent"), ("partly", "came out as partly: no right"), ("left", "")]
)
def test_what_the_agent_did_about_clocks(tmp_path: Path, state: str, told: str) -> None:
    boards.make("orin-nx", tmp_path)
    report = {"state": state, "why": "no right", "changed": []}
    last = list(power.clocks(look_at(tmp_path, clocks=report)))[-1]
    assert told in last["found"]
    assert (last["state"] == "warn") == (state == "left")


def test_heat_alarms_and_rising_counters(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    look = look_at(tmp_path)
    (quiet,) = now.throttling(look)
    assert quiet["state"] == "ok"
    for file in tree.root.glob("sys/devices/i2c/*/hwmon/*/oc3_event_cnt"):
        file.write_text("12\n")
    tree.write("sys/class/thermal/cooling_device0/cur_state", "1\n")
    tree.write("sys/class/thermal/thermal_zone1/temp", "91500\n")
    (loud,) = now.throttling(look)
    assert loud["because"] == "the board is holding its clocks back (gpu-throttle-alert, current peaks)"
    (old,) = now.throttling(look_at(tmp_path))
    assert "gpu-throttle-alert" in old["found"]
    assert "peaks" not in old["found"], "events before this look say nothing about now"
    (hot,) = now.temperature(look)
    assert "hot (92 °C)" in hot["because"]


def test_a_desktop_and_somebody_elses_work(tmp_path: Path) -> None:
    tree = boards.make("orin-nx", tmp_path)
    fields = "S 1 1 1 0 -1 0 0 0 0 0 {} 0 0 0 20 0 1 0"
    tree.write("proc/4001/comm", "gnome-shell\n")
    tree.write("proc/4001/stat", f"4001 (gnome-shell) {fields.format(0)}")
    tree.write("proc/4002/comm", "train (big) job\n")
    stat = tree.write("proc/4002/stat", f"4002 (train (big) job) {fields.format(0)}")
    tree.write("sys/devices/platform/bus@0/17000000.gpu/load", "800\n")
    look = look_at(tmp_path)
    assert [one["state"] for one in now.others(look)] == ["ok", "warn"]
    stat.write_text(f"4002 (train (big) job) {fields.format(1000 * os.sysconf('SC_CLK_TCK'))}")
    told = list(now.others(look))
    assert "train (big) job (process 4002)" in words(told, "load")
    assert "the GPU is 80% busy" in words(told, "load")
    tree.write("proc/stat", "".join(f"cpu{core} 0 0 0 0 0 0 0\n" for core in os.sched_getaffinity(0)))
    stat.unlink()
    elsewhere = look_at(tmp_path)
    tree.write("proc/stat", "".join(f"cpu{core} 9999 0 0 0 0 0 0\n" for core in os.sched_getaffinity(0)))
    assert "cannot be seen from here" in words(list(now.others(elsewhere)), "load")
    (desktop,) = now.desktop(look)
    assert desktop["because"].startswith("a desktop is running")


def test_work_beside_ours_is_seen_for_real() -> None:
    """Another session's process on this very machine, which does nothing but count."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        look = Look(Path.home(), {}, root=Path("/"))
        deadline = os.times().elapsed + 60
        while f"process {busy.pid}" not in words(list(now.others(look)), "load"):
            assert os.times().elapsed < deadline
    finally:
        busy.kill()
        busy.wait()


def test_no_runtime_stands_in_the_way(tmp_path: Path) -> None:
    told = list(software.runtimes(look_at(tmp_path, runtimes={"onnxruntime": ABSENT})))
    assert states(told, "runtime") == ["note", "bad"]
    assert "pip install onnxruntime" in told[1]["advice"]
    some = list(software.runtimes(look_at(tmp_path)))
    assert words(some, "runtime") == "onnxruntime 1.20.1: fp32; openvino: it is not installed"


def test_a_meter_makes_energy_a_measurement(tmp_path: Path) -> None:
    (without,) = power.meters(look_at(tmp_path))
    assert "no sensor" in without["found"]
    assert "energy cannot be measured" in without["because"]
    (having,) = power.meters(look_at(tmp_path, meters={"mine": {"available": True, "why_not": ""}}))
    assert having["state"] == "ok"


TENSORRT = """\
__version__ = "10.3.0.30"
class Logger:
    ERROR = 1
    def __init__(self, level): print("[I] printed by a library")
class Builder:
    def __init__(self, logger): {builder}
    num_DLA_cores = {cores}
"""


@pytest.fixture
def with_tensorrt(tmp_path: Path) -> Callable[..., str]:
    """Makes an interpreter that has a TensorRT of known answers; -I, which would hide it, is left out."""

    def make(*, cores: int, builder: str = "pass") -> str:
        folder = tmp_path / "tensorrt"
        folder.mkdir()
        (folder / "tensorrt.py").write_text(TENSORRT.format(cores=cores, builder=builder))
        script = tmp_path / "python"
        script.write_text(f'#!/bin/sh\nshift\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n')
        script.chmod(0o755)
        return str(script)

    return make


@pytest.mark.parametrize(
    ("name", "cores", "state", "told"),
    [
        ("orin-nx", 2, "ok", "2 cores of NVIDIA's deep learning accelerator (counted by TensorRT and the kernel"),
        ("orin-nano", 0, "note", "none on this board (counted by TensorRT and the kernel"),
        ("orin-nx", 0, "warn", "TensorRT counts 0 DLA cores, the kernel has 2 devices"),
    ],
)
def test_dla_cores_are_counted_by_tensorrt_too(
    tmp_path: Path, with_tensorrt: Callable[..., str], name: str, cores: int, state: str, told: str
) -> None:
    tree = boards.make(name, tmp_path / "root")
    tree.write("usr/local/cuda/version.json", '{"cuda": {"name": "CUDA SDK", "version": "12.6.68"}}')
    tree.write("usr/src/tensorrt/bin/trtexec", "")
    look = Look(tmp_path, {}, root=tree.root, python=with_tensorrt(cores=cores))
    found = list(software.nvidia(look))
    assert words(found, "cuda").startswith("12.6.68")
    assert words(found, "tensorrt").startswith("10.3.0.30, ")
    assert "trtexec is /usr/src/tensorrt/bin/trtexec" in words(found, "tensorrt")
    assert states(found, "dla") == [state]
    assert words(found, "dla").startswith(told)


@pytest.mark.parametrize("builder", ["raise TypeError('no GPU here')", "import os; os.kill(os.getpid(), 11)"])
def test_a_tensorrt_without_a_gpu_is_still_named(
    tmp_path: Path, with_tensorrt: Callable[..., str], builder: str
) -> None:
    found = software.ask_tensorrt(with_tensorrt(cores=2, builder=builder))
    assert found["version"] == "10.3.0.30"
    assert "dla" not in found
    assert found["why_not"]


@pytest.mark.parametrize(
    ("file", "text", "version"),
    [
        ("version.json", '{"cuda": {"version": "11.4.19"}}', "11.4.19"),
        ("version.txt", "CUDA Version 10.2.300", "10.2.300"),
    ],
)
def test_cuda_tells_its_version_in_a_file(tmp_path: Path, file: str, text: str, version: str) -> None:
    assert software.cuda_version(tmp_path) == ""
    (tmp_path / "usr/local/cuda").mkdir(parents=True)
    (tmp_path / "usr/local/cuda" / file).write_text(text)
    assert software.cuda_version(tmp_path) == version


def test_no_nvidia_gpu_is_one_line(tmp_path: Path) -> None:
    assert [one["topic"] for one in software.nvidia(look_at(tmp_path))] == ["gpu"]


def test_virtual_emulated_contained(tmp_path: Path) -> None:
    tree = boards.Tree(tmp_path, boards.BOARDS["nano"])
    assert list(machine.virtual(look_at(tmp_path))) == []
    tree.write("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : fpu hypervisor sse\n")
    tree.write("run/.containerenv", "")
    virtual, contained = machine.virtual(look_at(tmp_path))
    assert "virtual" in virtual["because"]
    assert contained["state"] == "note"
    emulator = f"qemu-{platform.machine()}-static"
    tree.write("proc/4001/cmdline", f"/usr/bin/{emulator}\0/usr/bin/python3\0")
    stat = tree.write("proc/4001/stat", f"4001 (python3) S 1 1 {os.getsid(0) + 1} 0")
    assert machine.emulated_by(tmp_path) == "", "somebody else's"
    stat.write_text(f"4001 (python3) S 1 1 {os.getsid(0)} 0")
    emulated, _ = machine.virtual(look_at(tmp_path))
    assert emulator in emulated["found"]


def test_disk_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = boards.make("nano", tmp_path)
    for free, state in ((0.1e9, "bad"), (1e9, "warn"), (9e9, "ok")):
        usage = shutil._ntuple_diskusage(32e9, 32e9 - free, free)  # type: ignore[attr-defined]
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert states(list(machine.disk(look_at(tmp_path))), "disk") == [state]
    assert [one["state"] for one in machine.memory(look_at(tmp_path))] == ["ok", "ok"]
    tree.write("proc/meminfo", "MemTotal: 4000000 kB\nMemAvailable: 300000 kB\nSwapTotal: 2000000 kB\nSwapFree: 0 kB\n")
    low, swapped = machine.memory(look_at(tmp_path))
    assert (low["state"], swapped["state"]) == ("warn", "warn")
    assert "swapped out" in swapped["because"]


def test_a_clock_before_its_time_is_a_note_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "WRITTEN", "2999-01-01")
    (told,) = machine.date(look_at(tmp_path))
    assert told["state"] == "note"
    assert "because" not in told


def test_a_check_that_fails_is_a_finding(tmp_path: Path) -> None:
    found = doctor.findings(look_at(tmp_path, meters=None))
    assert "could not be looked at: AttributeError" in words(found, "meters")
    assert words(found, "runtime"), "the others are told all the same"


def test_programs_that_hang_or_are_not_there() -> None:
    assert answer_of(["/no/such/program"], within_s=1)[0] == 127
    assert answer_of([sys.executable, "-c", "import time; time.sleep(60)"], within_s=0.2)[0] == 124
    assert answer_of(["echo", "word"], within_s=10) == (0, "word")


def test_a_real_agent_answers_check(start: Callable[..., Talk], python: str) -> None:
    talk = start(python=python)
    reply, _ = talk.ask("check")
    assert reply["type"] == "check"
    found = reply["findings"]
    assert {"board", "python", "disk", "memory", "runtime", "meter", "temperature", "load"} <= {
        f["topic"] for f in found
    }
    assert {one["state"] for one in found} <= STATES
    assert all(set(one) <= {"topic", "state", "found", "advice", "because"} for one in found)
    assert not [one for one in found if "could not be looked at" in one["found"]]
    assert talk.ask("has", sha256=[])[0]["missing"] == []


def test_other_questions_are_answered_meanwhile(start: Callable[..., Talk]) -> None:
    talk = start()
    number = talk.say("check")
    assert talk.ask("has", sha256=[])[0]["type"] == "has"
    assert talk.answer(number)[0]["type"] == "check"


def test_this_machine_is_described(tmp_path: Path) -> None:
    found = doctor.findings(Look(tmp_path, {"runtimes": {"a": RUNTIME}, "meters": {"rapl": METER}}))
    assert board.cpu_model() in words(found, "processor")
    assert not [one for one in found if "could not be looked at" in one["found"]]


def test_a_laptop(tmp_path: Path) -> None:
    """x86: intel_pstate's governor, a package sensor, heat counters, RAPL shut to ordinary users; no Jetson words."""
    tree = boards.laptop(tmp_path)
    found = doctor.findings(look_at(tmp_path))
    assert words(found, "board").startswith("ThinkPad X1, ")
    assert "processor free between 400 and 4700 MHz (powersave)" in words(found, "clocks")
    (clock,) = (one for one in found if one["topic"] == "clocks")
    assert "cpupower" in clock["advice"]
    assert words(found, "temperature") == "61 °C at its hottest (x86_pkg_temp, of 2 sensors)"
    assert words(found, "throttling") == "none now; events since the start: too hot 7"
    assert not {"rails", "total", "lag", "power mode", "sudo", "jetpack", "dla"} & {one["topic"] for one in found}
    assert "jetson_clocks" not in str(found)
    look = look_at(tmp_path)
    tree.write("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "9\n")
    (hot,) = now.throttling(look)
    assert hot["because"] == "the board is holding its clocks back (too hot)"
