"""One candidate → one evaluation.

story      build, measure, infer, score; what a constraint or a missing objective makes of it
building   the engine, if nothing is known to speak against it
taking     the measurement, and what goes with it
bench      what all trials on one board share
"""

from explorer.evaluate.bench import Bench, Builder, on_the_board
from explorer.evaluate.building import build
from explorer.evaluate.story import evaluate, measured, violations

__all__ = ["Bench", "Builder", "build", "evaluate", "measured", "on_the_board", "violations"]
