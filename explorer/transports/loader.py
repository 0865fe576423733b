"""Runs on the board, in its own python3 (3.8 or newer), before the agent is there; the host sends this text.

    host ──► order: one line of JSON {"sha256", "size", "home", "words"}
         ◄── "have" | "send" | "trouble"
         ──► the bundle's bytes, if asked for      ◄── "done" | "trouble"
    then this process becomes the agent, on the same stdin and stdout.

It reads not one byte more than that: what follows belongs to the agent.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from typing import Any, BinaryIO

MARK = "explorer-loader "
KEPT = 4  # bundles, the newest


def say(**words: Any) -> None:
    os.write(1, ("\n" + MARK + json.dumps(words) + "\n").encode("ascii"))


def load(stream: BinaryIO) -> None:
    """Make the agent's file be here, and become the agent; `stream` is stdin, unbuffered."""
    order = json.loads(stream.readline())
    home = os.path.abspath(os.path.expanduser(order["home"]))
    agents = os.path.join(home, "agents")
    bundle = os.path.join(agents, "explorer-agent-" + order["sha256"][:16] + ".pyz")
    try:
        os.makedirs(agents, exist_ok=True)
        for folder in (home, agents):
            own(folder)
        if is_right(bundle, order):
            say(say="have")
        else:
            say(say="send")
            receive(stream, bundle, order)
            say(say="done")
        prune(agents, bundle)
    except OSError as error:
        room = error.errno in (errno.ENOSPC, errno.EDQUOT)
        say(say="trouble", kind="room" if room else "home", home=home, why=error.strerror or str(error))
        return
    words = [sys.executable, "-I", bundle, "serve", "--home=" + home]
    os.execv(sys.executable, words + order["words"])


def own(folder: str) -> None:
    """Nobody but this user may put code, engines or orders into `folder`."""
    facts = os.stat(folder)
    if facts.st_uid != os.getuid():
        raise OSError(errno.EPERM, "it belongs to another user")
    if facts.st_mode & 0o022:
        os.chmod(folder, facts.st_mode & 0o7755)


def is_right(path: str, order: dict[str, Any]) -> bool:
    try:
        with open(path, "rb") as file:
            seen = hashlib.sha256(file.read()).hexdigest()
        return bool(seen == order["sha256"])
    except FileNotFoundError:
        return False


def receive(stream: BinaryIO, path: str, order: dict[str, Any]) -> None:
    """Exactly as many bytes as were announced; at `path` only when they are right."""
    pieces, left = [], order["size"]
    while left:
        piece = stream.read(min(left, 65536))
        if not piece:
            sys.exit("explorer: the host went away")
        pieces.append(piece)
        left -= len(piece)
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(b"".join(pieces))
        if not is_right(part, order):
            sys.exit("explorer: the agent arrived damaged")
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def prune(folder: str, used: str) -> None:
    """Keep the bundles that were used last; an agent that still runs from an older one has loaded it long ago."""
    os.utime(used)
    found = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".pyz")]
    for path in sorted(found, key=os.path.getmtime, reverse=True)[KEPT:]:
        os.unlink(path)
