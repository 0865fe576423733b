"""What NVIDIA's own runner made of the same engines: on how many it agrees, and why not on the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from explorer.report import wording
from explorer.result import Record


def about_the_verification(records: Iterable[Record]) -> Iterator[str]:
    """A line on those that were verified, and one for each reason why others were not; none where nobody asked."""
    asked = [record for record in sorted(records, key=lambda r: r.number) if record.evaluation.verified]
    if judged := [record for record in asked if "agrees" in record.evaluation.verified]:
        yield _agreement(judged)
    groups: dict[tuple[str, str], list[int]] = {}
    for record in asked:
        if why_not := str(record.evaluation.verified.get("why_not", "")):
            groups.setdefault((_by(record), why_not), []).append(record.number)
    for (by, why_not), numbers in groups.items():
        yield f"not verified by {by} ({wording.trials(numbers)}), because: {why_not}"


def _agreement(judged: list[Record]) -> str:
    """``trtexec agrees within 3.1 % on 11 of 12 trials``, and by how much it does not on the others."""
    agreeing = [record for record in judged if record.evaluation.verified["agrees"]]
    others = [record for record in judged if record not in agreeing]
    within = f" within {max(map(_off, agreeing)):.1%}".replace("%", " %") if agreeing else ""
    there = ", ".join(f"{_ratio(r):.2f} (trial {r.number})" for r in others[:8]) + (" …" if len(others) > 8 else "")
    against = f"; elsewhere our throughput is so much of its: {there}" if others else ""
    return f"{_by(judged[0])} agrees{within} on {len(agreeing)} of {len(judged)} trials{against}"


def _by(record: Record) -> str:
    return str(record.evaluation.verified.get("by", "another runner"))


def _off(record: Record) -> float:
    return abs(_ratio(record) - 1)


def _ratio(record: Record) -> float:
    ratio: Mapping[str, Any] = record.evaluation.verified["ratio"]
    return float(ratio["throughput_ips"])
