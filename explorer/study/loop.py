"""The loop of a study: ask ahead, hand out, hear, store, tell; in one thread, whatever the number of boards.

    ask ──► queue ──► a free board ──► Finished ──► store ──► tell ──► ask …
              ▲                           │
              └── in front ── Lost, or a job that failed for the first time

The record is on the disk before the sampler hears of it. A candidate is begun once its number is on the disk: a run
that is killed continues with what it had begun, under the same number, so that a board which has measured it meanwhile
answers from memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from explorer.compression import Compression
from explorer.config import Experiment
from explorer.errors import DeviceLost, Infeasible, JobFailed
from explorer.evaluate import violations
from explorer.execution import WORKERS
from explorer.fleet.duties import NOT_BEGUN, Turn
from explorer.fleet.fleet import Fleet
from explorer.fleet.member import Broke, Event, Finished, Joined, Left, Lost, Member, Said
from explorer.pipeline import Done, Pipeline
from explorer.result import Evaluation, Metric, Record
from explorer.scale import Metrics, Scale, scale_of
from explorer.search.search import Search, baseline
from explorer.space import Candidate
from explorer.store import Store
from explorer.study.budget import Budget

# A candidate is recorded as failed, so that a night goes on, when boards were lost with it so often in a row at one
# and the same job (a bad link takes whoever is under way, and whatever), or so often in all.
LOSSES_IN_A_ROW, LOSSES = 3, 5
LOST_AGAIN = " (lost again and again, and finished nothing between)"


class Watcher(Protocol):
    """Whoever wants to see how a study goes."""

    def begins(self, experiment: Experiment, *, planned: int, records: tuple[Record, ...], note: str) -> None:
        """A run starts; `records` are what earlier runs of the same study left."""

    def trial(self, candidate: Candidate) -> None:
        """A candidate's turn on a device has come."""

    def recorded(self, record: Record, *, done: int, planned: int, eta_s: float) -> None:
        """A record is on the disk."""

    def note(self, text: str) -> None:
        """Something worth a line."""


class Loop:
    """The loop's state: what is asked, what is under way on which board, and how much of the budget is left."""

    def __init__(
        self,
        experiment: Experiment,
        fleet: Fleet,
        store: Store,
        *,
        compression: Compression,
        pipeline: Pipeline,
        watcher: Watcher,
    ) -> None:
        self._experiment, self._fleet, self._store = experiment, fleet, store
        self._compression, self._pipeline, self._watcher = compression, pipeline, watcher
        plan, before = experiment.search, store.records
        self._search = Search(
            experiment.space, experiment.objectives, sampler=plan.sampler, seed=plan.seed, records=before
        )
        self._queue: deque[Turn] = deque()
        self._under_way: set[int] = set()
        self._lost_with: list[tuple[int, str]] = []  # trials with which a board was lost, and at which job; in order
        self._begun = store.unfinished()
        self._next_number = 1 + max([-1, *(record.number for record in before), *self._begun])
        self._budget = Budget(experiment, before)
        self.planned = self._budget.planned(self._search.left)
        self.written: list[Record] = []

    def plainest(self) -> tuple[Candidate, Future[Done]] | None:
        """The candidate to compare boards by, and its network: dense, fp32, the first values of the axes."""
        able = [c for c in self._experiment.space.candidates if self._refusal(c) is None]
        return (plain := baseline(able), self._prepare(plain)) if able else None

    def run(self) -> str:
        """Go on until there is a reason to stop; the reason.

        Raises:
            NoDevice: no board is left.
            BadInput: a board turned out to be none of this fleet.
        """
        self._take_up()
        self._fleet.start()
        while True:
            self._ask_ahead()
            waiting = self._queue and not self._budget.out_of_time
            if waiting and self._fleet.free:
                self._begin(self._next_turn())
            elif waiting or self._under_way:
                self._hear()
            else:
                return self._budget.why_done()

    # Asking

    def _take_up(self) -> None:
        """Begin with what an earlier run had begun, each under its number."""
        for number, params in self._begun.items():
            candidate = self._search.proposal(params)
            if candidate is not None and self._may_ask():
                self._ask(candidate, number=number)

    def _ask_ahead(self) -> None:
        """Keep every board busy, and as many networks in the making as the host can compress meanwhile."""
        ahead = len(self._fleet.members) + WORKERS
        while len(self._queue) + len(self._under_way) < ahead and self._may_ask():
            self._ask()

    def _may_ask(self) -> bool:
        return self._search.left > 0 and self._budget.allows(len(self._queue) + len(self._under_way))

    def _ask(self, wanted: Candidate | None = None, *, number: int = NOT_BEGUN) -> None:
        """Ask for a candidate and let its network be made; what the boards cannot run costs no work."""
        candidate = self._search.ask(wanted)
        assert candidate is not None  # _may_ask saw that one is left
        refusal = self._refusal(candidate)
        network = self._prepare(candidate) if refusal is None else None
        self._queue.append(Turn(candidate, network, refusal, number=number))

    def _refusal(self, candidate: Candidate) -> Infeasible | None:
        try:
            self._fleet.any.check(candidate.deployment)
        except Infeasible as refusal:
            return refusal
        return None

    def _prepare(self, candidate: Candidate) -> Future[Done]:
        return self._pipeline.prepare(self._compression.of(candidate))

    # Handing out

    def _next_turn(self) -> Turn:
        """The front of the queue; with several boards the first whose network is made, so that none waits for it."""
        ready = (turn for turn in self._queue if turn.network is None or turn.network.done())
        turn = next(ready, self._queue[0]) if len(self._fleet.members) > 1 else self._queue[0]
        self._queue.remove(turn)
        return turn

    def _begin(self, turn: Turn) -> None:
        if turn.number == NOT_BEGUN:
            turn = replace(turn, number=self._next_number)
            self._next_number += 1
        self._watcher.trial(turn.candidate)
        if turn.refusal is not None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._settle(turn, turn.refusal, device=self._fleet.any.name, started=now, seconds=0.0)
            return
        self._store.begin(turn.number, turn.candidate.params)
        self._under_way.add(turn.number)
        self._fleet.hand(turn)

    # Hearing

    def _hear(self) -> None:
        """Wait for the next event; where no board is at work, no longer than the time that is left."""
        event = self._fleet.hear(within_s=None if self._under_way else self._budget.left_s)
        if event is not None:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Finished():
                self._finished(event)
            case Joined():
                self._joined(event)
            case Lost():
                self._lost(event.member, event.turn, event.loss)
            case Left(member, why):
                self._watcher.note(f"{in_one_line(why)}; it is given up")
                self._fleet.leave(member, why)
            case Said(text):
                self._watcher.note(text)
            case Broke(error):
                raise error

    def _finished(self, event: Finished) -> None:
        turn, ending = event.turn, event.ending
        self._under_way.discard(turn.number)
        self._fleet.finished(event.member)
        if isinstance(ending, JobFailed) and not turn.attempt:
            self._watcher.note(f"failed, tried once more: {ending}")
            measurement = turn.measurement + (not ending.measurement_stands)
            again = replace(turn, attempt=1, measurement=measurement, network=self._prepare(turn.candidate))
            self._queue.appendleft(again)
        else:
            self._settle(turn, ending, device=event.member.spec, started=event.started, seconds=event.seconds)

    def _joined(self, event: Joined) -> None:
        member = event.member
        if event.after_s:
            self._watcher.note(f"{member.spec}: back after {event.after_s:.0f} s")
        if event.reference is not None:
            self._compare(member, event.reference)
        self._fleet.join(member)

    def _compare(self, member: Member, reference: Metrics) -> None:
        """Keep what the reference engine yielded, and bring the board to the scale of the first."""
        if not reference:
            member.scale = Scale(unknown=True)
            return
        self._store.append_board(_board_line(member, reference))
        member.scale = scale_of(reference, first=_first_reference(self._store))
        if member.scale.ratios:
            told = ", ".join(f"{name} x {ratio.value:.3f}" for name, ratio in member.scale.ratios.items())
            self._watcher.note(f"{member.spec}: its reference lies apart; brought to the first board's scale: {told}")

    def _lost(self, member: Member, turn: Turn | None, loss: DeviceLost) -> None:
        at_fault = self._fleet.lost(member, turn.number if turn else None) or not loss.mends_itself
        self._watcher.note(in_one_line(str(loss)) + ("; it is given up" if at_fault else "; connecting again"))
        if turn is not None:
            self._under_way.discard(turn.number)
            self._lost_with.append((turn.number, loss.job))
            self._put_back(replace(turn, losses=(*turn.losses, str(loss))), member, innocent=at_fault)
        if at_fault:
            self._fleet.leave(member, str(loss) + LOST_AGAIN * loss.mends_itself)

    def _put_back(self, turn: Turn, member: Member, *, innocent: bool) -> None:
        """A candidate without its board: in front at first; from the second time on behind the others, whose fate will
        show whether it is the candidate or the board; in the end it is given up.
        """
        times, lately = len(turn.losses), self._lost_with[-LOSSES_IN_A_ROW:]
        if not innocent and (times >= LOSSES or lately.count(lately[-1]) >= LOSSES_IN_A_ROW):
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            words = f"a board was lost with this candidate {times} times, the last time: {turn.losses[-1]}"
            self._settle(turn, JobFailed(words), device=member.spec, started=now, seconds=0.0)
        elif times == 1:
            self._queue.appendleft(turn)
        else:
            self._queue.append(turn)

    # Recording

    def _settle(
        self, turn: Turn, ending: Evaluation | Infeasible | JobFailed, *, device: str, started: str, seconds: float
    ) -> None:
        """Write down how a candidate ended; then let the sampler and the watcher know."""
        record = self._record(turn, ending, device=device, started=started, seconds=seconds)
        self._store.append(record, raw=record.evaluation.raw)
        self._budget.done += 1
        self.written.append(record)
        self._search.tell(turn.candidate, record)
        done, eta_s = self._budget.done, self._budget.eta_s(self.planned)
        self._watcher.recorded(record, done=done, planned=self.planned, eta_s=eta_s)

    def _record(
        self, turn: Turn, ending: Evaluation | Infeasible | JobFailed, *, device: str, started: str, seconds: float
    ) -> Record:
        record = Record(turn.number, "complete", turn.candidate.params, device, started, seconds)
        match ending:
            case Infeasible():
                measured = ending.measured or Evaluation()
                broken = ending.violations
                return replace(record, state="infeasible", evaluation=measured, constraints=broken, reason=str(ending))
            case JobFailed():
                return replace(record, state="failed", reason="\n".join(filter(None, [str(ending), ending.log_tail])))
        kept = violations(self._experiment.constraints, ending.metrics)
        return replace(record, evaluation=ending, constraints=kept)


def in_one_line(text: str) -> str:
    """A message with what the far side had to say behind it, in brackets."""
    first, *more = [line for line in map(str.strip, text.splitlines()) if line] or [""]
    return f"{first} ({'; '.join(more)})" if more else first


def _board_line(member: Member, reference: Metrics) -> dict[str, Any]:
    assert member.device is not None
    return {
        "board": member.spec,
        "fingerprint": member.device.fingerprint,
        "agent_sha": member.device.agent_sha,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "reference": {name: metric.to_json() for name, metric in reference.items()},
    }


def _first_reference(store: Store) -> Mapping[str, Metric]:
    return {name: Metric.from_json(metric) for name, metric in store.boards[0]["reference"].items()}
