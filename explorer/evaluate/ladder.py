"""Rungs of a trial, the cheap ones first: whoever is dominated for sure climbs no further.

    network ── preview on the host ──► engine ── short bench ──► full bench ──► outputs, scores
                      │                              │               │
                      └── hardly a chance that nobody known dominates it? ──► Dominated, with what is known by then

What was believed before anything was measured is the search's (`Hope`); it is joined with what was measured. There is a
preview where the board is another machine than the host, and a short bench where the full one is long; where there is
neither, nobody is stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from explorer.derivation import Score, figures, score_json, score_of
from explorer.errors import Dominated
from explorer.evaluate.bench import Bench
from explorer.pipeline import Done
from explorer.ranking import ONCE
from explorer.ranking.readings import DOUBTED, HARMLESS, TIMED, log_variance
from explorer.result import Constraint, Evaluation, Metric, Rung, StageTime
from explorer.tally import Z_95

# The chance that nobody known dominates a candidate, below which it is stopped. It rests on a model's belief of what is
# still unmeasured: of a hundred that are stopped at this edge, one may have belonged to the front.
HOPELESS = 0.01
# What runs of two candidates differ by, as a share: whoever is nearly as good as another may have had the worse luck.
APART = math.sqrt(2) * ONCE
_AFTER = {"preview": "its preview on this host", "short bench": "a short bench", "full bench": "its bench"}


@dataclass(frozen=True)
class Preview:
    """What the host made of a network.

    Attributes:
        samples: how many it answered; 0 where there was no preview.
        score: what that is worth.
    """

    samples: int = 0
    score: Score = field(default_factory=dict)

    @classmethod
    def of(cls, network: Done) -> Preview:
        """As the stage has told; nothing where there was none, or the host could not run it."""
        told = network.infos.get("preview", {})
        return cls(int(told.get("samples", 0)), score_of(told.get("scores", {})))

    @property
    def told(self) -> dict[str, int]:
        """On how many samples each of its metrics was scored."""
        return dict.fromkeys(self.score, self.samples)

    def evaluation(self, *, stages: Mapping[str, StageTime], artifacts: Mapping[str, str]) -> Evaluation:
        """All that is known of a candidate that no board has seen."""
        return Evaluation(
            figures(self.score),
            stages=dict(stages),
            artifacts=dict(artifacts),
            previewed=self.told,
            score=score_json(self.score),
        )


def look(rung: Rung, found: Evaluation, bench: Bench) -> None:
    """See whether there is a point in going on.

    Raises:
        Dominated: there is hardly any; what was measured is kept.
    """
    wanted = {objective.metric for objective in bench.experiment.objectives}
    if bench.hope is None or wanted.isdisjoint(found.metrics):
        return
    doubted = bool(set(found.flags) - HARMLESS)
    chance = bench.hope.chance({name: _as_run_once(name, m, doubted=doubted) for name, m in found.metrics.items()})
    if chance < HOPELESS:
        words = _in_words(rung, found, bench, confidence=1 - chance)
        raise Dominated(words, measured=found, after=rung, confidence=1 - chance)


def _as_run_once(name: str, metric: Metric, *, doubted: bool) -> Metric:
    """A metric with what runs differ by in its interval: its own run, and that of whoever it is compared with."""
    if name not in TIMED or metric.value <= 0:
        return metric
    once = APART**2 * (DOUBTED if doubted else 1.0)
    reach = math.exp(Z_95 * math.sqrt(log_variance(metric) + once))
    return replace(metric, low=metric.value / reach, high=metric.value * reach)


def _in_words(rung: Rung, found: Evaluation, bench: Bench, *, confidence: float) -> str:
    objectives = [objective.metric for objective in bench.experiment.objectives]
    known = ", ".join(_said(name, found) for name in objectives if name in found.metrics)
    limits = [c for c in bench.experiment.constraints if c.metric in objectives and c.metric in found.metrics]
    beyond = [str(c) for c in limits if _least_violation(c, found.metrics[c.metric]) > 0]
    what = f"beyond {' and '.join(beyond)}" if beyond else "dominated"
    return f"{what} with {_percent(confidence)} confidence after {_AFTER[rung]}: {known}; not measured further"


def _least_violation(limit: Constraint, metric: Metric) -> float:
    """By how much a limit is broken at the kinder end of the interval."""
    ends = (end for end in (metric.low, metric.value, metric.high) if end is not None)
    return min(limit.violation(end) for end in ends)


def _said(name: str, found: Evaluation) -> str:
    samples = found.previewed.get(name)
    return f"{name} {found.metrics[name].value:.4g}" + (f" (on this host, {samples} samples)" if samples else "")


def _percent(confidence: float) -> str:
    """Never more than it is: ``99.6 %``, ``over 99.9 %``."""
    return "over 99.9 %" if confidence > 0.999 else f"{math.floor(1000 * confidence) / 10:.1f} %"
