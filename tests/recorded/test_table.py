"""Tables as they lie on the disk: what a cell is, and what is wrong with a file, told with its line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from explorer.errors import BadInput
from explorer.recorded import read_table


def table(folder: Path, text: str, name: str = "t.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_column_is_numbers_or_words(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, "\ufeffbatch;mode;ms;how\n1.0;15W;2.5;none\n\n4;30W;nan;fast\n"))
    assert found.lines == (2, 4)
    assert found.numeric == ["batch", "ms"]
    assert found.values("batch") == [1, 4]
    assert found.values("mode") == ["15W", "30W"]
    assert found.values("how") == ["none", "fast"]
    assert found.numbers("ms") == [2.5, None]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "no rows"),
        ("a,b\n", None, "no rows"),
        ("a,b\n1,2\n1,2,3\n", 3, "another length"),
        ("a,a\n1,2\n", 1, "same name"),
        ('a,b\n"1,2\n', None, "comma-separated"),
    ],
)
def test_what_is_no_table_is_told_with_its_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    with pytest.raises(BadInput, match=words) as told:
        read_table(table(tmp_path, text))
    problem = told.value.problems[0]
    assert problem.file == tmp_path / "t.csv"
    assert line is None or problem.line == line


def test_the_index_that_another_program_has_written_is_no_column(tmp_path: Path) -> None:
    assert list(read_table(table(tmp_path, ",a\n0,1\n1,2\n")).columns) == ["a"]


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"batch": [1, 4], "mode": ["15W", "30W"], "ms": [2.5, None], "graph": [True, False]}
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet")
    assert found.values("batch") == [1, 4]
    assert found.values("graph") == ["true", "false"]
    assert found.numbers("ms") == [2.5, None]


def test_without_its_reader_parquet_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"pip install 'explorer\[parquet\]'"):
        read_table(table(tmp_path, "", "t.parquet"))
