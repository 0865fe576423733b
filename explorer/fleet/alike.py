"""Which boards may share one study: those that one engine, one time and one energy are true of.

What a board says of itself in its hello is compared fact by fact, so that a refusal can say in words what differs. A
fact that only one of the two tells (an older agent, an older study) is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Capabilities = Mapping[str, Any]

# What an engine and its time depend on, by its name in a hello.
_FACTS = {
    "model": "model",
    "module": "module",
    "soc": "chip",
    "cpu": "processor",
    "machine": "architecture",
    "cores": "cores",
    "l4t": "Jetson Linux (L4T)",
    "power_modes": "power modes",
    "power_modes_sha256": "settings of the power modes (nvpmodel.conf)",
}
# Of two equal boards the kernel keeps a little more of the memory for itself on one than on the other.
MEMORY_SLACK = 0.05


def differences(
    known: Capabilities, board: Capabilities, runtimes: Iterable[str], *, sets_mode: bool = False
) -> list[str]:
    """What makes `board` another one than `known`, one line each: ``cores: 8, not 12``; empty for equal boards.

    Args:
        known: what a board of the study said of itself.
        board: what this one says.
        runtimes: those the study uses; the versions of others do not matter.
        sets_mode: whether the study sets the power mode; else it measures in the one that a board is in.
    """
    told = [
        *_plain(known, board),
        *([] if sets_mode else _mode(known, board)),
        *_memory(known, board),
        *_runtimes(known, board, runtimes),
        *_meters(known, board),
        *_plugins(known, board),
    ]
    one, other = known.get("fingerprint"), board.get("fingerprint")
    if not told and one and other and one != other:
        told = [f"fingerprint (instruction sets and the like): {other}, not {one}"]
    return told


def _plain(known: Capabilities, board: Capabilities) -> Iterator[str]:
    for name, words in _FACTS.items():
        if name in known and name in board and known[name] != board[name]:
            yield f"{words}: {_say(board[name])}, not {_say(known[name])}"


def _mode(known: Capabilities, board: Capabilities) -> Iterator[str]:
    one, other = (facts.get("power_mode", {}).get("current", "") for facts in (known, board))
    if one and other and one != other:
        yield f"power mode: {other}, not {one} (an axis power_mode, or one fixed value of it, would set it)"


def _memory(known: Capabilities, board: Capabilities) -> Iterator[str]:
    one, other = (float(facts.get("memory_mb") or 0) for facts in (known, board))
    if one and other and abs(one - other) > MEMORY_SLACK * max(one, other):
        yield f"memory: {other:.0f} MB, not {one:.0f} MB"


def _runtimes(known: Capabilities, board: Capabilities, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        one, other = (facts.get("runtimes", {}).get(name) for facts in (known, board))
        if one is not None and other is not None and _version(one) != _version(other):
            yield f"{name}: {_version(other)}, not {_version(one)}"


def _version(runtime: Mapping[str, Any]) -> str:
    return str(runtime.get("version", "")) if runtime.get("available") else "not available"


def _meters(known: Capabilities, board: Capabilities) -> Iterator[str]:
    """A front that holds one board's measured energies and another's estimated ones would compare nothing."""
    one, other = (
        [name for name, meter in facts.get("meters", {}).items() if meter.get("available")] for facts in (known, board)
    )
    if "meters" in known and "meters" in board and one != other:
        yield f"meters: {_say(other)}, not {_say(one)}"


def _plugins(known: Capabilities, board: Capabilities) -> Iterator[str]:
    """Code of the user's own that measures."""
    one, other = (facts.get("plugins", {}) for facts in (known, board))
    for name in one.keys() & other.keys():
        if one[name].get("sha256") != other[name].get("sha256"):
            yield f"plug-in {name}: code {str(other[name].get('sha256'))[:8]}, not {str(one[name].get('sha256'))[:8]}"


def _say(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, (list, tuple)) else str(value)
