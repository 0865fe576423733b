"""The real service of jetson-stats and its real client, beside the ina3221 meter, on one fake tree.

tree ─┬─/fake_sys──► jtop.service ──► client ──► Jtop       jetson-stats comes into an environment of its own, the
      └─EXPLORER_AGENT_ROOT────────────────────► Ina3221    service into a room of its own: see jtop_room.py
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import boards

from ..talk import FAKE, Talk, family

pytestmark = pytest.mark.slow

VERSION = "7.2.2"
HERE = Path(__file__).parent
FLAT_S, SLOPE_S = 2.0, 3.0  # power: flat, twice as much and back, flat; so that what lags misses nothing of it
SAMPLE = """
import json, sys, time
from explorer_agent.meters import METERS
from explorer_agent.sampling import Probe, watched
probes, facts, meters = [], {}, []
for name in ("ina3221", "jtop"):
    meter = METERS[name]({})
    meters.append(meter)
    why_not = meter.available()
    assert not why_not, why_not
    facts[name] = dict(meter.facts(), rails=list(meter.rails()))
    series = [name + "_%d" % number for number, _ in enumerate(meter.rails())]
    probes.append(Probe(name, series, meter.read, meter.period_s))
with watched(probes) as watch:
    print("begun", flush=True)
    time.sleep(float(sys.argv[1]))
print(json.dumps({"facts": facts, "seen": watch.facts, "series": {k: list(v) for k, v in watch.series.items()}}))
meters[-1].close()
"""
ASK = """
import sys, time
from explorer_agent.meters import jtop
meter = jtop.Jtop({})
why_not = meter.available()
print(why_not or "available", flush=True)
if not why_not:
    sys.stdin.readline()
    try:
        while True:
            meter.read()
            time.sleep(0.1)
    except jtop.JtopError as error:
        print(error, flush=True)
meter.close()
"""


@pytest.fixture(scope="module")
def jetson_stats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has jetson-stats."""
    folder = tmp_path_factory.mktemp("jetson-stats")
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=300)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", f"jetson-stats=={VERSION}"]
        subprocess.run(pip, check=True, capture_output=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        last = (error.stderr or b"").decode().strip().rpartition("\n")[2]
        pytest.skip(f"jetson-stats {VERSION} cannot be installed here: {last or error}")
    return folder / "bin/python"


class Room:
    """A root of its own in which the service runs."""

    def __init__(self, tree: Path, python: Path, new: Path) -> None:
        new.mkdir()
        self.tree, self.python = tree, python
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words = [*apart, sys.executable, HERE / "jtop_room.py", new, tree, python]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._hear()

    def say(self, word: str) -> None:
        """start, stop, kill or halt the service."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self._hear()

    def inside(self, *words: str | Path) -> list[str]:
        """The command that runs `words` in there."""
        (first, *_) = family(self._process.pid)
        return ["nsenter", f"--target={first}", "--mount", "--pid", "--root", *map(str, words)]

    def environment(self, **others: str) -> dict[str, str]:
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "EXPLORER_AGENT_ROOT": str(self.tree), **others}

    def close(self) -> None:
        """All of it ends with its stdin."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "done\n"


Enter = Callable[..., tuple[Room, boards.Tree]]


@pytest.fixture
def enter(jetson_stats: Path, tmp_path: Path) -> Iterator[Enter]:
    """Makes rooms, each with a board and the service."""
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces for this account (they need root)")
    rooms: list[Room] = []

    def make(name: str) -> tuple[Room, boards.Tree]:
        tree = boards.make(name, tmp_path / "tree")
        furnish(tree)
        rooms.append(Room(tree.root, jetson_stats, tmp_path / "new"))
        rooms[-1].say("start")
        return rooms[-1], tree

    yield make
    for room in rooms:
        room.close()
    assert not Path("/fake_sys").exists(), "nothing is left of it out here"
    assert not any(Path("/run").glob("jtop*"))


def furnish(tree: boards.Tree) -> None:
    """What the service wants to see besides: chips by their bus, processors and a maker of the machine."""
    tree.write("sys/stat", "".join(f"cpu{core} 1 1 1 1 1 1 1\n" for core in ("", 0, 1)))
    tree.write("sys/devices/virtual/dmi/id/sys_vendor", "nobody\n")
    for limit in tree.root.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_m??_freq"):
        shutil.copy(limit, limit.with_name(limit.name.replace("scaling", "cpuinfo")))
    bus = tree.root / "sys/bus/i2c/devices"
    bus.mkdir(parents=True)
    for chip in (*tree.root.glob("sys/devices/i2c/*/hwmon"), *tree.root.glob("sys/bus/i2c/drivers/*/*/iio:device*")):
        names = [file.read_text() for file in chip.glob("*/name")]
        (chip.parent / "name").write_text(names[0] if names else "ina3221x\n")
        (bus / chip.parent.name).symlink_to(os.path.relpath(chip.parent, bus))


class Power(threading.Thread):
    """Has every current of the board rise to twice as much and fall again, from when it is started."""

    def __init__(self, tree: boards.Tree) -> None:
        super().__init__(name="power", daemon=True)
        patterns = ("curr[123]_input", "power1_input", "in_current?_input", "in_power?_input")
        self._files = {file: int(file.read_text()) for name in patterns for file in tree.root.glob(f"sys/**/{name}")}
        self.seconds = 2 * (FLAT_S + SLOPE_S)

    def run(self) -> None:
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < self.seconds:
            share = np.interp(now, [FLAT_S, FLAT_S + SLOPE_S, FLAT_S + 2 * SLOPE_S], [1.0, 2.0, 1.0])
            for file, number in self._files.items():
                fresh = file.with_name(".fresh")
                fresh.write_text(f"{round(number * share)}\n")
                fresh.rename(file)
            time.sleep(0.02)


def joules(told: dict[str, Any], name: str, within: tuple[float, float]) -> float:
    """The trapezoid of a meter's total between two times."""
    rails = [told["series"][f"{name}_{rail}"] for rail in told["facts"][name]["total"]]
    times, watts = np.array(told["series"][f"{name}_time_s"]), np.sum(rails, axis=0)
    grid = np.union1d(times[(times > within[0]) & (times < within[1])], within)
    return float(np.trapezoid(np.interp(grid, times, watts), grid))


@pytest.mark.parametrize(
    ("board", "total"), [("nano", "POM_5V_IN"), ("orin-nx", "VDD_IN"), ("agx-orin", "tot"), ("thor", "VIN")]
)
def test_jtop_and_the_sensors_agree(enter: Enter, board: str, total: str) -> None:
    room, tree = enter(board)
    power = Power(tree)
    words = room.inside(sys.executable, "-W", "error", "-c", SAMPLE, str(power.seconds))
    with subprocess.Popen(words, env=room.environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        power.start()
        told = json.loads(process.stdout.read())
    power.join()
    jtop = told["facts"]["jtop"]
    assert ([jtop["rails"][number] for number in jtop["total"]], jtop["policy"]) == ([total], "jtop_tot/1")
    assert jtop["version"] == VERSION
    assert [seen["failure"] for seen in told["seen"].values()] == ["", ""]
    assert told["seen"]["jtop"]["readings"] <= power.seconds + 2, "once a second, and at both edges"
    within = tuple(told["series"]["ina3221_time_s"][end] for end in (0, -1))
    ours, theirs = (joules(told, name, within) for name in ("ina3221", "jtop"))
    assert ours / (within[1] - within[0]) > 1.2 * tree.spec.total_w, "the power did move"
    assert theirs == pytest.approx(ours, rel=0.02)


def test_a_run_by_jtop_and_one_without_its_service(enter: Enter, bundle: Path, tmp_path: Path) -> None:
    room, _ = enter("orin-nx")

    def run(root: Path, *meters: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        environment = room.environment(EXPLORER_AGENT_ROOT=str(root))
        home, words = tmp_path / f"home-{root.name}", ("--plugin", "explorer_agent.testing", "--runtime", "fake")
        talk = Talk(sys.executable, bundle, home, *words, through=room.inside(), environment=environment)
        try:
            hello, _ = talk.hear()
            built = talk.build(talk.script(latency_s=0.001))
            plan = {"warmup_s": 0.01, "window_s": 0.1, "budget_s": 2.5, "windows_min": 25, "idle_s": 0.0}
            asked = {"engine": built["engine"], "deployment": FAKE, "plan": {**plan, "cooldown_s": 0.0}}
            return hello["capabilities"]["meters"], [measured(talk, asked, meter) for meter in meters]
        finally:
            talk.close()

    figures = {"idle_w": 5, "busy_core_w": 3}
    hello, (auto, jtop) = run(room.tree, {"name": "auto", **figures}, {"name": "jtop"})
    assert hello["jtop"]["available"]
    assert hello["jtop"]["rails"] == ["VDD_CPU_GPU_CV", "VDD_SOC", "VDD_IN"]
    assert (auto["meter"]["name"], auto["meter"]["passed_over"]) == ("ina3221", {})
    assert (jtop["meter"]["name"], jtop["meter"]["policy"]) == ("jtop", "jtop_tot/1")
    assert jtop["total_w"] == pytest.approx(auto["total_w"], rel=0.02)

    bare = tmp_path / "bare"
    bare.mkdir()
    _, (auto,) = run(bare, {"name": "auto", **figures})
    assert (auto["meter"]["name"], list(auto["meter"]["passed_over"])) == ("jtop", ["ina3221"])

    room.say("stop")
    hello, (auto, jtop) = run(bare, {"name": "auto", **figures}, {"name": "jtop"})
    assert "jtop's service does not run: sudo jtop --install-service" in hello["jtop"]["why_not"]
    assert auto["meter"]["name"] in ("rapl", "declared")
    assert "jtop's service does not run" in auto["meter"]["passed_over"]["jtop"]
    assert "the meter jtop cannot be used: jtop's service does not run" in jtop["text"]


def measured(talk: Talk, words: dict[str, Any], meter: dict[str, Any]) -> dict[str, Any]:
    """The header, and the mean watts of the total; or the refusal."""
    told, body = talk.ask("measure", **words, meter=meter)
    if told["type"] == "error" or told["estimated"]:
        return told
    ends = np.cumsum([one["count"] for one in told["series"]])
    series = dict(zip([one["name"] for one in told["series"]], np.split(np.frombuffer(body), ends), strict=False))
    rails = [series[f"meter_{rail}"] for rail in told["meter"]["total"]]
    return {**told, "total_w": float(np.sum(rails, axis=0).mean())}


def ask(room: Room, *before: str, then: str = "", **environment: str) -> list[str]:
    """What the meter says of itself, and what reading it ends with once the service has been told `then`."""
    words = room.inside(*before, sys.executable, "-W", "error", "-c", ASK)
    channels = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, env=room.environment(**environment), text=True, **channels) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = [process.stdout.readline().strip()]
        if then:
            room.say(then)
            process.stdin.write("\n")
            process.stdin.flush()
        return told + process.stdout.read().split("\n")[:-1]


def test_the_first_client_decides_how_often_the_service_reads(enter: Enter) -> None:
    room, _ = enter("orin-nx")
    first = (
        "import jtop, sys, time\nwith jtop.jtop(interval=0.5):\n    print('there', flush=True)\n    sys.stdin.read()"
    )
    second = "from explorer_agent.meters.jtop import Jtop\nmeter = Jtop({})\nassert not meter.available()\n"
    second += "print(meter.facts()['interval_s'])\nmeter.close()"
    pipe = subprocess.PIPE
    with subprocess.Popen(room.inside(room.python, "-c", first), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        asked = room.inside(sys.executable, "-W", "error", "-c", second)
        told = subprocess.run(asked, env=room.environment(), capture_output=True, text=True)
        process.communicate()
    assert (told.stdout, told.stderr) == ("0.5\n", "")


def test_what_goes_wrong_is_said_with_what_to_do(enter: Enter, tmp_path: Path) -> None:
    room, _ = enter("orin-nx")
    (installed,) = room.python.parents[1].glob("lib/python*/site-packages/jtop")
    for change, old, new, told in (
        ("version", f'__version__ = "{VERSION}"', '__version__ = "6.0.0"', "have different versions"),
        ("author", "__author__ = ", "__author__ = 'another' #", "not of the jetson-stats that"),
    ):
        package = tmp_path / change / "jtop"
        shutil.copytree(installed, package)
        code = (package / "__init__.py").read_text()
        assert old in code
        (package / "__init__.py").write_text(code.replace(old, new))
        assert told in ask(room, PYTHONPATH=str(package.parent))[0]
    subprocess.run(room.inside("chmod", "0", "/run/jtop.sock"), check=True)
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    assert "sudo usermod -aG jtop" in ask(room, *powerless)[0]


@pytest.mark.parametrize(
    ("then", "told"), [("stop", "went away"), ("kill", "went away"), ("halt", "nothing new for 4 s")]
)
def test_a_service_that_ends_or_hangs_midway_ends_the_series(enter: Enter, then: str, told: str) -> None:
    room, _ = enter("agx-orin")
    first, last = ask(room, then=then)
    assert (first, told in last) == ("available", True), last
