"""From what is kept to what is told: pure functions, for whoever measures and for whoever checks it later.

trial    raw/0007.json.gz, raw/0007.score.json.gz ──► metrics, estimated, simulated, flags, scaled
race     raw/race-0001.json.gz ──► what the entrants yielded beside each other
"""

from explorer.derivation.trial import (
    DERIVATION,
    VOID,
    Derived,
    Given,
    Score,
    derived,
    figures,
    of_raw,
    raw_of,
    reference_level,
    rounded,
    score_json,
    score_of,
)

__all__ = [
    "DERIVATION",
    "VOID",
    "Derived",
    "Given",
    "Score",
    "derived",
    "figures",
    "of_raw",
    "raw_of",
    "reference_level",
    "rounded",
    "score_json",
    "score_of",
]
