"""One candidate → one evaluation.

story      build, measure, infer, score; what a constraint or a missing objective makes of it
ladder     whether there is a point in going on, by what is known so far
building   the engine, if nothing is known to speak against it
taking     the measurement, and what goes with it
recorded   the other way to an evaluation: a look into a table that was measured before
bench      what all trials on one board share
"""

from explorer.evaluate.bench import Bench, Builder, Hope, on_the_board
from explorer.evaluate.building import build
from explorer.evaluate.ladder import APART
from explorer.evaluate.recorded import looked_up
from explorer.evaluate.story import evaluate, measured, violations

__all__ = [
    "APART",
    "Bench",
    "Builder",
    "Hope",
    "build",
    "evaluate",
    "looked_up",
    "measured",
    "on_the_board",
    "violations",
]
