"""NVML against a real shared library, loaded by the name of the driver's own, whose GPUs have known watts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from explorer_agent.meters.nvml import Nvml

WATTS = 120.0  # of a fake GPU, see nvml.c
# In a process of its own, for only there does LD_LIBRARY_PATH decide what is loaded; sampled from a fork, as a
# measurement does it.
SCRIPT = """
import json, os, sys, time
from explorer_agent.meters.nvml import Nvml
from explorer_agent.sampling import Probe, watched

def look(scene, init="0", **wanted):
    os.environ.update(NVML_SCENE=scene, NVML_INIT=init)
    meter = Nvml(wanted)
    told = {"why_not": meter.available()}
    if not told["why_not"]:
        rails = list(meter.rails())
        probe = Probe("meter", ["meter_%d" % number for number, _ in enumerate(rails)], meter.read, 0.01)
        with watched([probe]) as watch:
            time.sleep(0.1)
        told.update(rails=rails, quantity=meter.quantity, meter=meter.facts(), seen=watch.facts["meter"])
        told["series"] = {name: list(numbers) for name, numbers in watch.series.items()}
    meter.close()
    return told

print(json.dumps([look(**scene) for scene in json.loads(sys.argv[1])]))
"""
SCENES: dict[str, dict[str, Any]] = {
    "counts": {"scene": "c"},
    "power": {"scene": "p"},
    "two": {"scene": "cc"},
    "mixed": {"scene": "cp"},
    "one is deaf": {"scene": "cpj"},
    "the third": {"scene": "ppc", "gpus": [2]},
    "not there": {"scene": "c", "gpus": [0, 4]},
    "divided": {"scene": "m"},
    "jetson": {"scene": "j"},
    "lost": {"scene": "l"},
    "no driver": {"scene": "c", "init": "9"},
    "mismatch": {"scene": "c", "init": "18"},
    "unknown": {"scene": "c", "init": "999"},
    "none": {"scene": ""},
}
Told = dict[str, Any]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the fake library."""
    return compiled(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def said(library: Path) -> dict[str, Told]:
    """What the meter says of a machine, by the names of SCENES."""
    return asked(library, SCENES)


def compiled(folder: Path, *flags: str) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on this machine (Debian: gcc)")
    source = Path(__file__).with_name("nvml.c")
    words = [compiler, "-shared", "-fPIC", "-O1", "-Wall", *flags, "-o", folder / "libnvidia-ml.so.1", source]
    made = subprocess.run(words, capture_output=True, text=True)
    if "stdio.h" in made.stderr:
        pytest.skip("nothing to compile C with on this machine (Debian: libc6-dev)")
    assert made.returncode == 0, made.stderr
    return folder


def asked(library: Path, scenes: dict[str, dict[str, Any]]) -> dict[str, Told]:
    words = {"LD_LIBRARY_PATH": str(library), "NVML_LOG": str(library / "log")}
    arguments = [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(list(scenes.values()))]
    done = subprocess.run(arguments, env={**os.environ, **words}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(zip(scenes, json.loads(done.stdout), strict=True))


def watts(told: dict[str, Any], rail: int = 0) -> float:
    """What the counter says, between its first and its last reading."""
    times, joules = (told["series"][name] for name in ("meter_time_s", f"meter_{rail}"))
    return float((joules[-1] - joules[0]) / (times[-1] - times[0]))


def test_a_gpu_that_counts_its_energy_is_read_by_its_counter(said: dict[str, Told], library: Path) -> None:
    told = said["counts"]
    assert told["why_not"] == ""
    assert (told["rails"], told["quantity"]) == (["gpu0 NVIDIA Fake"], "J")
    assert watts(told) == pytest.approx(WATTS, rel=0.02)
    assert told["seen"]["failure"] == ""
    assert (told["meter"]["policy"], told["meter"]["lag_s"]) == ("gpu_boards/1", 0.1)
    assert (library / "log").read_text().split()[:3] == ["init", "init", "shutdown"], "anew in the fork that reads"


def test_one_that_does_not_is_read_by_its_power_which_lags(said: dict[str, Told]) -> None:
    told = said["power"]
    assert (told["quantity"], set(told["series"]["meter_0"])) == ("W", {WATTS})
    assert told["meter"]["lag_s"] == 1.0
    assert "mean" in told["meter"]["lag_means"]


def test_several_gpus_are_several_rails_of_one_quantity(said: dict[str, Told]) -> None:
    told = said["two"]
    assert (told["rails"], told["quantity"]) == (["gpu0 NVIDIA Fake", "gpu1 NVIDIA Fake"], "J")
    assert watts(told, 1) == pytest.approx(WATTS, rel=0.02)
    told = said["mixed"]
    assert (len(told["rails"]), told["quantity"]) == (2, "W"), "what one cannot count is read of both"
    told = said["one is deaf"]
    assert len(told["rails"]) == 2
    assert "gpu2 Orin (nvgpu) is not in it: NVML says: Not Supported" in told["meter"]["doubt"]


def test_the_gpus_that_are_meant_can_be_named(said: dict[str, Told]) -> None:
    assert said["the third"]["rails"] == ["gpu2 NVIDIA Fake"]
    assert said["not there"]["why_not"] == "gpus: [0, 4]: NVML finds gpu0"


def test_a_divided_gpu_is_in_doubt(said: dict[str, Told]) -> None:
    assert said["divided"]["why_not"] == ""
    assert "divided (MIG)" in said["divided"]["meter"]["doubt"]


def test_a_jetson_s_gpu_tells_nothing_and_who_does_is_said(said: dict[str, Told]) -> None:
    why_not = said["jetson"]["why_not"]
    assert "gpu0 Orin (nvgpu)" in why_not
    assert "Not Supported" in why_not
    assert "ina3221" in why_not


def test_a_gpu_that_is_lost_ends_its_series_and_says_so(said: dict[str, Told]) -> None:
    assert "GPU is lost" in said["lost"]["seen"]["failure"]


@pytest.mark.parametrize(
    ("scene", "told"), [("no driver", "Driver Not Loaded"), ("mismatch", "reboot"), ("unknown", "Unknown Error")]
)
def test_a_driver_that_does_not_answer_is_quoted(said: dict[str, Told], scene: str, told: str) -> None:
    assert told in said[scene]["why_not"]


def test_no_gpu_and_no_driver_are_said(said: dict[str, Told]) -> None:
    assert said["none"]["why_not"] == "NVML finds no GPU"
    here = Nvml({}).available()
    assert here == "" or "NVIDIA" in here or "NVML" in here


def test_a_driver_that_knows_of_no_counter_is_read_by_its_power(tmp_path: Path) -> None:
    told = asked(compiled(tmp_path, "-DOLD", "-Wno-unused"), {"old": {"scene": "c"}})["old"]
    assert (told["why_not"], told["quantity"], set(told["series"]["meter_0"])) == ("", "W", {WATTS})
