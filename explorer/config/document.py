"""A YAML file as plain data in which every value still knows its line.

YAML 1.1 turns `on` into true, `1e-3` into a word and `12:30` into 750; here scalars follow YAML 1.2's core schema: only
`true` and `false` are booleans, what a person would call a number is one, and the rest (15W, on, 2h) are words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from explorer.errors import BadInput, Problem

Where = tuple[str | int, ...]  # ("space", "precision", 2)

# Aliases can make a small file enormous; a space file of honest size has a few hundred values.
_MAX_VALUES = 20_000

_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, Any] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": float,
    "str": str,
}


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _name, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+0123456789.")),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^{_pattern}$"), _first)


def dotted(where: Where) -> str:
    """``("space", "precision", 2)`` as a person would write it: ``space.precision[2]``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).removeprefix(".")


@dataclass
class Document:
    """The data of a file, the line of every value in it, and everything found wrong with it so far."""

    file: Path
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, where: Where) -> int | None:
        """The line of the value at `where`, or of the nearest thing around it that the file does hold."""
        for length in range(len(where), -1, -1):
            if (line := self.lines.get(where[:length])) is not None:
                return line
        return None

    def complain(self, what: str, where: Where, *, seen: str = "", allowed: str = "", hint: str = "") -> None:
        """Note a problem at `where`."""
        self.problems.append(Problem(what, self.file, self.line(where), dotted(where), seen, allowed, hint))

    def adopt(self, error: BadInput, where: Where) -> None:
        """Note another part's problems as found at `where`."""
        for problem in error.problems:
            self.complain(problem.what, where, seen=problem.seen, allowed=problem.allowed, hint=problem.hint)

    def raise_if_broken(self) -> None:
        """Raise all problems at once, in the order of their lines.

        Raises:
            BadInput: there is at least one.
        """
        if self.problems:
            raise BadInput(sorted(self.problems, key=lambda problem: problem.line or 0))


def read(file: Path) -> Document:
    """Read a YAML file whose top level is a mapping; doubled keys and strange tags are noted in ``problems``.

    Raises:
        BadInput: the file cannot be read or is not YAML, so that there is nothing to go on with.
    """
    node = _compose(file, _text(file))
    if not isinstance(node, yaml.MappingNode):
        raise BadInput(
            Problem("the file must hold keys and values", file, seen=_shape(node), allowed="study:, model:, space:, …")
        )
    document = Document(file)
    document.data = _Builder(document).mapping(node, ())
    return document


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(Problem("not a text file in UTF-8", file, seen=f"byte {error.start}: {error.reason}")) from error
    except OSError as error:
        raise BadInput(Problem("cannot read the file", file, seen=error.strerror or str(error))) from error


def _compose(file: Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        seen = ", ".join(part for part in (error.context, error.problem) if part)
        raise BadInput(
            Problem("not valid YAML", file, mark.line + 1 if mark else None, seen=seen, hint=_syntax_hint(seen))
        ) from error
    except yaml.YAMLError as error:
        raise BadInput(Problem("not valid YAML", file, seen=str(error).splitlines()[0])) from error


def _syntax_hint(seen: str) -> str:
    if "'\\t'" in seen:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in seen:
        return "look for a missing line break or a ': ' inside a word; quote such words"
    return ""


def _shape(node: yaml.Node | None) -> str:
    if node is None:
        return "nothing"
    return "a list" if isinstance(node, yaml.SequenceNode) else f"the word {node.value!r}"


class _Builder:
    """Turns nodes into plain data, noting each line."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: set[int] = set()

    def mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        lines = self._document.lines
        lines.setdefault(where, _line(node))
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._document.complain("a key must be one word", where, seen=_shape(key_node))
                continue
            key = str(key_node.value)
            if key in result:
                self._report_twice(key_node, (*where, key))
                continue
            lines[(*where, key)] = _line(key_node)
            result[key] = self.value(value_node, (*where, key))
        return result

    def value(self, node: yaml.Node, where: Where) -> Any:
        self._guard(node, where)
        self._open.add(id(node))
        try:
            return self._value(node, where)
        finally:
            self._open.discard(id(node))

    def _value(self, node: yaml.Node, where: Where) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*where, index)) for index, item in enumerate(node.value)]
        read_scalar = _SCALARS.get(node.tag.removeprefix(_TAG))
        if read_scalar is None:
            self._document.complain("YAML tags mean nothing here", where, seen=node.tag, hint="write the plain value")
            return node.value
        return read_scalar(node.value)

    def _item(self, node: yaml.Node, where: Where) -> Any:
        self._document.lines[where] = _line(node)
        return self.value(node, where)

    def _guard(self, node: yaml.Node, where: Where) -> None:
        if id(node) in self._open or len(self._document.lines) > _MAX_VALUES:
            line = self._document.line(where)
            raise BadInput(Problem("an alias (*name) makes this endless", self._document.file, line, dotted(where)))

    def _report_twice(self, node: yaml.ScalarNode, where: Where) -> None:
        first = self._document.lines[where]
        self._document.problems.append(
            Problem(
                "this key is here twice",
                self._document.file,
                _line(node),
                dotted(where),
                hint=f"first on line {first}; keep one",
            )
        )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
