"""Whether a finished quickstart did what the README promises; prints what it saw, exits 1 with what is missing.

python .ci/check_quickstart.py results/quickstart --seconds 240
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

PROMISED_S, LONGEST_S = 360, 900  # on two cores of one's own; on a machine that others use, too
AXES = {"prune_ratio", "precision", "runtime", "batch", "threads"}
DEAR_STAGES = {"prune", "finetune", "export", "quantise"}

Record = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long it took")
    parser.add_argument("--before", type=Path, help="an earlier study: no stage that it made may have been made again")
    asked = parser.parse_args()
    records = _records(asked.results)
    study = json.loads((asked.results / "study.json").read_text())
    complete = [record for record in records if record["state"] == "complete"]
    checks = {**_candidates(complete), **_front(complete, study["objectives"]), **_time(asked.seconds)}
    if asked.before:
        checks |= _cached(complete, before=_records(asked.before))
    for name, held in checks.items():
        print(f"{'holds ' if held else 'BROKEN'}  {name}")
    return 0 if all(checks.values()) else 1


def _candidates(complete: list[Record]) -> dict[str, bool]:
    distinct = {json.dumps(record["params"], sort_keys=True) for record in complete}
    dense = [r["metrics"]["accuracy"]["value"] for r in complete if not r["params"]["prune_ratio"] and _is_fp32(r)]
    return {
        f"{len(distinct)} distinct candidates of at least 40": len(distinct) >= 40,
        f"none evaluated twice ({len(complete)} records)": len(distinct) == len(complete),
        f"the axes are {', '.join(sorted(AXES))}": all(set(r["params"]) >= AXES for r in complete),
        f"dense fp32 recognises {max(dense, default=0):.3f} of at least 0.90": max(dense, default=0) >= 0.90,
    }


def _is_fp32(record: Record) -> bool:
    return record["params"]["precision"] == "fp32"


def _front(complete: list[Record], objectives: list[dict[str, str]]) -> dict[str, bool]:
    """The front by brute force: every record against every other."""

    def gains(record: Record) -> list[float]:
        signs = {"max": 1.0, "min": -1.0}
        return [signs[o["direction"]] * record["metrics"][o["metric"]]["value"] for o in objectives]

    def dominated(record: Record) -> bool:
        mine = gains(record)
        return any(all(a >= b for a, b in zip(his, mine, strict=True)) and his != mine for his in map(gains, complete))

    front = [record for record in complete if not dominated(record)]
    both = [r for r in front if r["params"]["prune_ratio"] > 0 and r["params"]["precision"] == "int8"]
    return {
        f"{len(front)} points on the front of at least 5": len(front) >= 5,
        f"{len(both)} of them pruned and quantised": bool(both),
    }


def _time(seconds: float) -> dict[str, bool]:
    if not seconds:
        return {}
    slow = ", slower than promised: is the machine busy?" if seconds > PROMISED_S else ""
    return {f"{seconds:.0f} s of {PROMISED_S}{slow}": seconds <= LONGEST_S}


def _cached(complete: list[Record], *, before: list[Record]) -> dict[str, bool]:
    """What is asked for depends on what was measured, so that a later run may need a stage which no earlier one did."""
    made = {key for record in before for key, _ in _stages(record)}
    stages = [stage for record in complete for stage in _stages(record)]
    again = sorted({str(key) for key, cached in stages if not cached and key in made})
    return {
        f"{len(stages)} stages, none computed again {' '.join(again)}": any(cached for _, cached in stages)
        and not again
    }


def _stages(record: Record) -> list[tuple[tuple[Any, ...], bool]]:
    """The record's dear stages by what they are made from, and whether each was found made."""
    params = record["params"]
    made_from = {"quantise": (params["prune_ratio"], params["precision"], params["runtime"])}
    return [
        ((name, *made_from.get(name, (params["prune_ratio"],))), stage["cached"])
        for name, stage in record["stages"].items()
        if name in DEAR_STAGES
    ]


def _records(folder: Path) -> list[Record]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    sys.exit(main())
