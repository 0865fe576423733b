"""Rounds: several engines take turns, in an order that is shuffled anew each round.

    round 0   ├─ B ─┼─ A ─┼─ C ─┤     what the board does to all of them alike cancels in the ratios of one round;
    round 1   ├─ A ─┼─ C ─┼─ B ─┤     no engine always follows the same one
    round 2   …

A turn begins with one inference that is not counted: until then the caches are those of the engine before.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Iterator, Sequence

from explorer_agent.measuring.lanes import NS, Lanes, Window
from explorer_agent.measuring.stats import median_half_width
from explorer_agent.measuring.windows import Tell
from explorer_agent.messages import Plan

ROUNDS_MIN = 6  # of fewer the median has no 95 % interval


@dataclass(frozen=True)
class Block:
    """One turn of one engine."""

    round: int
    entrant: int
    window: Window


def run_rounds(entrants: Sequence[Lanes], engines: Sequence[str], plan: Plan, tell: Tell) -> list[Block]:
    """`plan.rounds` rounds at most.

    Args:
        entrants: warmed up.
        engines: their names, which seed the order: the same engines, the same order.
        plan: without windows (a race) all rounds are run, for it must tell apart what is nearly equal.
        tell: hears the share of the rounds that is done.
    """
    blocks: list[Block] = []
    for number, order in enumerate(orders(engines, plan.rounds)):
        blocks += [Block(number, entrant, _turn(entrants[entrant], int(plan.block_s * NS))) for entrant in order]
        tell((number + 1) / plan.rounds)
        if plan.budget_s > 0 and number + 1 >= ROUNDS_MIN and _is_tight(blocks, len(entrants), plan):
            break
    return blocks


def orders(engines: Sequence[str], rounds: int) -> Iterator[list[int]]:
    """Who has which turn, round by round."""
    seed = hashlib.sha256(" ".join(engines).encode("ascii")).digest()
    chance = random.Random(int.from_bytes(seed, "big"))
    for _ in range(rounds):
        yield chance.sample(range(len(engines)), len(engines))


def _turn(lanes: Lanes, block_ns: int) -> Window:
    lanes.steps[0]()
    return lanes.run(block_ns)


def _is_tight(blocks: Sequence[Block], entrants: int, plan: Plan) -> bool:
    """Whether every ratio to the first engine is known well enough."""
    seconds = {(block.round, block.entrant): block.window.seconds_each for block in blocks}
    rounds = range(blocks[-1].round + 1)
    ratios = ([seconds[turn, 0] / seconds[turn, entrant] for turn in rounds] for entrant in range(1, entrants))
    return all(median_half_width(those) <= plan.relative_interval for those in ratios)
