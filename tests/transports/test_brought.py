"""Runtimes and meters of the user's own: found beside the space file, sent in the bundle, used, and told by sha256."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from agent.talk import interpreter

from explorer.device import connect
from explorer.errors import BadInput, NoDevice
from explorer.statistics import derive
from explorer.transports.brought import ROOM_BYTES, bring
from explorer.transports.bundle import bundle_bytes, write_bundle

METER = """
import time

class Candle:
    name = "candle"
    quantity = "J"

    def __init__(self, wanted):
        self._start = time.perf_counter()

    def available(self):
        return ""

    def rails(self):
        return ["flame"]

    def read(self):
        return [(time.perf_counter() - self._start) * 3.0]

    def facts(self):
        return {"estimated": False, "total": "flame"}

METERS = {"candle": Candle}
"""
RUNTIME = """
from explorer_agent.testing import FakeRuntime
from slowpoke.version import VERSION

class Slowpoke(FakeRuntime):
    def describe(self):
        return dict(super().describe(), version=VERSION)

RUNTIMES = {"slowpoke": Slowpoke()}
"""
PLAN = {"warmup_s": 0.02, "window_s": 0.02, "windows_min": 3, "budget_s": 0.3, "relative_interval": 0.5}
DEPLOYMENT = {"runtime": "slowpoke", "batch": 1, "threads": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What lies beside a space file: a meter in a file, a runtime in a package, and what editors leave about."""
    place = tmp_path / "the user's\nspaces"
    package = place / "slowpoke"
    package.mkdir(parents=True)
    (place / "candle.py").write_text(METER)
    (package / "__init__.py").write_text(RUNTIME)
    (package / "version.py").write_text('VERSION = "snail 1"\n')
    (package / "table.csv").write_bytes(b"kept, \r\n as, it is\r\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "version.cpython-311.pyc").write_bytes(b"old")
    (package / ".version.py.swp").write_bytes(b"an editor's")
    return place


def test_a_meter_and_a_runtime_of_the_users_own_measure_on_the_board(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.json"
    source.write_text(json.dumps({"latency_s": 0.002}))
    options = {"plugins": ["candle", "slowpoke/"], "runtimes": ["slowpoke"], "meter": {"name": "candle"}}
    with connect("local:", cache=tmp_path / "cache", options=options, search=folder) as device:
        built = device.build(source, DEPLOYMENT)
        metrics, estimated, _ = derive(device.measure(built, DEPLOYMENT, {**PLAN, "idle_s": 0.1}), 1)
        told = device.capabilities["plugins"]
    assert metrics["power_w"].value == pytest.approx(3.0, rel=0.05)
    assert not estimated
    assert device.capabilities["runtimes"]["slowpoke"]["version"] == "snail 1"
    assert {name: facts["from"] for name, facts in told.items()} == {"candle": "bundle", "slowpoke": "bundle"}
    assert (told["candle"]["meters"], told["slowpoke"]["runtimes"]) == (["candle"], ["slowpoke"])
    expected = bundle_bytes(brought=bring(["candle", "slowpoke"], folders=[folder]))
    assert device.agent_sha == hashlib.sha256(expected).hexdigest(), "one sha256 covers all code that measured"


def test_engines_of_other_code_are_not_taken_for_its_own(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.json"
    source.write_text("{}")
    seen = []
    for comment in ("", "", "# changed\n"):
        with (folder / "slowpoke" / "version.py").open("a") as file:
            file.write(comment)
        options = {"plugins": ["slowpoke"], "runtimes": ["slowpoke"]}
        with connect("local:", cache=tmp_path / "cache", options=options, search=folder) as device:
            seen.append((device.build(source, DEPLOYMENT).cached, device.agent_sha))
    assert [cached for cached, _ in seen] == [False, True, False]
    assert seen[0][1] == seen[1][1] != seen[2][1]


def test_what_is_not_here_is_the_boards_own_and_says_so(tmp_path: Path) -> None:
    options = {"plugins": ["explorer_agent.testing", "json.tool"], "runtimes": ["fake"]}
    with connect("local:", cache=tmp_path, options=options, search=tmp_path) as device:
        told = device.capabilities["plugins"]
    assert {name: facts["from"] for name, facts in told.items()} == {
        "explorer_agent.testing": "bundle",
        "json.tool": "board",
    }
    assert len(told["json.tool"]["sha256"]) == 64


def test_only_what_belongs_to_the_modules_goes_along_and_unchanged(folder: Path) -> None:
    brought = bring([str(folder / "slowpoke"), "candle.py"], folders=[folder])
    assert brought.names == ("slowpoke", "candle")
    assert sorted(brought.files) == ["candle.py", "slowpoke/__init__.py", "slowpoke/table.csv", "slowpoke/version.py"]
    assert brought.files["slowpoke/table.csv"] == b"kept, \r\n as, it is\r\n"
    with zipfile.ZipFile(BytesIO(bundle_bytes(brought=brought))) as archive:
        assert set(brought.files) < set(archive.namelist())


def test_a_part_of_a_package_brings_all_of_it(folder: Path) -> None:
    brought = bring(["slowpoke.version"], folders=[folder / "elsewhere", folder])
    assert brought.names == ("slowpoke.version",)
    assert "slowpoke/__init__.py" in brought.files


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_equal_code_has_equal_bytes_wherever_and_by_whomever_it_is_made(
    folder: Path, tmp_path: Path, root: Path, version: str
) -> None:
    """Another umask, folder, time zone, language, time of the files, hash seed and Python."""
    other = interpreter(version)
    if not other:
        pytest.skip(f"no Python {version} on this machine")
    expected = bundle_bytes(brought=bring(["candle", "slowpoke"], folders=[folder]))
    for file in folder.rglob("*"):
        os.utime(file, (1e9, 1e9))
        file.chmod(file.stat().st_mode | 0o111)
    code = """import os, sys; os.umask(0o077)
from pathlib import Path
from explorer.transports.brought import bring
from explorer.transports.bundle import bundle_bytes
sys.stdout.buffer.write(bundle_bytes(brought=bring(["slowpoke", "candle"], folders=[Path(sys.argv[1])])))"""
    environment = {
        "PYTHONPATH": f"{root}:{root / 'agents'}",
        **{"TZ": "Pacific/Chatham", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "5", "HOME": str(tmp_path)},
    }
    made = subprocess.run(
        [other, "-c", code, str(folder)], env=environment, cwd=tmp_path, check=True, stdout=subprocess.PIPE, timeout=60
    )
    assert hashlib.sha256(made.stdout).hexdigest() == hashlib.sha256(expected).hexdigest()


def test_one_byte_makes_another_sha256(folder: Path) -> None:
    before = bundle_bytes(brought=bring(["candle"], folders=[folder]))
    (folder / "candle.py").write_text(METER.replace("3.0", "3.1"))
    assert bundle_bytes(brought=bring(["candle"], folders=[folder])) != before


def test_our_own_code_stays_small() -> None:
    assert len(bundle_bytes()) <= 200_000
    assert len(bundle_bytes(virtual=True)) <= 200_000


def test_virtual_boards_go_along_only_for_who_asks() -> None:
    names = [zipfile.ZipFile(BytesIO(bundle_bytes(virtual=asked))).namelist() for asked in (False, True)]
    only = sorted(set(names[1]) - set(names[0]))
    assert "explorer_agent/virtual/plugin.py" in only
    assert all(name.startswith("explorer_agent/virtual/") for name in only)
    assert set(names[0]) < set(names[1])


@pytest.mark.parametrize(
    ("files", "plugin", "words"),
    [
        ({"json.py": ""}, "json", r"(?s)Python's own library has a module named json.*rename .*json\.py"),
        ({"imp.py": ""}, "imp", "Python's own library"),
        ({"numpy/__init__.py": ""}, "numpy", "the agent or its runtimes need a module named numpy"),
        ({"explorer_agent/__init__.py": ""}, "explorer_agent", "the agent or its runtimes need"),
        ({"my-meter.py": ""}, "my-meter.py", "not a name that Python can import"),
        ({"my.pack/__init__.py": ""}, "./my.pack", "not a name that Python can import"),
        ({}, "class", "not a name that Python can import"),
        ({}, "../../etc/passwd", "(?s)no such module.*looked for"),
        ({}, "gone.py", "(?s)no such module.*gone.py"),
        ({}, "--home", "not a name"),
        ({}, "a\nb", "not a name"),
        ({"pack/__init__.py": ""}, "pack.meter", "holds no such module"),
        ({"pack.py": ""}, "pack.meter", "(?s)is a module, not a package.*name it pack"),
        ({"pack/meter.py": ""}, "pack.meter", "needs an __init__.py"),
        ({"pack/__init__.py": "", "pack/fast.so": "\x7fELF"}, "pack", "(?s)compiled code.*install the package"),
        ({"pack/__init__.py": "", "pack/data.bin": "0" * (ROOM_BYTES + 1)}, "pack", "(?s)too large.*2048 kB"),
        ({"p/__init__.py": "", **{f"p/{n}": "0" * (1 << 20) for n in range(3)}}, "p", "(?s)too large.*3072 kB in 4"),
    ],
)
def test_what_cannot_go_along_is_refused_in_words(
    tmp_path: Path, files: dict[str, str], plugin: str, words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=words):
        bring([plugin], folders=[tmp_path])


def test_two_modules_of_one_name_are_one_too_many(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "meter.py").write_text("")
    with pytest.raises(BadInput, match="(?s)two plug-ins of one name.*rename one"):
        bring(["one/meter.py", "two/meter.py"], folders=[tmp_path])


@pytest.mark.parametrize("plugins", ["meter", [3], [""], [["meter"]]])
def test_the_list_is_a_list_of_names(plugins: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="list of module names"):
        bring(plugins, folders=[tmp_path])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("METERS = {}\n\nif True print(1)\n", r"syntax\.py, line 3: .*\n?.*Python 3\."),
        ("\nimport helper_of_mine\n", "No module named 'helper_of_mine'.*beside the space file"),
        ("\n\n1 / 0\n", r"ZeroDivisionError: division by zero \(.*syntax\.py, line 3\)"),
        ("raise SystemExit(4)", "SystemExit: 4"),
        ("METERS = ['candle']", "meters must be a dict, not list"),
        ("from explorer_agent.testing import FakeRuntime\nRUNTIMES = {'openvino': FakeRuntime()}", "there is one alr"),
    ],
)
def test_a_module_that_does_not_import_is_said_at_once_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "syntax.py").write_text(text)
    with pytest.raises(NoDevice, match=words):
        connect("local:", cache=tmp_path / "c", options={"plugins": ["syntax"]}, search=tmp_path)


def test_syntax_too_new_for_the_boards_python_names_file_and_line(tmp_path: Path) -> None:
    old = interpreter("3.8")
    if not old:
        pytest.skip("no Python 3.8 on this machine")
    (tmp_path / "modern.py").write_text("METERS = {}\nmatch METERS:\n    case _: pass\n")
    with pytest.raises(NoDevice, match=r"(?s)modern\.py, line 2: invalid syntax \(match METERS:\).*Python 3\.8"):
        connect("local:", cache=tmp_path / "c", options={"plugins": ["modern"], "python": old}, search=tmp_path)


def test_the_file_written_by_hand_is_the_one_that_would_be_sent(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    out = tmp_path / "agent with a space.pyz"
    words = write_bundle(out, plugins=["candle"])
    assert "not here" not in words
    assert "wax is not here: it has to be installed on the board" in write_bundle(tmp_path / "b", plugins=["wax"])
    assert out.read_bytes() == bundle_bytes(brought=bring(["candle"], folders=[folder]))
    assert "'agent with a space.pyz' serve --plugin candle" in words
    help_ = subprocess.run([sys.executable, "-I", str(out), "serve", "--help"], check=True, capture_output=True)
    assert b"--plugin" in help_.stdout
    with pytest.raises(BadInput, match="cannot write the agent's file"):
        write_bundle(tmp_path / "nowhere" / "agent.pyz")
