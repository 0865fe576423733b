"""What a device is named by, read and checked: nothing is connected here.

local:                     this machine
sim:NAME                   a virtual Jetson, one of `SIMULATED`
recorded:TABLE             no board: a table that was measured before, which a space file alone can give
ssh://[user@]host[:port]   any board with an SSH server; the host may be an alias of ~/.ssh/config
NAME or NAME:              a board described in agents/devices/NAME.yaml
some/board.yaml            a board, or a group of boards, described in a file of the user's own
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from explorer.errors import BadInput, Problem
from explorer.registry import nearest

LOCAL = "local:"
SIM = "sim:"
RECORDED = "recorded:"
# The boards that the agent can be, without one: `explorer_agent.virtual.boards`.
SIMULATED = ("nano", "xavier-nx", "agx-xavier", "orin-nano", "orin-nx-16", "agx-orin-64", "thor")
ALLOWED = (
    "local:, sim:NAME, ssh://[user@]host[:port], the name of a board (explorer list devices), or a board's .yaml file"
)
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\+-]*\$?")


def expand(spec: str, *, known: Mapping[str, Path], search: Path) -> tuple[str, ...]:
    """The boards that `spec` means, each as `boards.start` takes it: itself, or what the group it names lists.

    Args:
        spec: as a user writes it.
        known: files of boards by name.
        search: where paths of files begin; a group's own paths begin where its file lies.

    Raises:
        BadInput: it names no board, or is not written as a board is.
    """
    return tuple(_expanded(spec, known, search, ()))


def file_of(spec: str, *, known: Mapping[str, Path], search: Path | None) -> Path | None:
    """The file that describes the board `spec`; None for one that is reached by its address alone."""
    if spec.startswith(("ssh://", SIM, RECORDED)):
        return None
    if (name := spec.removesuffix(":")) in known:
        return known[name]
    return ((search or Path()) / Path(spec).expanduser()).resolve() if _is_path(spec) else None


def described(file: Path) -> dict[str, Any]:
    """What a board's file says.

    Raises:
        BadInput: it cannot be read, or holds no keys and values.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Problem("cannot read the board's file", file, seen=str(error))) from error
    except yaml.YAMLError as error:
        raise BadInput(
            Problem("the board's file is not valid YAML", file, seen=" ".join(str(error).split()))
        ) from error
    if not isinstance(content, dict):
        allowed = "keys and values such as transport: and address:"
        raise BadInput(Problem("the board's file must hold keys and values", file, allowed=allowed))
    return content


def _expanded(spec: str, known: Mapping[str, Path], search: Path, inside: tuple[Path, ...]) -> list[str]:
    if spec in ("local", LOCAL):
        return [LOCAL]
    if spec.startswith("ssh:"):
        return [check_address(spec)]
    if spec.startswith(SIM):
        return [SIM + check_simulated(spec.removeprefix(SIM))]
    if spec.startswith(RECORDED):
        raise _no_board(spec)
    file = file_of(spec, known=known, search=search)
    if file is None or not file.is_file():
        raise _unknown(spec, known, file)
    content = described(file)
    if "group" in content:
        return _members(content, file, known, inside)
    return [f"{spec.removesuffix(':')}:" if spec.removesuffix(":") in known else str(file)]


def _members(content: Mapping[str, Any], file: Path, known: Mapping[str, Path], inside: tuple[Path, ...]) -> list[str]:
    group, strange = content["group"], [key for key in content if key not in ("group", "summary")]
    if strange:
        raise BadInput(Problem("unknown key in a group", file, seen=str(strange[0]), allowed="summary, group"))
    if not isinstance(group, list) or not group or not all(isinstance(member, str) for member in group):
        raise BadInput(Problem("a group is a list of boards", file, path="group", seen=str(group), allowed=ALLOWED))
    if file in inside:
        raise BadInput(Problem("a group cannot hold itself", file, path="group"))
    return [spec for i in range(len(group)) for spec in _member(group[i], i, file, known, inside)]


def _member(spec: str, index: int, file: Path, known: Mapping[str, Path], inside: tuple[Path, ...]) -> list[str]:
    """What one entry of a group means; its mistakes are told with the group's file."""
    try:
        return _expanded(spec, known, file.parent, (*inside, file))
    except BadInput as error:
        line, path = _line_of(file, index), f"group[{index}]"
        problems = [p if p.file else replace(p, file=file, line=line, path=path) for p in error.problems]
        raise BadInput(problems) from error


def _line_of(file: Path, index: int) -> int | None:
    """The line in which entry `index` of a group's list stands."""
    top = yaml.compose(file.read_text(encoding="utf-8"))
    pairs = top.value if isinstance(top, yaml.MappingNode) else []
    lists = [value for key, value in pairs if key.value == "group" and isinstance(value, yaml.SequenceNode)]
    return int(lists[0].value[index].start_mark.line) + 1 if lists else None


def check_simulated(name: str) -> str:
    """`name` itself, once it is seen to be that of a virtual board.

    Raises:
        BadInput: there is none of that name.
    """
    if name not in SIMULATED:
        hint = nearest(name, list(SIMULATED))
        raise BadInput(Problem("no such virtual board", seen=name, allowed=", ".join(SIMULATED), hint=hint))
    return name


def check_address(spec: str) -> str:
    """`spec` itself, once it is seen to be ``ssh://[user@]host[:port]``.

    Raises:
        BadInput: it is written otherwise, or holds a password.
    """
    rest = spec.removeprefix("ssh:").removeprefix("//")
    if not spec.startswith("ssh://") or not rest:
        raise _badly_written(spec, "ssh:// and a host", f"write ssh://{rest or 'user@board'}")
    account, _, place = rest.rpartition("@")
    if ":" in account:
        shown = f"ssh://{account.partition(':')[0]}:…@{place}"
        hint = "use a key, or name a variable of the environment: device_options: {password_env: NAME}"
        raise BadInput(Problem("a device's address holds no password", seen=shown, allowed=ALLOWED, hint=hint))
    if "/" in place:
        raise _badly_written(spec, "no path", f"write ssh://{rest.partition('/')[0]}")
    host, port = _host_and_port(place)
    if not _HOST.fullmatch(host) or ("@" in rest and not _USER.fullmatch(account)):
        raise _badly_written(spec, "a user and a host of letters, digits and . - _; IPv6 in brackets", "")
    if port is not None and not (port.isdecimal() and 0 < int(port) < 65536):
        raise _badly_written(spec, "a port from 1 to 65535", "")
    return spec


def _host_and_port(place: str) -> tuple[str, str | None]:
    if place.startswith("["):
        host, bracket, port = place.partition("]")
        return host + bracket, port[1:] if port.startswith(":") else (port or None)
    host, colon, port = place.partition(":")
    return host, port if colon else None


def _badly_written(spec: str, wanted: str, hint: str) -> BadInput:
    return BadInput(Problem(f"not an address of a device: it needs {wanted}", seen=spec, allowed=ALLOWED, hint=hint))


def _no_board(spec: str) -> BadInput:
    hint = "give it in a space file of its own, as all there is: device: recorded:TABLE.csv"
    return BadInput(Problem("a recorded table is no board", seen=spec, allowed=ALLOWED, hint=hint))


def _is_path(spec: str) -> bool:
    return "/" in spec or spec.endswith((".yaml", ".yml"))


def _unknown(spec: str, known: Mapping[str, Path], file: Path | None) -> BadInput:
    if file is not None:
        near = nearest(file.name, [path.name for path in file.parent.glob("*.y*ml")])
        hint = f"looked for {file}" + (f"; {near}" if near else "")
        return BadInput(Problem("there is no such board file", seen=spec, allowed=ALLOWED, hint=hint))
    names = [f"{name}:" for name in known]
    hint = nearest(spec, names) or (f"write ssh://{spec}" if "@" in spec or "." in spec else "")
    known_ones = f"{ALLOWED}; boards known by name: {', '.join(names)}"
    return BadInput(Problem("unknown device", seen=spec, allowed=known_ones, hint=hint))
