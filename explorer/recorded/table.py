"""A table as it lies on the disk: CSV, or Parquet where its reader is installed; all cells as text.

A cell without anything in it holds nothing. In a column of numbers nan, na, n/a, null and none hold nothing, too; in a
column of words they are words.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.artifacts import sha256_of
from explorer.errors import BadInput, Problem
from explorer.space import Value

NOTHING = frozenset({"", "nan", "na", "n/a", "null", "none"})
DELIMITERS = ",;\t"
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, eq=False)
class Table:
    """A file's columns.

    Attributes:
        sha256: of the file.
        columns: name → its cells, from the first row to the last.
        lines: of the file in which each row stands; of a Parquet file the row's number, from 1.
    """

    file: Path
    sha256: str
    columns: Mapping[str, tuple[str, ...]] = field(repr=False)
    lines: tuple[int, ...] = field(repr=False)

    @property
    def numeric(self) -> list[str]:
        """The columns of numbers."""
        return [name for name in self.columns if self.is_numeric(name)]

    def is_numeric(self, name: str) -> bool:
        """Whether all that a column holds are numbers, and there is one."""
        held = [cell for cell in self.columns[name] if _number(cell) is not None or cell.casefold() not in NOTHING]
        return bool(held) and all(_number(cell) is not None for cell in held)

    def numbers(self, name: str) -> list[float | None]:
        """A column's numbers, None where a cell holds nothing.

        Raises:
            BadInput: a cell holds something else.
        """
        return [self._number(name, row) for row in range(len(self.lines))]

    def values(self, name: str) -> list[Value]:
        """A column as the values of an axis: numbers, whole ones where all of them are whole; else words.

        Raises:
            BadInput: a cell is empty.
        """
        cells = self.columns[name]
        if "" in cells:
            row = cells.index("")
            hint = "give the row a value, or leave the column out of the space"
            raise BadInput(self.problem("a row without a value on an axis", name, row, hint=hint))
        numbers = [found for cell in cells if (found := _number(cell)) is not None]
        if len(numbers) < len(cells):
            return list(cells)
        return [int(n) for n in numbers] if all(n.is_integer() for n in numbers) else list(numbers)

    def problem(self, what: str, name: str, row: int, *, allowed: str = "", hint: str = "") -> Problem:
        """What is wrong with one cell."""
        seen = self.columns[name][row] or "an empty cell"
        return Problem(what, self.file, self.lines[row], name, seen, allowed, hint)

    def _number(self, name: str, row: int) -> float | None:
        cell = self.columns[name][row]
        found = _number(cell)
        if found is None and cell.casefold() not in NOTHING:
            allowed = "a finite number, or an empty cell for a candidate that turned out impossible"
            raise BadInput(self.problem("not a number", name, row, allowed=allowed))
        return found


def read_table(file: Path) -> Table:
    """Read a table.

    Raises:
        BadInput: it cannot be read, is not one, or has no rows.
    """
    if file.suffix not in SUFFIXES:
        what = "a recorded table is a file of another kind"
        raise BadInput(Problem(what, file, seen=file.suffix or "no suffix", allowed=" or ".join(SUFFIXES)))
    columns, lines = _of_csv(file) if file.suffix == ".csv" else _of_parquet(file)
    if not lines:
        raise BadInput(Problem("the table has no rows", file, seen=", ".join(columns) or "an empty file"))
    return Table(file, sha256_of(file), columns, tuple(lines))


def _of_csv(file: Path) -> tuple[dict[str, tuple[str, ...]], list[int]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as content:
            first = content.readline()
            content.seek(0)
            reader = csv.reader(content, delimiter=max(DELIMITERS, key=first.count), strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except UnicodeDecodeError as error:
        raise BadInput(Problem("not a text file in UTF-8", file, seen=f"byte {error.start}: {error.reason}")) from error
    except csv.Error as error:
        what = "not a table of comma-separated values"
        raise BadInput(Problem(what, file, reader.line_num, seen=str(error))) from error
    except OSError as error:
        raise BadInput(Problem("cannot read the table", file, seen=error.strerror or str(error))) from error
    if not rows:
        return {}, []
    (line, names), *rest = rows
    _check_shape(file, line, names, rest)
    cells = zip(*(row for _, row in rest), strict=True) if rest else ((),) * len(names)
    return {name: column for name, column in zip(names, cells, strict=True) if name}, [line for line, _ in rest]


def _check_shape(file: Path, line: int, names: list[str], rows: list[tuple[int, list[str]]]) -> None:
    """An index that somebody's program has written has no name: it is passed over."""
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(Problem("two columns of the same name", file, line, seen=twice))
    for at, row in rows:
        if len(row) != len(names):
            seen, allowed = f"{len(row)} cells", f"{len(names)}, as in the first line"
            raise BadInput(Problem("a row of another length", file, at, seen=seen, allowed=allowed))


def _of_parquet(file: Path) -> tuple[dict[str, tuple[str, ...]], list[int]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        hint = "pip install 'explorer[parquet]', or write the table as .csv"
        raise BadInput(Problem("reading .parquet needs pyarrow, which is not installed", file, hint=hint)) from error
    try:
        table = parquet.read_table(file)
    except (ArrowException, OSError) as error:
        raise BadInput(Problem("not a Parquet file", file, seen=str(error).splitlines()[0])) from error
    columns = {name: tuple(map(_text, table.column(name).to_pylist())) for name in table.column_names}
    return columns, list(range(1, table.num_rows + 1))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _number(cell: str) -> float | None:
    """The finite number a cell holds."""
    try:
        found = float(cell)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
