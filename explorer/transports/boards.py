"""Boards by name: agents/devices/*.yaml says how each is reached and what it has to be told; a space file may say it
better.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import explorer
from explorer.errors import BadInput, NoDevice, Problem
from explorer.registry import nearest
from explorer.transports import Transport
from explorer.transports.brought import bring
from explorer.transports.bundle import make_bundle
from explorer.transports.local import LocalTransport

WAIT_S = 5.0
OPTIONS = ("meter", "plugins", "python", "runtimes", "wait_s")


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
    return {f"{name}:": str(_described(path).get("summary", "")) for name, path in boards().items()}


def start(
    spec: str, *, cache: Path, options: Mapping[str, Any], holder: str = "", search: Path | None = None
) -> Started:
    """Start the agent of the board that `spec` names.

    Args:
        spec: ``local:`` or the name of a board described in agents/devices.
        cache: the host's cache.
        options: over what the board's description says.
        holder: who asks, in words that are the same when the same study comes back.
        search: folder of the space file, for what it names by path.

    Raises:
        NoDevice: there is no such board, or its agent cannot be started.
        BadInput: an option nobody knows.
    """
    settings = _settings(spec, options)
    brought = bring(settings.get("plugins", ()), folders=_folders(spec, search))
    settings["plugins"] = list(brought.names)
    bundle, _ = make_bundle(cache, brought=brought)
    python = str(settings.get("python", sys.executable))
    try:
        transport = LocalTransport(bundle, home=cache / "agent", words=_words(settings), python=python)
    except OSError as error:
        raise NoDevice(f"{spec}: cannot start the agent with {python}: {error.strerror}") from error
    return Started(transport, settings, shares_host=True)


def _folders(spec: str, search: Path | None) -> list[Path]:
    """Where plug-ins named by a relative path or a bare name lie: beside the space file, or the board's file."""
    described = boards().get(spec.rstrip(":"))
    return [folder for folder in (search, described and described.parent) if folder is not None]


def _settings(spec: str, options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [key for key in options if key not in OPTIONS]
    if unknown:
        allowed, hint = ", ".join(OPTIONS), nearest(unknown[0], OPTIONS)
        raise BadInput(Problem("unknown device option", seen=unknown[0], allowed=allowed, hint=hint))
    known, name = boards(), spec.rstrip(":")
    if name not in known:
        names = ", ".join(f"{board}:" for board in known)
        raise NoDevice(f"no device {spec!r}; known: {names}. {nearest(name, list(known))}".strip())
    board = _described(known[name])
    return {**board, **options, "meter": {**board.get("meter", {}), **options.get("meter", {})}}


def _described(path: Path) -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return described


def _words(settings: Mapping[str, Any]) -> list[str]:
    """The agent's command line."""
    given = [("--plugin", settings.get("plugins", ())), ("--runtime", settings.get("runtimes", ()))]
    words = [word for option, names in given for name in names for word in (option, str(name))]
    return [*words, "--wait", str(settings.get("wait_s", WAIT_S))]
