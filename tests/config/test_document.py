"""YAML with lines: YAML 1.2 scalars, doubled keys, syntax errors, endless aliases."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.config.document import dotted, read
from explorer.errors import BadInput


def data_of(tmp_path: Path, text: str) -> object:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path).data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("15W", "15W"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("False", False),
        ("1e-3", 0.001),
        ("1.5E+2", 150.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("-7", -7),
        ("010", 10),
        (".nan", ".nan"),
        ("", None),
        ("~", None),
        ("'1'", "1"),
        ("!!str 15", "15"),
        ("ssh://me@board", "ssh://me@board"),
    ],
)
def test_scalars_are_what_a_person_means(tmp_path: Path, text: str, value: object) -> None:
    found = data_of(tmp_path, f"key: {text}")
    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


def test_keys_stay_words(tmp_path: Path) -> None:
    assert data_of(tmp_path, "on: 1\n2: x\ntrue: y") == {"on": 1, "2": "x", "true": "y"}


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("# a comment\na:\n  b: [1,\n      2]\n  c:\n    - {d: 1}\n    - {d: 2}\n")
    document = read(path)
    assert document.line(("a", "b", 1)) == 4
    assert document.line(("a", "c", 1, "d")) == 7
    assert document.line(("a", "absent")) == 2
    assert document.line(("absent",)) == 2


def test_a_key_twice_names_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("space:\n  batch: [1]\n  batch: [2]\n")
    (problem,) = read(path).problems
    assert (problem.line, problem.path) == (3, "space.batch")
    assert "line 2" in problem.hint


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a:\n\t- 1\n", 2, "spaces, not tabs"),
        ("a: b: c\n", 1, "quote such words"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML"),
        ("a: *nothing\n", 1, "not valid YAML"),
        ("a: &x [*x]\n", 1, "endless"),
        ("- a\n- b\n", None, "a list"),
        ("", None, "nothing"),
        ("just words", None, "just words"),
    ],
)
def test_what_is_no_space_file_is_told_with_its_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        data_of(tmp_path, text)
    (problem,) = caught.value.problems
    assert problem.line == line
    assert words in str(problem)


def test_aliases_cannot_make_a_small_file_enormous(tmp_path: Path) -> None:
    lines = ["l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(BadInput, match="endless"):
        data_of(tmp_path, "\n".join(lines))


def test_tags_and_odd_keys_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("a: !python/name:os.system x\n[1, 2]: b\n")
    first, second = read(path).problems
    assert "tags" in first.what
    assert "one word" in second.what


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: \xff\xfe")
    with pytest.raises(BadInput, match="UTF-8"):
        read(binary)
    with pytest.raises(BadInput, match="cannot read"):
        read(tmp_path)


def test_dotted_paths() -> None:
    assert dotted(("space", "precision", 2)) == "space.precision[2]"
    assert dotted(("rules", 0, "when")) == "rules[0].when"
    assert dotted(()) == ""
