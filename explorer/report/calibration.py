"""On how many samples 8-bit networks have learnt their ranges, and what fewer than enough may cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from explorer.report import wording
from explorer.result import Record

ENOUGH = 256
# What the bound stands on: benchmarks/README.md, "What int8 for TensorRT costs, and with how few samples it costs too
# much"; benchmarks/calibration.py measures it anew.
_WHY = (
    f"fewer than {ENOUGH} may miss what the rest reach; a single sample has cost up to 8.4 points of rank-1 "
    "(benchmarks/README.md); raise dataset: calibration"
)

Samples = tuple[int, str]  # how many, and of what


def calibrated(records: Iterable[Record]) -> dict[Samples, tuple[int, ...]]:
    """Which trials were calibrated on what, the fewest samples first."""
    found: dict[Samples, list[int]] = {}
    for record in records:
        if told := record.evaluation.calibration:
            found.setdefault((int(told["samples"]), str(told["source"])), []).append(record.number)
    return {samples: tuple(sorted(found[samples])) for samples in sorted(found)}


def in_words(records: Iterable[Record]) -> list[str]:
    """``256 samples of dataset walkers``, each different answer once."""
    return [_say(samples) for samples in calibrated(records)]


def too_few(records: Iterable[Record]) -> Iterator[str]:
    """A line for each number of samples that is below `ENOUGH`: who, why that matters, what to do."""
    for samples, numbers in calibrated(records).items():
        if samples[0] < ENOUGH:
            yield f"calibrated on {_say(samples)} ({wording.trials(numbers)}): {_WHY}"


def _say(samples: Samples) -> str:
    count, source = samples
    return f"{count} sample{'s' * (count != 1)} of {source}"
