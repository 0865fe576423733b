"""Boards by name: agents/devices/*.yaml says how each is reached and what it has to be told; a space file may say it
better.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import explorer
from explorer.errors import BadInput, NoDevice, Problem
from explorer.registry import nearest
from explorer.transports import Transport, specs
from explorer.transports.bootstrap import HOME
from explorer.transports.brought import bring
from explorer.transports.bundle import make_bundle
from explorer.transports.local import LocalTransport
from explorer.transports.options import OF_A_FILE, OPTIONS, check

if TYPE_CHECKING:
    from explorer.transports.ssh import SshTransport

WAIT_S = 5.0
FIRST_LEASE_S = 40.0  # over a network: until the host renews its lease itself, right after hello
LINGER_S = 900.0  # for a job under way when its host is lost: as long as the longest may take (device.JOB_S)


@dataclass(frozen=True)
class Started:
    """An agent that was started: its streams, what is known of its board, and whether it computes on this machine."""

    transport: Transport
    settings: Mapping[str, Any]
    shares_host: bool


def boards() -> dict[str, Path]:
    """The boards described in files, by name: in an installed package, or in a clone."""
    package = Path(explorer.__file__).parent
    folders = (package / "_devices", package.parent / "agents" / "devices")
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}


def summaries() -> dict[str, str]:
    """One line on each board, by the spec that a space file names it with."""
    return {f"{name}:": str(specs.described(path).get("summary", "")) for name, path in boards().items()}


def who_asks(purpose: str) -> str:
    """Who uses a board, in words for whoever finds it busy: ``anna@laptop, study gaitset``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}, {purpose}"


def start(
    spec: str, *, cache: Path, options: Mapping[str, Any], holder: str = "", search: Path | None = None
) -> Started:
    """Start the agent of the board that `spec` names.

    Args:
        spec: ``local:``, ``sim:NAME``, ``ssh://[user@]host[:port]``, the name of a board described in agents/devices,
            or a file that describes one.
        cache: the host's cache.
        options: over what the board's description says.
        holder: who asks, in words that are the same when the same study comes back.
        search: folder of the space file, for what it names by path.

    Raises:
        NoDevice: there is no such board, it cannot be reached, or its agent cannot be started.
        BadInput: an option nobody knows.
    """
    file = _file(spec, search)
    settings = _settings({} if file is None else _of_file(file), options)
    folders = [folder for folder in (search, file and file.parent) if folder is not None]
    brought = bring(settings.get("plugins", ()), folders=folders)
    settings["plugins"] = list(brought.names)
    bundle, sha256 = make_bundle(cache, brought=brought, virtual=spec.startswith(specs.SIM))
    words = _words(settings, holder)
    if spec.startswith(specs.SIM):
        return _simulated(spec, bundle, cache, words, settings)
    address = spec if file is None else settings.get("address", "")
    if not address:
        return Started(_local(spec, bundle, cache, words, settings), settings, shares_host=True)
    said_in = search if "identity_file" in options else file and file.parent
    settings["identity_file"] = _key_file(str(settings.get("identity_file", "")), said_in or Path())
    return Started(_over_ssh(address, bundle, sha256, words, settings), settings, shares_host=False)


def on_this_host(spec: str, search: Path | None) -> bool:
    """Whether a board computes on this very machine, by its name and its file."""
    if spec.startswith((specs.SIM, "ssh://")):
        return False
    file = _file(spec, search)
    return file is None or not _of_file(file).get("address")


def _simulated(spec: str, bundle: Path, cache: Path, words: list[str], settings: Mapping[str, Any]) -> Started:
    """A virtual board: an agent on this machine, with a home for itself and a clock that nothing here disturbs."""
    name = spec.removeprefix(specs.SIM)
    faults = [f"--fault={fault}={json.dumps(how)}" for fault, how in settings.get("faults", {}).items()]
    words += [] if settings.get("clocks") else ["--clocks=lock"]  # nobody's board is changed by it
    words = [*words, f"--simulate={name}", f"--seed={settings.get('seed', 0)}", *faults]
    own = {"home": settings.get("home", cache / "virtual" / name), "python": settings.get("python", sys.executable)}
    return Started(_local(spec, bundle, cache, words, own), settings, shares_host=False)


def _local(spec: str, bundle: Path, cache: Path, words: list[str], settings: Mapping[str, Any]) -> LocalTransport:
    python = str(settings.get("python", sys.executable))
    home = Path(settings.get("home", cache / "agent")).expanduser()
    try:
        return LocalTransport(bundle, home=home, words=words, python=python)
    except OSError as error:
        raise NoDevice(f"{spec}: cannot start the agent with {python}: {error.strerror}") from error


def _over_ssh(address: str, bundle: Path, sha256: str, words: list[str], settings: Mapping[str, Any]) -> SshTransport:
    from explorer.transports.ssh import SshTransport  # late: paramiko takes a tenth of a second

    python, home = str(settings.get("python", "python3")), str(settings.get("home", HOME))
    login = {key: str(settings.get(key, "")) for key in ("identity_file", "password_env")}
    words = [*words, f"--lease={FIRST_LEASE_S:.0f}"]
    return SshTransport(address, bundle, sha256, words=words, python=python, home=home, **login)


def _key_file(name: str, folder: Path) -> str:
    """A private key by its path from the file that names it."""
    return str(folder / Path(name).expanduser()) if name else ""


def _file(spec: str, search: Path | None) -> Path | None:
    """The file that describes the board; None for one that is known by its address alone."""
    known = boards()
    file = specs.file_of(spec, known=known, search=search)
    if file is not None and file.is_file():
        return file
    if spec.startswith(("ssh://", specs.SIM)):
        return None
    names = ", ".join(f"{board}:" for board in known)
    raise NoDevice(f"no device {spec!r}; known: {names}. {nearest(spec.rstrip(':'), list(known))}".strip())


def _of_file(file: Path) -> dict[str, Any]:
    found = specs.described(file)
    check(found, OF_A_FILE, file=file)
    if (found.get("transport") == "ssh") != bool(found.get("address")):
        hint = "a board over ssh has an address, this machine has none"
        raise BadInput(Problem("transport and address do not fit together", file=file, hint=hint))
    return found


def _settings(board: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    check(options, OPTIONS)
    said = [{key: value for key, value in each.items() if value is not None} for each in (board, options)]
    meters = [each.get("meter", {}) for each in said]
    return {**said[0], **said[1], "meter": {**meters[0], **meters[1]}}


def _words(settings: Mapping[str, Any], holder: str) -> list[str]:
    """The agent's command line."""
    lists = [("--plugin", settings.get("plugins", ())), ("--runtime", settings.get("runtimes", ()))]
    words = [f"{option}={name}" for option, names in lists for name in names]
    given = {"--wait": settings.get("wait_s", WAIT_S), "--linger": LINGER_S, "--holder": holder}
    given |= {"--room-gb": settings.get("cache_gb", ""), "--clocks": settings.get("clocks", "")}
    given |= {"--reboot": settings.get("reboot", "")}
    return [*words, *(f"{option}={value}" for option, value in given.items() if value != "")]
