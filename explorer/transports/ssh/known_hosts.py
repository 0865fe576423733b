"""Whom to believe that it is the board: the keys of known_hosts, and nothing else.

A line is ``[@marker] names type key [comment]``, see sshd(8). Names are patterns with * and ?, a ``!`` in front of one
keeps the line from applying, and ``|1|salt|hash`` is the HMAC-SHA1 of a name. A port other than 22 is part of the name:
``[host]:port``.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko

from explorer.errors import NoDevice
from explorer.transports.ssh.config import Hop

AUTHORITY, REVOKED = "@cert-authority", "@revoked"


@dataclass(frozen=True)
class Line:
    """A line of known_hosts that applies to the host in question."""

    place: str  # file:number
    marker: str
    kind: str
    key: bytes


def fingerprint(key: bytes) -> str:
    """As ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


class KnownHosts:
    """What is known of one hop."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop
        host = hop.host.lower()
        full = hop.host_key_name or (host if hop.port == 22 else f"[{host}]:{hop.port}")
        self.lines = list(_lines(hop.known_hosts, full))
        # As OpenSSH does: a key that is known for the host, whatever the port, is good on every port.
        self._any_port = [] if hop.host_key_name or hop.port == 22 else list(_lines(hop.known_hosts, host))

    def kinds(self) -> list[str]:
        """Types of the keys that are known, to be asked for first: a server has several."""
        return list(dict.fromkeys(line.kind for line in [*self.lines, *self._any_port] if not line.marker))

    def check(self, shown: paramiko.PKey) -> None:
        """Accept the key that the host shows, or refuse.

        Raises:
            NoDevice: it is unknown, has changed, or was revoked.
        """
        key, lines = shown.asbytes(), [*self.lines, *self._any_port]
        if revoked := [line for line in lines if line.marker == REVOKED and line.key == key]:
            raise NoDevice(f"{self._hop}: its host key {fingerprint(key)} was revoked in {revoked[0].place}")
        plain = [line for line in lines if not line.marker]
        if any(line.key == key for line in plain):
            return
        changed = [line for line in self.lines if not line.marker]
        raise NoDevice(self._changed(shown, changed) if changed else self._unknown(shown))

    def _unknown(self, shown: paramiko.PKey) -> str:
        hop, port = self._hop, f"-p {self._hop.port} " if self._hop.port != 22 else ""
        login = f"ssh {port}{shlex.quote(f'{hop.user}@{hop.alias}')}"
        scan = f"ssh-keyscan {port}{shlex.quote(hop.host)} >> {shlex.quote(str(hop.known_hosts[0]))}"
        reachable = not (hop.host_key_name or hop.via or hop.command)  # by ssh-keyscan, and to be filed under its name
        authorities = [line.place for line in self.lines if line.marker == AUTHORITY]
        lines = [
            f"{hop}: the host key is not known, so nobody can say whether this is your board",
            f"it shows {shown.get_name()} {fingerprint(shown.asbytes())}",
            f"compare it on the board itself:  ssh-keygen -lf /etc/ssh/ssh_host_{_file(shown)}_key.pub",
            *([f"if it is the same, accept it:  {scan}"] if reachable else []),
            f"{'or' if reachable else 'if it is the same,'} log in once by hand and say yes:  {login}",
            *(f"(the @cert-authority line {place} is passed over: certificates are not read)" for place in authorities),
        ]
        return "\n    ".join(lines)

    def _changed(self, shown: paramiko.PKey, known: Sequence[Line]) -> str:
        same = next((line for line in known if line.kind == shown.get_name()), known[0])
        return (
            f"{self._hop}: THE HOST KEY HAS CHANGED. Somebody may be in between, or the board was set up anew\n"
            f"    known:  {same.kind} {fingerprint(same.key)}  in {same.place}\n"
            f"    shown:  {shown.get_name()} {fingerprint(shown.asbytes())}\n"
            f"    Nothing was sent. Only if you know why it changed: take line {same.place} out and accept the new key"
        )


def _file(key: paramiko.PKey) -> str:
    kind = key.get_name()
    return "ecdsa" if kind.startswith("ecdsa") else "rsa" if "rsa" in kind else "ed25519"


def _lines(files: Sequence[Path], name: str) -> Iterator[Line]:
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NoDevice(f"cannot read the known hosts in {file}: {error.strerror}") from error
        for number, line in enumerate(text.splitlines(), 1):
            if (found := _read(line, name, f"{file}:{number}")) is not None:
                yield found


def _read(text: str, name: str, place: str) -> Line | None:
    words = text.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#") or not _applies(words[0], name):
        return None
    try:
        return Line(place, marker, words[1], base64.b64decode(words[2], validate=True))
    except binascii.Error as error:
        raise NoDevice(f"{place}: the key of {name} cannot be read; mend the line or take it out") from error


def _applies(names: str, name: str) -> bool:
    if names.startswith("|"):
        return _hashed(names, name)
    patterns = names.lower().split(",")
    if any(_like(name, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(_like(name, pattern) for pattern in patterns)


def _like(name: str, pattern: str) -> bool:
    literal = pattern.replace("[", "[[]")  # brackets stand for themselves here: [host]:port
    return fnmatch.fnmatchcase(name.lower(), literal)


def _hashed(words: str, name: str) -> bool:
    """``|1|base64 of the salt|base64 of HMAC-SHA1(salt, name)``."""
    parts = words.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, wanted = (base64.b64decode(part, validate=True) for part in parts[2:])
    except binascii.Error:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), wanted)
