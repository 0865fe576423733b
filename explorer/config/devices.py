"""Where candidates run: one board, or a fleet of them, and what they have to be told.

A board's own file is read like a space file: every problem at once, with its line.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from explorer.config.document import Document, Where
from explorer.config.document import read as read_document
from explorer.config.sections import BoardFile, DeviceOptionsSection
from explorer.config.shape import shaped, shown
from explorer.errors import BadInput
from explorer.transports import specs
from explorer.transports.boards import boards


def read_devices(document: Document, *, folder: Path | None = None) -> tuple[str, ...]:
    """The boards that ``device:`` means, each once, in their order.

    Args:
        document: the space file, or the command line; paths of boards' files begin at its folder.
        folder: where the experiment lies; a board's file inside it goes by its path from there.
    """
    given = document.data.get("device")
    listed = given if isinstance(given, list) else [specs.LOCAL if given is None else given]
    if not listed:
        document.complain("an experiment needs a device", ("device",), seen="an empty list", allowed=specs.ALLOWED)
    found: list[tuple[Where, str]] = []
    for i, spec in enumerate(listed):
        where: Where = ("device", i) if isinstance(given, list) else ("device",)
        found += [(where, board) for board in _boards(document, where, spec)]
    _refuse_twins(document, found)
    folder = folder or document.file.resolve().parent
    return tuple(_named_from(folder, board) for _, board in found)


def read_build_server(document: Document, devices: tuple[str, ...]) -> str:
    """The board that ``build_on:`` names, which is none of `devices`; empty where it names none."""
    given = document.data.get("build_on")
    if given is None:
        return ""
    found = [_named_from(document.file.resolve().parent, board) for board in _boards(document, ("build_on",), given)]
    if len(found) > 1:
        document.complain("engines are built on one board", ("build_on",), seen=shown(given), allowed=specs.ALLOWED)
    elif found:
        refuse_build_server(document, ("build_on",), found[0], devices)
    return found[0] if found else ""


def refuse_build_server(document: Document, where: Where, board: str, devices: tuple[str, ...]) -> None:
    """Complain of a build server that measures as well."""
    if board in devices:
        hint = "a board that measures builds for itself; name another one, or leave build_on out"
        document.complain("the same board builds and measures", where, seen=board, hint=hint)


def read_device_options(document: Document) -> dict[str, Any]:
    """What the space file says over the boards' own files."""
    given = document.data.get("device_options")
    section = shaped(DeviceOptionsSection, document, ("device_options",), given) if given is not None else None
    return section.model_dump(exclude_unset=True) if section is not None else {}


def read_stand_in(document: Document) -> str:
    """The virtual board that ``simulate:`` names; empty where it names none."""
    given = document.data.get("simulate")
    if given is None:
        return ""
    try:
        return specs.check_simulated(str(given).removeprefix(specs.SIM))
    except BadInput as error:
        document.adopt(error, ("simulate",))
        return ""


def brings_plugins(document: Document, devices: tuple[str, ...], *, folder: Path) -> bool:
    """Whether the boards get modules of the user's own, by the space file or by a board's."""
    options = document.data.get("device_options")
    if isinstance(options, dict) and options.get("plugins"):
        return True
    files = [specs.file_of(board, known=boards(), search=folder) for board in devices]
    try:
        return any(specs.described(file).get("plugins") for file in files if file is not None)
    except BadInput:  # told already; nothing more is complained of on its account
        return True


def _boards(document: Document, where: Where, spec: Any) -> tuple[str, ...]:
    if not isinstance(spec, str):
        document.complain("a device is a word", where, seen=shown(spec), allowed=specs.ALLOWED)
        return ()
    try:
        found = specs.expand(spec, known=boards(), search=document.file.resolve().parent)
    except BadInput as error:
        document.problems += [problem for problem in error.problems if problem.file]  # of a board's or a group's file
        document.adopt(BadInput([problem for problem in error.problems if not problem.file]), where)
        return ()
    for board in found:
        _check_file(document, board)
    return found


def _check_file(document: Document, board: str) -> None:
    file = specs.file_of(board, known=boards(), search=None)
    if file is None:
        return
    try:
        described = read_document(file)
    except BadInput as error:
        document.problems += error.problems
        return
    section = shaped(BoardFile, described, (), described.data)
    if section is not None:
        _check_reach(described, section)
    document.problems += described.problems


def _check_reach(described: Document, board: BoardFile) -> None:
    """A board over SSH has an address, and no other has."""
    if (board.transport == "ssh") != (board.address is not None):
        hint = "a board over ssh has an address, this machine has none"
        described.complain("transport and address do not fit together", ("transport",), seen=board.transport, hint=hint)
    elif board.address is not None:
        try:
            specs.check_address(board.address)
        except BadInput as error:
            described.adopt(error, ("address",))


def _refuse_twins(document: Document, found: list[tuple[Where, str]]) -> None:
    """One board cannot serve as two."""
    times = Counter(board for _, board in found)
    for board in [board for board, count in times.items() if count > 1]:
        where = [where for where, other in found if other == board][-1]
        document.complain("the same board twice", where, seen=board, hint="name each board of a fleet once")


def _named_from(folder: Path, board: str) -> str:
    """A board's file by its path from the experiment's folder where it lies inside: names in records stay short."""
    path = Path(board)
    return str(path.relative_to(folder)) if path.is_absolute() and path.is_relative_to(folder) else board
