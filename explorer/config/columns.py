"""The space of a recorded table: its axes are columns, and its points the combinations that the table holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from explorer.config.axes import NotAValue
from explorer.config.document import Document
from explorer.config.rules import check_rule_shapes, read_rules
from explorer.config.shape import shown
from explorer.config.space_section import free_axes, has_candidates
from explorer.errors import BadInput
from explorer.recorded import Table
from explorer.registry import nearest
from explorer.space import Axis, Params, Space, Value

SHOWN = 12  # values of a column that a message lists


@dataclass(frozen=True)
class Column:
    """The values that a table's column holds, as those of an axis."""

    name: str
    values: tuple[Value, ...]
    open: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(map(str, self.values))

    @property
    def allowed(self) -> str:
        """What is there, in words."""
        more = f" and {len(self.values) - SHOWN} more" if len(self.values) > SHOWN else ""
        return ", ".join(self.words[:SHOWN]) + more

    def read(self, value: Any, *, own: bool = False) -> Value:
        """`value` as the column holds it; a word there may look like a number or a truth value in the file.

        Raises:
            NotAValue: no row has it.
        """
        for held in self.values:
            if held == value and not isinstance(value, bool):
                return held
            if isinstance(held, str) and held.casefold() == str(value).casefold() and not isinstance(value, str):
                return held
        raise NotAValue(f"no row of the table has this {self.name}", allowed=self.allowed)


def read_points(document: Document, table: Table) -> tuple[Space | None, tuple[Params, ...]]:
    """The space of a recorded table and the place of each row in it, one for each row; None with every reason noted."""
    told = len(document.problems)
    columns = _columns(document, table)
    _spell_out(document, columns)
    axes = free_axes(document, columns) if len(document.problems) == told else None
    if axes is None:
        check_rule_shapes(document)
        return None, ()
    places = _places(axes, table)
    rules = read_rules(document, {axis.name: axis.values for axis in axes})
    space = Space(tuple(axes), tuple(rule for _, rule in rules), listed=_in_order(axes, places))
    if not space.listed:
        seen = " × ".join(f"{len(axis.values)} {axis.name}" for axis in axes)
        hint = "its rows hold each of these values, but not together"
        document.complain("no row of the table has such a combination", ("space",), seen=seen, hint=hint)
        return None, places
    return (space if has_candidates(document, space, rules) else None), places


def _columns(document: Document, table: Table) -> dict[str, Column]:
    """Each column as an axis; only of those that the space names it matters whether they can be one."""
    given = document.data.get("space")
    named = list(map(str, given)) if isinstance(given, (list, dict)) else []
    found: dict[str, Column] = {}
    for name in table.columns:
        try:
            values = table.values(name) if name in named else []
        except BadInput as error:
            document.problems += error.problems
            values = []
        found[name] = Column(name, _distinct(values))
    return found


def _distinct(values: Sequence[Value]) -> tuple[Value, ...]:
    """Numbers by size, words as they come."""
    seen = list(dict.fromkeys(values))
    return tuple(seen) if any(isinstance(value, str) for value in seen) else tuple(sorted(seen, key=float))


def _spell_out(document: Document, columns: Mapping[str, Column]) -> None:
    """A list of columns, and an axis without values, stand for all that the table holds."""
    given = document.data.get("space")
    if isinstance(given, list):
        for index, name in enumerate(given):
            document.lines[("space", str(name))] = document.line(("space", index)) or 1
        for name in [name for index, name in enumerate(given) if name in given[:index]]:
            document.complain("a column is here twice", ("space",), seen=shown(name), hint="keep one")
        given = dict.fromkeys(map(str, given))
    if isinstance(given, dict):
        whole = {name: list(columns[name].values) for name in given if given[name] is None and name in columns}
        document.data["space"] = {**given, **whole}


def _places(axes: Sequence[Axis], table: Table) -> tuple[Params, ...]:
    """Each row's values on the axes."""
    cells = [table.values(axis.name) for axis in axes]
    names = [axis.name for axis in axes]
    return tuple(dict(zip(names, values, strict=True)) for values in zip(*cells, strict=True))


def _in_order(axes: Sequence[Axis], places: Sequence[Params]) -> tuple[Params, ...]:
    """The points that rows stand for and the axes hold, each once, the last axis varying fastest."""
    levels = {axis.name: {value: level for level, value in enumerate(axis.values)} for axis in axes}
    ranked = {
        tuple(levels[name][value] for name, value in place.items()): place
        for place in reversed(places)
        if all(value in levels[name] for name, value in place.items())
    }
    return tuple(ranked[rank] for rank in sorted(ranked))


def no_column(document: Document, known: list[str], name: str, *, where: tuple[str, ...]) -> None:
    """Complain of a name that is none of the table's columns."""
    what = "the table has no such column"
    document.complain(what, where, seen=repr(name), allowed=", ".join(known), hint=nearest(name, known))
