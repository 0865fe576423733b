"""Every figure of a study derived again from its raw data, and compared with what was recorded, bit for bit.

trials.jsonl ── metrics, flags ──┐
raw/0007.json.gz, … ── derive ───┴──► equal? ──► a line for whatever is not
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from explorer import store
from explorer.derivation import DERIVATION, figures, of_raw, race, score_of
from explorer.errors import BadInput
from explorer.result import Evaluation, Record
from explorer.store import StudyData

# What of a record follows from its raw data.
_DERIVED = ("metrics", "estimated", "simulated", "flags", "scaled")


@dataclass
class Recomputed:
    """How it came out.

    Attributes:
        same: records and races whose figures came out as recorded.
        older: those whose derivation this program no longer has.
        bare: those that have no figures: nothing was measured.
        recorded: those whose figures were read from a table: there is nothing to derive them from.
        differs: a line each for whatever is not as recorded, or cannot be derived.
    """

    name: str
    same: int = 0
    bare: int = 0
    recorded: int = 0
    older: Counter[int] = field(default_factory=Counter)
    differs: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differs

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.same} derived again from raw data, bit for bit as recorded"]
        if self.bare:
            lines.append(f"{self.bare} without figures: nothing was measured")
        if self.recorded:
            lines.append(f"{self.recorded} read from a recorded table: there is nothing to derive them from")
        for number, count in sorted(self.older.items()):
            lines.append(
                f"{count} not compared: they belong to derivation {number}, this program has derivation {DERIVATION}"
            )
        if self.differs:
            lines += [f"{len(self.differs)} not as recorded:", *(f"  {line}" for line in self.differs)]
        return "\n".join(lines)


def recompute(folder: Path) -> Recomputed:
    """Derive every record's and every race's figures again.

    Raises:
        BadInput: the folder holds no study that can be read.
    """
    data = store.read(folder)
    found = Recomputed(data.name)
    for record in data.records:
        _compare(found, data, record)
    for line in data.races:
        _compare_race(found, data, line)
    return found


def _compare(found: Recomputed, data: StudyData, record: Record) -> None:
    name = f"trial {record.number}"
    try:
        raw, score = data.raw(record.number), data.score(record.number)
    except BadInput as error:
        found.differs.append(f"{name}: {error}")
        return
    if raw is None:
        if record.evaluation.previewed and score is not None:
            _note_again(found, record, replace(record.evaluation, metrics=figures(score_of(score))))
        elif record.evaluation.recorded:
            found.recorded += 1
        elif record.metrics:
            found.differs.append(f"{name}: no raw data, its figures cannot be derived")
        else:
            found.bare += 1
        return
    derivation = raw.get("derivation", {}).get("format", 1)
    if derivation != DERIVATION:
        found.older[derivation] += 1
        return
    derived = of_raw(raw, None if score is None else score_of(score))
    assert derived is not None  # its derivation is ours
    again = replace(
        record.evaluation,
        metrics=derived.metrics,
        estimated=derived.estimated,
        simulated=derived.simulated,
        flags=derived.flags,
        scaled=derived.scaled,
    )
    _note_again(found, record, again)


def _note_again(found: Recomputed, record: Record, again: Evaluation) -> None:
    _note(found, f"trial {record.number}", record.to_json(), replace(record, evaluation=again).to_json())


def _note(found: Recomputed, name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    told = [f"{name}: {line}" for part in _DERIVED for line in _differences(part, was[part], now[part])]
    found.differs += told
    found.same += not told


def _differences(part: str, was: Any, now: Any) -> Iterator[str]:
    if not isinstance(was, Mapping):
        if was != now:
            yield f"{part}: recorded {was}, derived {now}"
        return
    for key in {**was, **now}:
        if was.get(key) != now.get(key):
            yield f"{key}: recorded {_shown(was.get(key))}, derived {_shown(now.get(key))}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping) and "value" in value:
        return f"{value['value']} [{value['low']}, {value['high']}]"
    return "nothing" if value is None else str(value)


def _compare_race(found: Recomputed, data: StudyData, line: Mapping[str, Any]) -> None:
    name = f"race {line['race']}"
    try:
        raw = data.raw_race(int(line["race"]))
    except BadInput as error:
        found.differs.append(f"{name}: {error}")
        return
    if raw is None:
        found.differs.append(f"{name}: no raw data, its readings cannot be derived")
        return
    told = [f"{name}: {line}" for line in _differences("readings", line["readings"], race.readings_of(raw))]
    found.differs += told
    found.same += not told
