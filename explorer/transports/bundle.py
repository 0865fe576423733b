"""The agent as one file that any Python runs: a zip in which nothing depends on who made it, when and where, so that
equal code has an equal sha256.

Our own comments and docstrings stay at home; every line of code keeps its number, and the user's own modules every
byte. What is left is deflated: hosts whose zlib differs send a board the same code under two names, which costs it a
third of the room that stored files would, and nothing else.
"""

from __future__ import annotations

import ast
import hashlib
import io
import os
import shlex
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from explorer.errors import BadInput, Problem
from explorer.transports.brought import NOTHING, Brought, bring
from explorer_agent import wire

_MAIN = b"import sys\nfrom explorer_agent.__main__ import main\nsys.exit(main())\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
VIRTUAL = "virtual"  # the agent's folder of boards that nobody needs to own
_UNIX, _MODE = 3, 0o100644 << 16


def agent_folder() -> Path:
    """Where the agent's sources lie."""
    return Path(wire.__file__).parent


def bundle_bytes(folder: Path | None = None, *, brought: Brought = NOTHING, virtual: bool = False) -> bytes:
    """The agent's sources as a zip, and the user's modules beside them; with the `virtual` boards only for who asks:
    no board that is real holds a line that makes up numbers.
    """
    folder = folder or agent_folder()
    files = {"__main__.py": _MAIN, **_sources(folder, virtual=virtual), **brought.files}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            archive.writestr(_member(name), files[name])
    return buffer.getvalue()


def write_bundle(output: Path, *, plugins: Sequence[str] = ()) -> str:
    """Write the agent's file, with the modules `plugins` of this folder; what it is and how it is started, in words.

    Raises:
        BadInput: a plug-in that cannot go along, or a place that cannot be written.
    """
    brought = bring(plugins, folders=[Path.cwd()])
    data = bundle_bytes(brought=brought)
    try:
        output.write_bytes(data)
    except OSError as error:
        raise BadInput(Problem(f"cannot write the agent's file: {error.strerror}", seen=str(output))) from error
    start = shlex.join(
        ["python3", output.name, "serve", *(word for name in brought.names for word in ("--plugin", name))]
    )
    left = "".join(f"\n{name} is not here: it has to be installed on the board" for name in brought.left_to_the_board)
    return (
        f"{output}: {len(data) >> 10} kB, sha256 {hashlib.sha256(data).hexdigest()[:16]}…; start it with  {start}{left}"
    )


def make_bundle(cache: Path, *, brought: Brought = NOTHING, virtual: bool = False) -> tuple[Path, str]:
    """Write the agent's file below `cache` unless it is there already; its path and sha256."""
    data = bundle_bytes(brought=brought, virtual=virtual)
    sha256 = hashlib.sha256(data).hexdigest()
    path = cache / "agents" / f"explorer-agent-{sha256[:16]}.pyz"
    if path.is_symlink() or not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        os.replace(file.name, path)
    return path, sha256


def _sources(folder: Path, *, virtual: bool) -> Mapping[str, bytes]:
    found = {path: path.relative_to(folder) for path in folder.rglob("*.py")}
    if not virtual:
        found = {path: below for path, below in found.items() if below.parts[0] != VIRTUAL}
    return {
        f"explorer_agent/{below.as_posix()}": lean(path.read_text(encoding="utf-8")).encode("utf-8")
        for path, below in found.items()
        if not any(part.startswith(".") for part in below.parts)
    }


@cache
def lean(source: str) -> str:
    """`source` without its docstrings and the lines that are all comment; what is left stands where it stood."""
    lines, nodes = source.rstrip("\n").split("\n"), list(ast.walk(ast.parse(source)))
    texts = [node for node in nodes if isinstance(node, (ast.JoinedStr, ast.Constant))]
    inside = {line for text in texts for line in range(text.lineno, text.end_lineno or text.lineno)}
    for index, line in enumerate(lines):
        if line.lstrip().startswith("#") and index not in inside:
            lines[index] = ""
    for first, last in _docstrings(nodes):
        lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(lines) + "\n"


def _docstrings(nodes: Sequence[ast.AST]) -> Iterator[tuple[int, int]]:
    """First and last line of each docstring that is not all its function or class has."""
    for node in nodes:
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and len(node.body) > 1:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.lineno, first.end_lineno or first.lineno


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr = _UNIX, _MODE
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
