"""What of a hello the oracle takes, and what its tables add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fixtures import boards

from explorer.errors import BadInput
from explorer.oracle import MODULES, TARGETS, Target, refusals
from explorer.oracle.board import _RELEASES, module_of, parser_source, tensorrt_of, version
from explorer.oracle.sources import SOURCES
from explorer_agent import board, jetson

NAMES = {
    "nano": "nano",
    "tx2": "tx2",
    "xavier-nx": "xavier-nx",
    "agx-xavier": "agx-xavier",
    "orin-nano": "orin-nano",
    "orin-nx": "orin-nx-16",
    "agx-orin-jp5": "agx-orin-64",
    "agx-orin": "agx-orin-64",
    "thor": "thor",
}


def hello(folder: Path, name: str, **tensorrt: Any) -> dict[str, Any]:
    tree = boards.make(name, folder)
    return {**board.describe(tree.root), "runtimes": {"tensorrt": {"available": True, **tensorrt}}}


@pytest.mark.parametrize("name", boards.BOARDS)
def test_every_board_is_recognised_by_what_its_agent_says(name: str, tmp_path: Path) -> None:
    spec = boards.BOARDS[name]
    found = Target.of_capabilities(hello(tmp_path, name, version="10.3.0.30"))
    known = TARGETS[NAMES[name]]
    assert (found.module, found.soc, found.sm) == (known.module, known.soc, known.sm)
    assert (found.jetpack, found.l4t) == (spec.jetpack, spec.l4t)
    assert found.dla_cores == known.dla_cores
    assert (found.tensorrt, found.parser_opset) == ((10, 3, 0), 20)


def test_what_the_board_counts_comes_before_what_the_table_says(tmp_path: Path) -> None:
    told = Target.of_capabilities(hello(tmp_path, "agx-orin", version="10.3.0", dla_cores=0, sm=89, parser_opset=21))
    assert (told.dla_cores, told.dla_version, told.sm, told.parser_opset) == (0, 0, 89, 21)
    assert "dla-none" in {one.rule for one in refusals(told, None, {"precision": "fp16", "placement": "dla"})}


@pytest.mark.parametrize("nonsense", [True, -1, "2", None, 2.5, [2]])
def test_a_count_that_is_none_is_not_taken(tmp_path: Path, nonsense: object) -> None:
    told = Target.of_capabilities(hello(tmp_path, "agx-orin", version="10.3.0", dla_cores=nonsense))
    assert told.dla_cores == 2


def test_a_board_without_a_word_of_tensorrt_has_its_jetpacks(tmp_path: Path) -> None:
    told = Target.of_capabilities(hello(tmp_path, "orin-nx", version=""))
    assert told.tensorrt == tensorrt_of(told.jetpack) != ()


def test_of_a_machine_that_is_no_jetson_nothing_is_assumed() -> None:
    capabilities = {"machine": "x86_64", "runtimes": {"tensorrt": {"version": "10.9.0"}}}
    told = Target.of_capabilities(capabilities)
    assert (told.module, told.sm, told.dla_cores, told.jetpack) == ("", None, None, "")
    for precision in ("int8", "fp8", "bf16", "tf32"):
        assert refusals(told, None, {"precision": precision}) == ()
    assert Target.of_capabilities({"runtimes": {}}) == Target(source=told.source)


def test_an_orin_that_is_not_in_the_table_is_one_still() -> None:
    told = Target.of_capabilities({"module": "p3701-9999", "soc": "tegra234", "runtimes": {}})
    assert (told.module, told.sm, told.dla_cores, told.dla_version) == ("", 87, None, 2)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("p3448-0002", "nano"),
        ("p3489-0888", "tx2"),
        ("p3668-0001", "xavier-nx"),
        ("p3767-0003", "orin-nano"),
        ("p3767-0001", "orin-nx-8"),
        ("p3767-0000", "orin-nx-16"),
        ("p3701-0004", "agx-orin-32"),
        ("p3701-0005", "agx-orin-64"),
        ("p3834-0008", "thor"),
        ("p9999-0000", ""),
        ("", ""),
    ],
)
def test_modules_by_number(number: str, name: str) -> None:
    assert module_of(number) == name


def test_the_tables_agree_with_the_agents() -> None:
    for jetpack, release in _RELEASES.items():
        assert jetson.JETPACKS[release.l4t] == jetpack
        assert set(release.socs) <= set(jetson.SOCS)
        assert release.source in SOURCES
    told = set(jetson.JETPACKS.values()) - {"6.0 preview", "7.2 early access"}
    assert told == set(_RELEASES)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_all_its_facts(name: str) -> None:
    target = TARGETS[name]
    assert target.module == name
    assert target.sm
    assert target.tensorrt
    assert target.parser_opset
    assert target.source in SOURCES.values()
    assert (target.dla_version == 0) == (target.dla_cores == 0)
    assert name in str(target)


@pytest.mark.parametrize(
    ("jetpack", "tensorrt", "opset"),
    [("5.1.4", (8, 5, 2), 17), ("6.0", (8, 6, 2), 17), ("6.1", (10, 3, 0), 20), ("7.2", (10, 16, 2), 24)],
)
def test_another_jetpack_is_another_tensorrt(jetpack: str, tensorrt: tuple[int, ...], opset: int) -> None:
    moved = TARGETS["agx-orin-64"].with_jetpack(jetpack)
    assert (moved.jetpack, moved.tensorrt, moved.parser_opset) == (jetpack, tensorrt, opset)
    assert moved.dla_cores == 2


@pytest.mark.parametrize(
    ("module", "jetpack"), [("agx-xavier", "6.2"), ("thor", "6.2"), ("nano", "5.1"), ("thor", "9")]
)
def test_a_jetpack_that_a_board_never_had(module: str, jetpack: str) -> None:
    with pytest.raises(BadInput, match=f"no such JetPack for {module}(.|\n)*seen: {jetpack}(.|\n)*allowed:"):
        TARGETS[module].with_jetpack(jetpack)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("10.3.0.30", (10, 3, 0)), ("8.5.2.2+cuda11.4", (8, 5, 2)), ("11.4", (11, 4)), ("", ()), ("unknown", ())],
)
def test_versions(text: str, parsed: tuple[int, ...]) -> None:
    assert version(text) == parsed


def test_a_release_without_a_document_is_not_held_to_a_limit() -> None:
    thor = TARGETS["thor"]
    assert (thor.parser_opset, thor.opset_limit) == (20, 24)
    assert TARGETS["agx-orin-64"].opset_limit == 20
    assert Target().opset_limit is None
    assert parser_source(()) in SOURCES.values()
