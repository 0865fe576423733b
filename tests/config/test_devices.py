"""Devices in a space file: by address, by file, as a group or a list; and every way to get them wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.config import Experiment, load, override
from explorer.errors import BadInput, Problem
from explorer.transports.specs import SIMULATED
from explorer_agent.virtual.boards import BOARDS

Read = Callable[[str], Experiment]
Problems = Callable[[str], list[Problem]]

HEAD = "model: small.onnx\nspace: {batch: [1, 4]}\nobjectives: {throughput_ips: max}\n"
BOARD = "transport: ssh\naddress: ssh://me@board\n"


def lay(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ("local", ("local:",)),
        ("'local:'", ("local:",)),
        ("ssh://board", ("ssh://board",)),
        ("ssh://nvidia@orin-1.local:2222", ("ssh://nvidia@orin-1.local:2222",)),
        ("'ssh://me@[fe80::1%eth0]:22'", ("ssh://me@[fe80::1%eth0]:22",)),
        ("'sim:thor'", ("sim:thor",)),
        ("['local:', ssh://a, 'ssh://b@a']", ("local:", "ssh://a", "ssh://b@a")),
    ],
)
def test_devices_by_name_and_by_address(read: Read, device: str, found: tuple[str, ...]) -> None:
    assert read(f"{HEAD}device: {device}\n").devices == found


def test_a_file_goes_by_its_path_from_the_space_file(read: Read, tmp_path: Path) -> None:
    lay(tmp_path, "boards/left.yaml", BOARD)
    assert read(HEAD + "device: boards/left.yaml\n").devices == ("boards/left.yaml",)
    assert read(HEAD + f"device: {tmp_path}/boards/left.yaml\n").devices == ("boards/left.yaml",)


def test_a_group_is_its_members_and_may_hold_groups(read: Read, tmp_path: Path) -> None:
    lay(tmp_path, "boards/left.yaml", BOARD)
    lay(tmp_path, "boards/pair.yaml", "group: [left.yaml, ssh://right]\n")
    lay(tmp_path, "all.yaml", "summary: everything\ngroup: [boards/pair.yaml, 'local:']\n")
    assert read(HEAD + "device: all.yaml\n").devices == ("boards/left.yaml", "ssh://right", "local:")


def test_the_command_line_names_files_from_where_it_is_typed(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, "boards/left.yaml", BOARD)
    experiment = read(HEAD)
    monkeypatch.chdir(tmp_path / "boards")
    assert override(experiment, devices=("left.yaml", "ssh://right")).devices == ("boards/left.yaml", "ssh://right")


def test_the_examples_that_are_shipped_load(root: Path, read: Read) -> None:
    examples = root / "agents" / "devices" / "examples"
    assert len(read(f"{HEAD}device: {examples}/orins.yaml\n").devices) == 2
    assert read(f"{HEAD}device: {examples}/orin.yaml\n").devices == (str(examples / "orin.yaml"),)


def test_options_that_only_say_how_a_board_is_reached_are_no_part_of_the_experiment(read: Read) -> None:
    plain = read(HEAD).identity()
    waiting = "device_options: {patience_s: 5, wait_s: 1, home: /x, python: python3.9, cache_gb: 2}\n"
    assert read(HEAD + "device: ssh://elsewhere\n" + waiting).identity() == plain
    assert read(HEAD + "device_options: {clocks: lock}\n").identity() != plain


def test_a_runtime_of_ones_own_comes_with_a_plug_in(read: Read, tmp_path: Path, problems: Problems) -> None:
    (found,) = problems(HEAD + "runtime: mine\n")
    assert "device_options: {plugins: [...]}" in str(found)
    assert read(HEAD + "runtime: mine\ndevice_options: {plugins: [mine.py]}\n").space.fixed["runtime"] == "mine"
    lay(tmp_path, "left.yaml", BOARD + "plugins: [mine.py]\n")
    assert read(HEAD + "runtime: mine\ndevice: left.yaml\n").space.fixed["runtime"] == "mine"
    (found,) = problems(HEAD + "runtime: mine\nprecision: int8\ndevice: left.yaml\n")
    assert "no recipe for int8 is known for the runtime mine" in str(found)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("transport: ssh\n", 1, "address do not fit together"),
        ("transport: local\naddress: ssh://x\n", 1, "do not fit together"),
        ("transport: shh\naddress: ssh://x\n", 1, "did you mean 'ssh'"),
        ("address: ssh://x\n", 1, "this key is missing"),
        ("transport: ssh\naddress: ssh://me:secret@x\n", 2, "holds no password"),
        (BOARD + "patience: 3\n", 3, "did you mean 'patience_s'"),
        (BOARD + "meter: {nam: auto}\n", 3, "did you mean 'name'"),
        ("- ssh://x\n", None, "keys and values"),
        ("transport: [\n", None, "not valid YAML"),
        ("group: ssh://x\n", None, "a group is a list of boards"),
        ("group: []\n", None, "a group is a list of boards"),
        ("group:\n  - ssh://a\n  - lokal\n", 3, "did you mean 'local:'"),
        ("group:\n  - ssh://a:b@c\n", 2, "holds no password"),
        ("group: [board.yaml]\n", None, "a group cannot hold itself"),
        ("group: [ssh://a]\npatience_s: 3\n", None, "unknown key in a group"),
    ],
)
def test_each_mistake_in_a_boards_file_is_told_with_that_file(
    problems: Problems, tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    lay(tmp_path, "board.yaml", text)
    (found,) = problems(HEAD + "device: board.yaml\n")
    assert found.file == tmp_path / "board.yaml"
    assert line is None or found.line == line
    assert words in str(found)


def test_a_board_that_comes_twice_through_a_group_is_refused(problems: Problems, tmp_path: Path) -> None:
    lay(tmp_path, "pair.yaml", "group: [ssh://a, ssh://b]\n")
    (found,) = problems(HEAD + "device: [pair.yaml, ssh://b]\n")
    assert (found.path, found.line) == ("device[1]", 4)
    assert "the same board twice" in str(found)


def test_a_password_is_not_shown_again(problems: Problems) -> None:
    (found,) = problems(HEAD + "device: ssh://me:secret@board\n")
    assert "secret" not in str(found)
    assert "password_env" in str(found)


def test_a_mistake_on_the_command_line_names_the_option(read: Read, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        override(load(Path(read(HEAD).path)), devices=("ssh://ok", "sim:orin"))
    (found,) = caught.value.problems
    assert found.path == "--device[1]"
    assert "no such virtual board" in str(found)


def test_the_virtual_boards_are_those_of_the_agent() -> None:
    assert set(SIMULATED) == set(BOARDS)


def test_a_virtual_board_stands_in_for_the_real_ones(read: Read) -> None:
    """The study has another name, and nothing of how the real board is reached."""
    options = "device_options: {python: python3.10, clocks: lock, identity_file: key, reboot: never, seed: 3}\n"
    real = read(HEAD + "study: mine\ndevice: ssh://orin\nsimulate: agx-orin-64\n" + options)
    assert not real.simulate
    virtual = override(real, simulate=True)
    assert (virtual.study, virtual.devices, virtual.simulate) == ("mine-simulated", ("sim:agx-orin-64",), True)
    assert virtual.device_options == {"clocks": "lock", "reboot": "never", "seed": 3}
    assert virtual.identity()["simulate"] is True
    assert override(virtual, simulate=True) == virtual


def test_a_study_on_a_virtual_board_is_simulated_whoever_says_so(read: Read) -> None:
    by_file = read(HEAD + "device: 'sim:nano'\n")
    assert by_file.simulate
    assert override(by_file, simulate=True).study == by_file.study
    assert override(read(HEAD), devices=("sim:nano",)).simulate


def test_who_names_no_virtual_board_is_told_how(read: Read) -> None:
    with pytest.raises(BadInput, match=r"--device sim:NAME.*agx-orin-64"):
        override(read(HEAD), simulate=True)


def test_engines_may_be_built_on_a_board_that_measures_nothing(
    read: Read, problems: Problems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, "boards/left.yaml", BOARD)
    assert read(HEAD).build_on == ""
    real = read(HEAD + "device: ssh://orin\nsimulate: nano\nbuild_on: boards/left.yaml\n")
    assert real.build_on == "boards/left.yaml"
    assert real.identity() == read(HEAD + "device: ssh://orin\nsimulate: nano\n").identity()  # an equal board
    assert override(real, simulate=True).build_on == ""
    (twin,) = problems(HEAD + "device: [ssh://a, ssh://b]\nbuild_on: ssh://b\n")
    assert (twin.what, twin.line, twin.seen) == ("the same board builds and measures", 5, "ssh://b")
    with pytest.raises(BadInput, match="the same board builds and measures") as typed:
        override(real, devices=("boards/left.yaml",))
    assert [(problem.path, problem.file) for problem in typed.value.problems] == [("--device", None)]
    assert override(real, devices=("boards/left.yaml",), simulate=True).build_on == ""
    lay(tmp_path, "pair.yaml", "group: [ssh://a, ssh://b]\n")
    (many,) = problems(HEAD + "build_on: pair.yaml\n")
    assert (many.what, many.line) == ("engines are built on one board", 4)
    (unknown,) = problems(HEAD + "build_on: nobody\n")
    assert (unknown.line, unknown.path) == (4, "build_on")
