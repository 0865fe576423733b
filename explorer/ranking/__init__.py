"""Who is on the front, how surely, and whom to measure again: pure functions on records, races and tallies.

    records ──┐                                   ┌── estimate   one value a trial, from all its readings
    races   ──┼─► readings ── spread ─────────────┤
    tallies ──┘   what is     what runs differ by └── draws ──► front ──► standing ──► race
                  known                               joint     shares    who stands   whom to measure next

A trial is measured once, and with luck. What its reading is worth is told by its own interval and by how far readings
of different runs lie apart; races (interleaved blocks of some candidates) take the common part out. Probabilities are
shares of joint draws: of all readings with their covariance, and of the test subjects, the same for all candidates.
"""

from explorer.ranking.paired import Paired, compare
from explorer.ranking.race import next_race
from explorer.ranking.spread import ONCE, Spread
from explorer.ranking.standing import Standing, standing

__all__ = ["ONCE", "Paired", "Spread", "Standing", "compare", "next_race", "standing"]
