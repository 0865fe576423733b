"""The way to a board as ~/.ssh/config describes it: one hop, or several.

    ssh://board ──► Hop(board, via=Hop(gateway, via=None))          ProxyJump gateway
                                    │ each hop has its own user, keys and known_hosts

Honoured: Host, Match, Include, HostName, User, Port, IdentityFile, IdentitiesOnly, IdentityAgent none, ProxyJump,
ProxyCommand, UserKnownHostsFile, GlobalKnownHostsFile, HostKeyAlias. StrictHostKeyChecking is read by nobody here: an
unknown key is refused whatever it says.

EXPLORER_SSH_CONFIG names another file (as ``ssh -F`` does), EXPLORER_KNOWN_HOSTS another file of known hosts.
"""

from __future__ import annotations

import getpass
import glob
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from explorer.errors import NoDevice
from explorer.transports.ssh.address import Address

CONFIG_VARIABLE, KNOWN_HOSTS_VARIABLE = "EXPLORER_SSH_CONFIG", "EXPLORER_KNOWN_HOSTS"
SYSTEM_CONFIG = "/etc/ssh/ssh_config"
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
ALL = "Host *"
DEEPEST = 8  # hops, or files that include files
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@%:-]*", re.ASCII)


@dataclass(frozen=True)
class Hop:
    """A machine to log in on, and what to log in with."""

    alias: str  # as the user names it
    host: str
    port: int
    user: str
    keys: tuple[Path, ...]
    only_these_keys: bool
    agent: bool
    known_hosts: tuple[Path, ...]
    host_key_name: str  # empty: host and port
    via: Hop | None = None
    command: str = ""  # ProxyCommand

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


def route(address: Address, *, identity_file: str = "") -> Hop:
    """The hops to `address`, the last one first.

    Raises:
        NoDevice: ~/.ssh/config cannot be read, or leads in a circle.
    """
    own = os.environ.get(CONFIG_VARIABLE)
    files = [own] if own else ["~/.ssh/config", SYSTEM_CONFIG]
    text = "\n".join(line for file in files for line in (ALL, *_lines(file)))
    if own and not Path(own).is_file():
        raise NoDevice(f"{CONFIG_VARIABLE} names a file that is not there: {own}")
    return _hop(address, text, keys=(identity_file,) if identity_file else (), seen=())


def _hop(address: Address, text: str, *, keys: tuple[str, ...], seen: tuple[str, ...], via: Hop | None = None) -> Hop:
    if len(seen) > DEEPEST:
        raise NoDevice(f"{address.host}: ProxyJump in ~/.ssh/config leads in a circle: {' → '.join(seen)}")
    found = _lookup(address, text)
    host, user = found.get("hostname", address.host), address.user or found.get("user") or _me()
    agent = found.get("identityagent", "").lower() != "none"
    files = keys or tuple(found.get("identityfile", ()))
    jumps, command = found.get("proxyjump", ""), found.get("proxycommand") or ""
    if via is None and jumps and jumps.lower() != "none":
        via, command = _chain(jumps, text, (*seen, address.host)), ""
    if command and via is None:
        _need_plain(host, user, address.host)
    return Hop(
        alias=address.host,
        host=host,
        port=address.port or _port(found.get("port", "22"), address.host),
        user=user,
        keys=tuple(map(_path, files)) or tuple(Path.home() / ".ssh" / name for name in DEFAULT_KEYS),
        only_these_keys=found.get("identitiesonly", "no").lower() == "yes" or bool(keys),
        agent=agent,
        known_hosts=_known_hosts(found),
        host_key_name=found.get("hostkeyalias", ""),
        via=via,
        command="" if via is not None or command.lower() == "none" else command,
    )


def _chain(jumps: str, text: str, seen: tuple[str, ...]) -> Hop:
    via: Hop | None = None
    for word in jumps.split(","):
        via = _hop(Address.of_hop(word.strip()), text, keys=(), seen=seen, via=via)
    assert via is not None  # split gives one word at least
    return via


def _lookup(address: Address, text: str) -> paramiko.SSHConfigDict:
    """What the config says of `address`; user and port of the address come first, as on ssh's command line."""
    said = [("User", address.user)] if _PLAIN.fullmatch(address.user) else []
    said += [("Port", str(address.port))] if address.port else []
    first = "\n".join([f"Host {address.host}", *(" ".join(pair) for pair in said)])
    try:
        return paramiko.SSHConfig.from_text(f"{first}\n{text}").lookup(address.host)
    except (paramiko.SSHException, ImportError, KeyError, ValueError, OSError) as error:
        raise NoDevice(f"{address.host}: cannot make sense of ~/.ssh/config: {error}") from error


def _lines(name: str, *, base: Path | None = None, depth: int = 0) -> Iterator[str]:
    """The lines of a config file, with the files that it includes in their place: the library knows no Include.

    After an included file the block that included it goes on.
    """
    path = Path(name).expanduser()
    base = base or path.parent
    if depth > DEEPEST:
        raise NoDevice(f"~/.ssh/config: Include leads in a circle: {path}")
    block = ALL
    for line in _text(path).splitlines():
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        block = line if word.lower() in ("host", "match") else block
        if word.lower() != "include":
            yield line
            continue
        for file in _included(rest, base):
            inner = list(_lines(file, base=base, depth=depth + 1))
            if block != ALL and any(one.strip().lower().startswith(("host ", "match ")) for one in inner):
                raise NoDevice(f"{path}: Include of {file} within '{block.strip()}': it has Host lines of its own")
            yield from inner
            yield block


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise NoDevice(f"cannot read {path}: {error}") from error


def _included(words: str, base: Path) -> list[str]:
    """The files that one line of Include names, in order."""
    patterns = [os.path.join(base, os.path.expanduser(word)) for word in shlex.split(words)]
    return [file for pattern in patterns for file in sorted(glob.glob(pattern))]


def _known_hosts(found: paramiko.SSHConfigDict) -> tuple[Path, ...]:
    home = Path.home() / ".ssh"
    users = os.environ.get(KNOWN_HOSTS_VARIABLE) or found.get("userknownhostsfile")
    everyones = found.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2")
    own = [home / "known_hosts", home / "known_hosts2"]
    if users:
        own = [_path(word) for word in ([users] if KNOWN_HOSTS_VARIABLE in os.environ else shlex.split(users))]
    return (*own, *map(_path, shlex.split(everyones)))


def _need_plain(host: str, user: str, alias: str) -> None:
    """ProxyCommand goes to a shell with host and user in it: what a shell would take for more than a word stays out."""
    for word in (host, user):
        if _PLAIN.fullmatch(word) is None:
            raise NoDevice(f"{alias}: {word!r} is no name to put into the ProxyCommand of ~/.ssh/config")


def _port(text: str, alias: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise NoDevice(f"{alias}: Port {text!r} in ~/.ssh/config is no port")
    return int(text)


def _path(name: str) -> Path:
    return Path(name).expanduser()


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise NoDevice("this account has no name; say as whom to log in: ssh://user@host") from error
