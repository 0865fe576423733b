"""What the user brings for the board: modules with runtimes or meters of their own, to travel in the agent's bundle.

    plugins: [my_meter, tools/my_runtime.py, my_package.meters]
                │              │                  │
                ▼              ▼                  ▼           looked for beside the space file, then the board's file
          my_meter.py    my_runtime.py     my_package/…       in the bundle: one sha256 covers all code that measured

A bare or dotted name that is found nowhere here is left to the board, which may have it installed.
"""

from __future__ import annotations

import keyword
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.errors import BadInput, Problem

ROOM_BYTES = 2 << 20  # sent to the board once, kept there by its sha256; more than this is data, not code
# A module of one of these names would be imported by the agent, or by a runtime, in place of the real one.
_AGENTS_OWN = ("explorer_agent", "__main__", "numpy", "onnxruntime", "openvino", "tensorrt")
# Of the standard library of Python 3.8, and no longer of the one this host may run.
_ONCE_STANDARD = {
    *("aifc", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk", "crypt", "distutils", "formatter"),
    *("dummy_threading", "imghdr", "imp", "lib2to3", "macpath", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev"),
    *("parser", "pipes", "smtpd", "sndhdr", "spwd", "sunau", "symbol", "telnetlib", "uu", "xdrlib"),
}
_COMPILED = (".so", ".pyd", ".dll", ".dylib")


@dataclass(frozen=True)
class Brought:
    """Modules for the board: by the names it imports, and the files that go along."""

    names: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)  # name in the bundle → content

    @property
    def left_to_the_board(self) -> tuple[str, ...]:
        """Names that were found nowhere here."""
        here = {name.partition("/")[0].removesuffix(".py") for name in self.files} | {"explorer_agent"}
        return tuple(name for name in self.names if name.partition(".")[0] not in here)


NOTHING = Brought()


def bring(plugins: Sequence[Any], *, folders: Iterable[Path]) -> Brought:
    """Find the modules `plugins` in `folders`, and read them.

    Args:
        plugins: dotted names, or paths of a .py file or a package's folder.
        folders: where relative ones are looked for, in this order.

    Raises:
        BadInput: a path that is not there, a name that is no module's or that another one bears, too much, unreadable.
    """
    if isinstance(plugins, str) or not all(isinstance(plugin, str) and plugin for plugin in plugins):
        raise _bad("plugins: is a list of module names or paths", str(plugins))
    places, names, found = list(folders), [], dict[str, Path]()
    for plugin in plugins:
        name, place = _located(plugin, places)
        names.append(name)
        if place is not None:
            top = name.partition(".")[0]
            if found.setdefault(top, place) != place:
                raise _bad("two plug-ins of one name", plugin, hint=f"{found[top]} and {place}: rename one of them")
    files = {name: data for place in found.values() for name, data in _files(place)}
    size = sum(map(len, files.values()))
    if size > ROOM_BYTES:
        hint = "keep data out of the package, or install the package on the board"
        seen = f"{size >> 10} kB in {len(files)} files"
        raise BadInput(Problem("the plug-ins are too large", path="plugins", seen=seen, allowed="2048 kB", hint=hint))
    return Brought(tuple(names), files)


def _located(plugin: str, folders: Sequence[Path]) -> tuple[str, Path | None]:
    """The name to import, and the .py file or package folder at its top; None where only the board may have it."""
    by_path = "/" in plugin or plugin.endswith(".py")
    found = _by_path(plugin, folders) if by_path else _by_name(plugin, folders)
    name = found.name.removesuffix(".py") if by_path and found else plugin
    for part in [name] if by_path else name.split("."):
        if not part.isidentifier() or keyword.iskeyword(part):
            raise _bad("not a name that Python can import", plugin, hint="rename it: letters, digits and _ only")
    top = name.partition(".")[0]
    if found and (top in _AGENTS_OWN or top in _ONCE_STANDARD or top in sys.stdlib_module_names):
        owner = "the agent or its runtimes need" if top in _AGENTS_OWN else "Python's own library has"
        raise _bad(f"{owner} a module named {top}", plugin, hint=f"rename {found}")
    return name, found


def _by_path(plugin: str, folders: Sequence[Path]) -> Path:
    candidates = [_absolute(folder / Path(plugin).expanduser()) for folder in folders]
    for candidate in candidates:
        if candidate.is_file() and candidate.suffix == ".py" or (candidate / "__init__.py").is_file():
            return candidate
    looked = ", ".join(map(str, candidates))
    raise _bad("no such module", plugin, hint=f"looked for a .py file, or a folder with an __init__.py, at {looked}")


def _by_name(plugin: str, folders: Sequence[Path]) -> Path | None:
    top, *below = plugin.split(".")
    for folder in folders:
        file, package = folder / f"{top}.py", folder / top
        if (package / "__init__.py").is_file():
            if not _holds(package.joinpath(*below)):
                raise _bad(f"the package {package} holds no such module", plugin)
            return _absolute(package)
        if file.is_file():
            if below:
                raise _bad(f"{file} is a module, not a package", plugin, hint=f"name it {top}")
            return _absolute(file)
        if below and _holds(package.joinpath(*below)):
            raise _bad("a package's folder needs an __init__.py", plugin, hint=f"an empty one in {package} will do")
    return None


def _absolute(path: Path) -> Path:
    """`path` from the root on; under the name it has here, even if that is a symlink."""
    return Path(os.path.abspath(path))


def _holds(module: Path) -> bool:
    return module.with_name(f"{module.name}.py").is_file() or (module / "__init__.py").is_file()


def _files(place: Path) -> Iterator[tuple[str, bytes]]:
    """The files of one module or package, named as they are in the bundle."""
    paths = [place] if place.is_file() else sorted(place.rglob("*"))
    for path in paths:
        below = path.relative_to(place.parent)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in below.parts)
        if hidden or path.suffix == ".pyc" or not path.is_file():
            continue
        if path.suffix in _COMPILED:
            hint = "Python imports no compiled code from a bundle: install the package on the board"
            raise _bad("compiled code", str(path), hint=hint)
        yield below.as_posix(), _content(path)


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > ROOM_BYTES:
            raise _bad("too large for the agent's bundle", str(path), hint="at most 2048 kB in all")
        return path.read_bytes()
    except OSError as error:
        raise _bad(f"cannot be read: {error.strerror}", str(path)) from error


def _bad(what: str, plugin: str, *, hint: str = "") -> BadInput:
    return BadInput(Problem(what, path="plugins", seen=repr(plugin), hint=hint))
