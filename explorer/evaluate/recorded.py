"""One candidate → one evaluation, where all was measured before: a look into the table."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.errors import Infeasible
from explorer.evaluate.story import keep
from explorer.recorded import Recording
from explorer.result import Constraint, Evaluation, Objective
from explorer.space import Candidate


def looked_up(
    candidate: Candidate,
    recording: Recording,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
) -> Evaluation:
    """What the table holds of a candidate.

    Raises:
        Infeasible: it holds nothing of what is wanted, for the candidate was impossible when it was measured; or the
            candidate breaks a constraint.
    """
    evaluation = recording.evaluation(candidate)
    wanted = dict.fromkeys([*(o.metric for o in objectives), *(c.metric for c in constraints)])
    if missing := [name for name in wanted if name not in evaluation.metrics]:
        raise Infeasible(f"the table holds no {' and no '.join(missing)} for it", measured=evaluation)
    keep(constraints, evaluation)
    return evaluation
