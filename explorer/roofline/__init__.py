"""What a roofline foretells of every candidate before anything is made or run: the free first rung of a search.

the uncompressed network ──► layers ──► cut by the ratio ──┐
the board's hello ──► its sheet ──► units in a mode ───────┴──► seconds of a layer ──► throughput, latency, energy, …

    seconds of a layer = its start + whichever takes longer, computing or moving

Every figure of it is modelled: it steers a search, which learns what it is worth, and is never taken for a measurement.
It stands in no record and in no report. Levels mean nothing, as a search looks at what is foretold standardised; what
should be right is which candidate has more of something, and roughly how much more.
"""

from __future__ import annotations

from explorer.roofline.foretelling import METRICS, Roofline

__all__ = ["METRICS", "Roofline"]
