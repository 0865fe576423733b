"""Space files by path or by name."""

from __future__ import annotations

from pathlib import Path

import explorer
from explorer.errors import BadInput, Problem
from explorer.registry import nearest


def find(path_or_name: str | Path) -> Path:
    """The file meant by a path or a name.

    Raises:
        BadInput: there is none.
    """
    path = Path(path_or_name).expanduser()
    if path.is_file():
        return path
    known, name = spaces(), str(path_or_name).removesuffix(".yaml")
    if name in known:
        return known[name]
    hint = nearest(path.stem if path.suffix else str(path_or_name), list(known))
    raise BadInput(
        Problem(
            "no such space file", seen=str(path_or_name), allowed=f"a path, or one of {', '.join(known)}", hint=hint
        )
    )


def spaces() -> dict[str, Path]:
    """Every space known by name: the shipped ones, and those in ./search_spaces, which come first."""
    package = Path(explorer.__file__).parent
    folders = (package / "_spaces", package.parent / "search_spaces", Path("search_spaces"))
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
