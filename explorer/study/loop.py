"""The loop of a study: ask ahead, hand out, hear, store, tell; in one thread, whatever the number of boards.

    ask ──► queue ──► a free board ──► Finished ──► store ──► tell ──► ask …      nothing to ask ──► races ──► done
              ▲                           │                                      (explorer.study.race)
              └── in front ── Lost, or a job that failed for the first time

The record is on the disk before the sampler hears of it. A candidate is begun once its number is on the disk: a run
that is killed continues with what it had begun, under the same number, so that a board which has measured it meanwhile
answers from memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from explorer.config import Experiment
from explorer.errors import DeviceLost, Dominated, Infeasible, JobFailed, in_one_line
from explorer.evaluate import APART, violations
from explorer.execution import WORKERS
from explorer.fleet.duties import NOT_BEGUN, Heat, Turn
from explorer.fleet.fleet import Fleet
from explorer.fleet.member import Broke, Ending, Event, Finished, Joined, Left, Lost, Member, Raced, Said
from explorer.impossible import Impossible, ruled_out
from explorer.pipeline import Done
from explorer.result import Evaluation, Record, Stopped
from explorer.search.search import Search, baseline
from explorer.space import Candidate
from explorer.statistics import Measurement
from explorer.store import Store
from explorer.study.budget import Budget, Stop
from explorer.study.control import Control
from explorer.study.earlier import Earlier
from explorer.study.foretold import Foretold
from explorer.study.order import Waiting, modes_of
from explorer.study.race import Racing, result_of, share_s
from explorer.study.watcher import Watcher
from explorer.study.workshop import Workshop

# A candidate is recorded as failed, so that a night goes on, when boards were lost with it so often in a row at one
# and the same job (a bad link takes whoever is under way, and whatever), or so often in all.
LOSSES_IN_A_ROW, LOSSES = 3, 5
LOST_AGAIN = " (lost again and again, and finished nothing between)"


@dataclass(frozen=True)
class Beforehand:
    """What a study knows before it tries anything.

    Attributes:
        impossible: what of the space no board can run.
        earlier: studies that it learns from.
        foretold: what a model says of its candidates.
        ladder: boards are told what each candidate may come to, so that they stop those that are dominated.
    """

    impossible: Impossible
    earlier: Sequence[Earlier] = ()
    foretold: Foretold | None = None
    ladder: bool = False


class Loop:
    """The loop's state: what is asked, what is under way on which board, and how much of the budget is left."""

    def __init__(
        self,
        experiment: Experiment,
        fleet: Fleet,
        store: Store,
        *,
        workshop: Workshop,
        control: Control,
        watcher: Watcher,
        beforehand: Beforehand,
    ) -> None:
        self._experiment, self._fleet, self._store, self._control = experiment, fleet, store, control
        self._prepare, self._watcher = workshop.prepare, watcher
        plan, before = experiment.search, store.records
        self._search = Search(
            experiment.space,
            experiment.objectives,
            sampler=plan.sampler,
            seed=plan.seed,
            records=before,
            constraints=experiment.constraints,
            impossible=beforehand.impossible.reasons,
            by_time=plan.trials is None and plan.seconds is not None,
            earlier=[one.records for one in beforehand.earlier],
            prior=beforehand.foretold.prior if beforehand.foretold is not None else None,
        )
        self._beforehand = beforehand
        self._queue = Waiting(modes_of(experiment))
        self._racing = Racing(experiment, store.folder)
        self._heat: Heat | None = None  # the race under way
        self._under_way: set[int] = set()
        self._lost_with: list[tuple[int, str]] = []  # trials with which a board was lost, and at which job; in order
        self._begun = store.unfinished()
        self._next_number = 1 + max([-1, *(record.number for record in before), *self._begun])
        self._before, self.written = before, list[Record]()
        self._budget = Budget(experiment, before, store.races, store.runs)
        self._keep_time()
        self.planned = self._budget.planned(self._search.left)

    def plainest(self) -> tuple[Candidate, Future[Done]] | None:
        """The candidate to compare boards by, and its network: dense, fp32, the first values of the axes."""
        able = self._search.candidates
        return (plain := baseline(able), self._prepare(plain)) if able else None

    def run(self) -> Stop:
        """Go on until there is a reason to stop; the reason, which is then on the disk.

        Raises:
            NoDevice: no board is left.
            BadInput: a board turned out to be none of this fleet.
        """
        self._tell_of_learning()
        self._tell_of_stopping()
        self._take_up()
        self._fleet.start()
        while True:
            self._ask_ahead()
            waiting = self._queue and not self._budget.closing
            if waiting and self._fleet.free:
                self._begin(self._queue.take(self._fleet.free[0], alone=len(self._fleet.members) == 1))
            elif waiting or self._under_way or self._heat is not None:
                self._hear()
            elif not self._race():
                if not self._budget.closing or self._budget.out_of_time:
                    return self._end()
                self._budget.keep(0.0)  # races need no more of the time: candidates may have it

    def _tell_of_learning(self) -> None:
        for one in self._beforehand.earlier:
            told = f"{self._search.sampler}, which auto takes for a space of this size, does not learn from {one.named}"
            self._watcher.note(f"learns from: {one}" if self._search.learns else told)
        if self._beforehand.foretold is not None:
            self._watcher.note(str(self._beforehand.foretold))

    def _tell_of_stopping(self) -> None:
        """A wish that cannot be fulfilled is not passed over in silence."""
        plan = self._experiment.search
        if plan.stop_below and not self._search.tells_gain:
            words = f"{plan.sampler} does not tell what it expects to gain, as front does"
            self._watcher.note(f"search.stop_below has no effect: {words}")

    def _end(self) -> Stop:
        stop = self._budget.why_done(self._search.left)
        assert stop is not None  # nothing is asked for any more
        stop = replace(stop, words="; ".join(filter(None, [stop.words, self._racing.over])))
        self._store.append_run(self._budget.told(stop))
        return stop

    # Asking

    def _take_up(self) -> None:
        """Begin with what an earlier run had begun, each under its number."""
        for number, params in self._begun.items():
            candidate = self._search.proposal(params)
            if candidate is not None and self._may_ask():
                self._ask(candidate, number=number)

    def _ask_ahead(self) -> None:
        """Keep every board busy, and as many networks in the making as the host can compress meanwhile."""
        ahead = len(self._fleet.members) + WORKERS + self._queue.ahead
        while len(self._queue) + len(self._under_way) < ahead and self._may_ask():
            self._ask()

    def _may_ask(self) -> bool:
        return self._search.left > 0 and self._budget.allows(len(self._queue) + len(self._under_way))

    def _ask(self, wanted: Candidate | None = None, *, number: int = NOT_BEGUN) -> None:
        """Ask for a candidate and let its network be made."""
        candidate = self._search.ask(wanted)
        assert candidate is not None  # _may_ask saw that one is left
        self._budget.expects(self._search.expected_gain)
        self._queue.add(Turn(candidate, self._prepare(candidate), number=number))

    # Handing out

    def _begin(self, turn: Turn) -> None:
        if turn.number == NOT_BEGUN:
            turn = replace(turn, number=self._next_number)
            self._next_number += 1
        if self._beforehand.ladder:
            turn = replace(turn, hope=self._search.prospect(turn.candidate, spread=APART))
        self._watcher.trial(turn.candidate)
        self._store.begin(turn.number, turn.candidate.params)
        self._under_way.add(turn.number)
        self._fleet.hand(turn)

    def _race(self) -> bool:
        """Have a free board measure undecided candidates against each other; False when there is no race to be held."""
        lineup = self._racing.next(self._budget.left_s)
        if lineup is None:
            return False
        self._watcher.racing(undecided=lineup.undecided)
        self._heat = self._racing.heat(lineup, self._prepare)
        if self._fleet.free:
            self._fleet.hand(self._heat)
        else:
            self._heat = None
            self._hear()
        return True

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
            case Raced():
                self._raced(event)
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
        if isinstance(ending, JobFailed) and not turn.attempt and not ending.final:
            self._watcher.note(f"failed, tried once more: {ending}")
            measurement = turn.measurement + (not ending.measurement_stands)
            again = replace(turn, attempt=1, measurement=measurement, network=self._prepare(turn.candidate))
            self._queue.put_in_front(again)
        else:
            record = self._settle(turn, ending, device=event.member.spec, started=event.started, seconds=event.seconds)
            self._control.recorded(event.member, record)

    def _raced(self, event: Raced) -> None:
        self._heat = None
        self._fleet.finished(event.member)
        if isinstance(event.ending, Measurement):
            line, raw = result_of(
                event.heat, event.ending, device=event.member.spec, started=event.started, seconds=event.seconds
            )
            self._store.append_race(line, raw=raw)
        elif self._racing.failed(event.heat):
            self._watcher.note(f"a race failed, trying a smaller one: {in_one_line(str(event.ending))}")
        else:
            self._watcher.note(f"no races: {in_one_line(str(event.ending))}")

    def _joined(self, event: Joined) -> None:
        member = event.member
        if event.after_s:
            self._watcher.note(f"{member.spec}: back after {event.after_s:.0f} s")
        self._control.joined(member, event.reference)
        self._fleet.join(member)

    def _lost(self, member: Member, turn: Turn | Heat | None, loss: DeviceLost) -> None:
        at_fault = self._fleet.lost(member, turn.number if isinstance(turn, Turn) else None) or not loss.mends_itself
        self._watcher.note(in_one_line(str(loss)) + ("; it is given up" if at_fault else "; connecting again"))
        if isinstance(turn, Heat):
            self._heat = None
            self._racing.failed(turn)  # perhaps so many engines were too much for it
        elif turn is not None:
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
            self._queue.put_in_front(turn)
        else:
            self._queue.add(turn)

    # Recording

    def _settle(self, turn: Turn, ending: Ending, *, device: str, started: str, seconds: float) -> Record:
        """Write down how a candidate ended; then let the sampler and the watcher know."""
        record = self._record(turn, ending, device=device, started=started, seconds=seconds)
        self._store.append(record)
        self._budget.done += 1
        self.written.append(record)
        self._search.tell(turn.candidate, record)
        self._rule_out(record)
        done, eta_s = self._budget.done, self._budget.eta_s(self.planned)
        self._watcher.recorded(record, done=done, planned=self.planned, eta_s=eta_s)
        self._keep_time()
        return record

    def _rule_out(self, record: Record) -> None:
        """What the record shows to be impossible is never tried: neither asked for nor, if it waits already, begun."""
        because = record.because
        if not self._search.is_rule(because):
            return
        waiting = self._queue.withdraw(lambda turn: turn.candidate.has(because))
        for turn in waiting:
            self._search.withdraw(turn.candidate)
        if not (count := len(waiting) + self._search.rule_out(because)):
            return
        self._store.append_run({"trial": record.number, "because": dict(because), "left_out": count})
        self._watcher.note(ruled_out(record.number, because, count))
        under_way = len(self._queue) + len(self._under_way)
        self.planned = self._budget.planned(self._search.left + under_way)

    def _keep_time(self) -> None:
        """Let candidates leave enough of a limit of time for races."""
        self._budget.keep(share_s(self._experiment, (*self._before, *self.written)))

    def _record(self, turn: Turn, ending: Ending, *, device: str, started: str, seconds: float) -> Record:
        record = Record(turn.number, "complete", turn.candidate.params, device, started, seconds)
        match ending:
            case Infeasible():
                measured = ending.measured or Evaluation()
                broken = ending.violations
                because = ending.because if turn.candidate.has(ending.because) else {}
                found = replace(record, state="infeasible", evaluation=measured, constraints=broken)
                return replace(found, reason=str(ending), because=because)
            case Dominated():
                kept = {name: v for name, v in self._violations(ending.measured).items() if v <= 0}  # others: unjudged
                found = replace(record, state="dominated", evaluation=ending.measured, constraints=kept)
                return replace(found, reason=str(ending), stopped=Stopped(ending.after, round(ending.confidence, 6)))
            case JobFailed():
                reason = "\n".join(filter(None, [str(ending), ending.log_tail]))
                return replace(record, state="failed", evaluation=ending.measured or Evaluation(), reason=reason)
        return replace(record, evaluation=ending, constraints=self._violations(ending))

    def _violations(self, found: Evaluation) -> dict[str, float]:
        return violations(self._experiment.constraints, found.metrics)
