"""How many subjects an engine serves at once, from what was really late at fixed arrival and not by division.

level     12    24    18    21    20          subjects, each sending samples at the same rate
passed    yes   no    yes   no    yes   ──►   20: the highest that passed below the first that failed
"""

from __future__ import annotations

import numpy as np

from explorer.result import Metric
from explorer.statistics.measurement import Floats, Measurement

# MLPerf Inference: with 99 % confidence and no query over the latency, a percentile needs so many queries.
_PERCENTILES = ((459, 0.99), (44, 0.90))
TOO_SHORT = "arrival-too-short"


def subjects(measurement: Measurement) -> tuple[dict[str, Metric], tuple[str, ...]]:
    """``subjects_25ips`` with the interval from the highest level that passed to the one before the first that failed;
    nothing where this scenario was left out; nothing, and a doubt, where no level could be judged.
    """
    series = measurement.series
    if "arrival_subjects" not in series or "plan" not in measurement.header:
        return {}, ()
    deadline_s = float(measurement.header["plan"]["deadline_ms"]) / 1e3
    batches = np.split(series["arrival_latency_s"], np.cumsum(series["arrival_count"].astype(np.int64))[:-1])
    judged = [
        (int(level), _passed(late, deadline_s)) for level, late in zip(series["arrival_subjects"], batches, strict=True)
    ]
    failed = min((level for level, held in judged if held is False), default=None)
    passed = max((level for level, held in judged if held and (failed is None or level < failed)), default=0)
    if failed is None:  # all that was tried passed: the limit lies somewhere above
        return ({"subjects_25ips": Metric(float(passed))} if passed else {}), (TOO_SHORT,)
    return {"subjects_25ips": Metric(float(passed), float(passed), float(failed - 1))}, ()


def _passed(latencies: Floats, deadline_s: float) -> bool | None:
    """Whether the percentile that the count allows is within the deadline; None when it allows none."""
    percentile = next((p for count, p in _PERCENTILES if len(latencies) >= count), None)
    return None if percentile is None else bool(np.quantile(latencies, percentile) <= deadline_s)
