"""From a bare login to a running agent: what is assumed of the far shell, and what is said when it is otherwise.

    host                                     board
    exec python3 -c STAGE  ───────────►      login shell ► python3 ► STAGE
    the loader's text      ───────────►      STAGE runs it
    order                  ───────────►      is the bundle here, and whole?
                           ◄───────────      have | send        (whatever was printed before is noise)
    bundle, if asked for   ───────────►      verified, moved into place
                           ◄───────────      done
                                             exec python3 -I bundle serve …    the protocol's first byte follows

Assumptions, each with the sentence that is said where it does not hold (`_silence`, `_trouble`, `_await`):

1.  The login shell runs one command line of plain words in single quotes: sh, bash, zsh, fish, csh alike. STAGE holds
    neither quote nor backslash nor exclamation mark nor line end; whatever a user chose goes through stdin as JSON.
2.  python3 is on the PATH of a shell that is not interactive; or the option `python` names it.
3.  It is 3.8 or newer. STAGE asks first, in words that Python 2 understands too.
4.  The agent's home can be written; or the option `home` names a place that can.
5.  The disk has room for the agent, some 200 kB.
6.  What start-up files print on stdout ends before the loader speaks, and is at most NOISE bytes.
7.  The board's python3 starts within START_S.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from explorer.errors import NoDevice
from explorer.transports import loader

HOME = "~/.cache/explorer-agent"
NOISE = 1 << 16
START_S = 60.0
# As old as Python 2 in its words. The folder of the login is taken off the path: a json.py may lie there.
STAGE = (
    "import os,sys;sys.path.pop(0);"
    'sys.version_info>=(3,8) or sys.exit("explorer: this is Python "+sys.version.split()[0]);'
    'f=os.fdopen(0,"rb",0);exec(eval(f.readline()));load(f)'
)


class Far(Protocol):
    """The far side of one command: its streams, and how it ended."""

    incoming: BinaryIO
    outgoing: BinaryIO

    def last_words(self) -> str: ...

    def wait_until(self, deadline: float | None) -> None:
        """From then on a read past `deadline` (time.monotonic) raises TimeoutError; None: no read does."""


@dataclass(frozen=True)
class Agent:
    """What is to run on the board, and with what."""

    bundle: Path
    sha256: str
    words: Sequence[str] = ()
    home: str = HOME
    python: str = "python3"


def command(agent: Agent) -> str:
    """What the login shell is given."""
    return f"{shlex.quote(agent.python)} -Es -c {shlex.quote(STAGE)}"


def start(far: Far, agent: Agent, name: str) -> int:
    """Talk the board's python3 into becoming the agent; returns the bytes of the bundle that had to be sent.

    Raises:
        NoDevice: an assumption does not hold; which one, and what to do.
    """
    data = agent.bundle.read_bytes()
    order = {"sha256": agent.sha256, "size": len(data), "home": agent.home, "words": list(agent.words)}
    text = json.dumps(Path(loader.__file__).read_text(encoding="utf-8"))
    far.wait_until(time.monotonic() + START_S)
    try:
        _send(far, f"{text}\n{json.dumps(order)}\n".encode("ascii"))
        answer = _await(far, agent, name)
        if answer["say"] == "send":
            _send(far, data)
            _await(far, agent, name)
            return len(data)
        return 0
    except TimeoutError as error:
        raise NoDevice(
            f"{name}: python3 did not start within {START_S:.0f} s; does a start-up file of the shell wait for input?"
        ) from error
    finally:
        far.wait_until(None)


def _send(far: Far, data: bytes) -> None:
    try:
        far.outgoing.write(data)
        far.outgoing.flush()
    except TimeoutError:
        raise
    except OSError:  # it has ended: what it said is about to be read
        return


def _await(far: Far, agent: Agent, name: str) -> dict[str, str]:
    """The loader's next word; noise before it is skipped."""
    noise, mark = 0, loader.MARK.encode("ascii")
    while True:
        line = far.incoming.readline(NOISE)
        if not line:
            raise _silence(far, agent, name)
        if line.startswith(mark):
            break
        noise += len(line)
        if noise > NOISE:
            raise NoDevice(
                f"{name}: the login shell prints more than {NOISE >> 10} KiB on stdout before it runs our command, "
                f"last {line[-60:]!r}; keep .bashrc and the like quiet for shells that are not interactive"
            )
    answer = _read(line[len(mark) :], name)
    if answer["say"] == "trouble":
        raise _trouble(answer, name)
    return answer


def _read(line: bytes, name: str) -> dict[str, str]:
    """What the loader says, as plain words: it comes from the board, and ends on a terminal."""
    try:
        words = json.loads(line)
        return {key: _plain(str(words[key])) for key in ("say", "kind", "home", "why") if key in words or key == "say"}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NoDevice(f"{name}: what answers there is not our loader: {line[:60]!r}") from error


def _silence(far: Far, agent: Agent, name: str) -> NoDevice:
    """The far side ended without a word of the loader's; its stderr and status say why."""
    words = far.last_words()
    advice = next((advice for found, advice in _CAUSES if found(words)), _ADVICE).format(python=agent.python)
    said = "".join(f"\n    board: {_plain(line)}" for line in words.splitlines()[-8:])
    return NoDevice(f"{name}: {advice}{said}")


def _trouble(answer: dict[str, str], name: str) -> NoDevice:
    home, why = answer.get("home", ""), answer.get("why", "")
    if answer.get("kind") == "room":
        return NoDevice(f"{name}: no room for the agent on the board below {home} ({why})")
    return NoDevice(
        f"{name}: cannot write below {home} on the board ({why}); "
        "name a folder that can be written with the option home: /some/folder"
    )


def _plain(text: str) -> str:
    """`text` without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:500])


_ADVICE = "the board does not run our command ({python} -c …); does its login shell run commands at all?"
_CAUSES: tuple[tuple[Callable[[str], bool], str], ...] = (
    (
        lambda words: "explorer: this is Python" in words,
        "{python} on the board is older than 3.8; install a newer one beside it, and name it with the option python: "
        "/usr/bin/python3.8",
    ),
    (
        lambda words: "ended with status 127" in words or "ended with status 126" in words,
        "there is no {python} on the board that its shell can run; install it (sudo apt install python3), or say where "
        "it is with the option python: /path/to/python3",
    ),
    (lambda words: "explorer: the agent arrived damaged" in words, "the agent arrived damaged on the board; try again"),
)
