"""The control of a study: what its reference engine yields, kept beside the trials; the scale that follows from it.

    a board joins a fleet ──► reference alone ──────────► boards.jsonl ──► the board's scale
    a candidate, with the reference beside it ──────────► boards.jsonl ──► level of the study (the first reading)
                                                                           and the points of a control chart

A board that throttles whatever it is given is told apart from one that was too warm once: after so many void trials in
a row its numbers are taken, flagged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from explorer.derivation import VOID
from explorer.fleet.member import Member
from explorer.result import Metric, Record
from explorer.scale import Metrics, Past, Scale, scale_of
from explorer.store import Store

VOIDS = 3  # in a row, after which a board's numbers are flagged instead of void
Note = Callable[[str], None]


class Control:
    """Writes what the reference yielded, and sets each board's scale."""

    def __init__(self, store: Store, past: Past, note: Note) -> None:
        self._store, self._past, self._note = store, past, note
        self._void: dict[str, int] = {}  # board → void trials in a row
        for record in store.records:
            self._count(record)
        for line in store.boards:
            self._keep(line)

    def joined(self, member: Member, reference: Metrics | None) -> None:
        """A board is there, and yielded this with the reference; nothing where it could not be had, None where boards
        are not compared. Keeps it, and brings the board to the scale of the first.
        """
        member.always_void = self._void.get(member.spec, 0) >= VOIDS
        if reference is None:
            return
        if not reference:
            member.scale = Scale(unknown=True)
            return
        told = {name: metric.to_json() for name, metric in reference.items()}
        line = {**_board(member), "reference": told}
        self._store.append_board(line)
        self._keep(line)
        member.scale = scale_of(reference, first=_first_reference(self._store))
        if member.scale.ratios:
            told_ratios = ", ".join(f"{name} x {ratio.value:.3f}" for name, ratio in member.scale.ratios.items())
            self._note(f"{member.spec}: its reference lies apart; brought to the first board's scale: {told_ratios}")

    def recorded(self, member: Member, record: Record) -> None:
        """A trial of a board is on the disk: keep what the reference beside it yielded, count whether it was void."""
        reference = record.evaluation.reference
        if reference is not None:
            mode = str(record.params.get("power_mode", ""))
            told = {"trial": record.number, "power_mode": mode, "latency_ms": reference.to_json()}
            line = {**_board(member), **told, "reference": {"latency_ms": reference.to_json()}}
            self._store.append_board(line)
            self._keep(line)
        self._count(record)
        if self._void.get(record.device, 0) >= VOIDS and not member.always_void:
            member.always_void = True
            flags = ", ".join(_void_flags(record))
            words = f"{VOIDS} void trials in a row ({flags}): this board is always like that"
            self._note(f"{member.spec}: {words}; from now on its numbers are kept, flagged")

    def _keep(self, line: Mapping[str, Any]) -> None:
        past, board = self._past, str(line["board"])
        past.first = past.first or board
        if "latency_ms" in line:
            past.keep(board, str(line.get("power_mode", "")), Metric.from_json(line["latency_ms"]))

    def _count(self, record: Record) -> None:
        if set(record.metrics).difference(record.evaluation.previewed):  # something was measured
            void = bool(_void_flags(record))
            self._void[record.device] = self._void.get(record.device, 0) + 1 if void else 0


def compares_boards(lines: Iterable[Mapping[str, Any]]) -> bool:
    """Whether boards of this study have been compared, each by the reference alone."""
    return any("trial" not in line for line in lines)


def _void_flags(record: Record) -> list[str]:
    return [flag for flag in record.evaluation.flags if flag in VOID]


def _board(member: Member) -> dict[str, Any]:
    assert member.device is not None
    return {
        "board": member.spec,
        "fingerprint": member.device.fingerprint,
        "agent_sha": member.device.agent_sha,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _first_reference(store: Store) -> Mapping[str, Metric]:
    first = next(line for line in store.boards if "trial" not in line)
    return {name: Metric.from_json(metric) for name, metric in first["reference"].items()}
