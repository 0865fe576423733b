"""What a study wants of each of its boards: a connection to one that is like the others, a reference, an evaluation.

Called in the boards' threads; what several of them could disturb each other in is behind a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from explorer import evaluate, plan
from explorer.config import Experiment
from explorer.datasets.protocols import Dataset
from explorer.device import Device, connect
from explorer.errors import BadInput, Infeasible, JobFailed, Problem, on_board
from explorer.evaluate import Bench, Builder, Hope
from explorer.fleet.alike import differences
from explorer.lacks import lacks
from explorer.oracle import Foresight
from explorer.pipeline import Done, Pipeline
from explorer.result import Evaluation
from explorer.scale import Metrics, Past, Scale
from explorer.space import Candidate, Value
from explorer.statistics import Measurement
from explorer.transports.boards import who_asks

NOT_BEGUN = -1

Capabilities = Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    """A candidate on its way, with its network in the making.

    Attributes:
        number: of the trial, given when a board is about to be asked for it.
        attempt: how often a job of this candidate failed before.
        measurement: how many measurements of it were in vain; part of the name of the next one.
        losses: with which words a board was lost with this candidate before.
        hope: what it may come to, by what was known when a board was asked for it; None: it is seen through.
    """

    candidate: Candidate
    network: Future[Done] | None = None
    number: int = NOT_BEGUN
    attempt: int = 0
    measurement: int = 0
    losses: tuple[str, ...] = ()
    hope: Hope | None = None


@dataclass(frozen=True)
class Heat:
    """Candidates on their way to be measured against each other, all on one board.

    Attributes:
        number: of the race, the first is 1.
        trials: the entrants' numbers, in the order of `entrants`.
        entrants: each with its network in the making.
        rounds: how often each has its turn.
        block_s: how long a turn lasts.
    """

    number: int
    trials: tuple[int, ...]
    entrants: tuple[tuple[Candidate, Future[Done]], ...]
    rounds: int
    block_s: float


@dataclass
class Duties:
    """What all boards of one run share.

    Attributes:
        folder: of the study's results.
        note: hears what a person should know.
        known: what a board of this study said of itself; the first one that is reached, where it is None.
        created: when the study was begun: with it begins the name of every question, so that a board that has answered
            it, to an earlier run too, does not measure again.
        plainest: the candidate to compare by, and its network; None where nothing can be compared.
        joining: whether a board measures it alone before anything else, so that boards are compared.
        past: what its engine yielded beside trials so far; filled by the study's thread.
        builder: makes the engines; set before boards are handed anything.
        foresight: what is known to fail before a board is asked; set before boards are handed anything.
        windows_s: how long the windows of whole measurements took so far, those of earlier runs too.
    """

    experiment: Experiment
    pipeline: Pipeline
    dataset: Dataset
    folder: Path
    note: Callable[[str], None]
    known: Capabilities | None = None
    created: str = ""
    plainest: tuple[Candidate, Future[Done]] | None = None
    joining: bool = False
    past: Past = field(default_factory=Past)
    builder: Builder = evaluate.on_the_board
    foresight: Foresight | None = None
    windows_s: list[float] = field(default_factory=list)
    inputs: NDArray[Any] = field(init=False)
    _judging: threading.Lock = field(default_factory=threading.Lock)
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.inputs = self.dataset.evaluation()

    def connect(self, spec: str) -> Device:
        """A new connection to a board that is like the others.

        Raises:
            NoDevice: it cannot be reached, now.
            BadInput: it is another board than the others, or its description cannot be used.
        """
        experiment, said = self.experiment, threading.Event()

        def note(told: Mapping[str, Any]) -> None:
            if told.get("kind") == "waiting" and not said.is_set():
                said.set()
                self.note(f"{spec}: {told.get('text', 'waiting')}")

        device = connect(
            spec,
            cache=self.pipeline.artifacts.root,
            options=experiment.device_options,
            holder=self._holder(spec),
            search=experiment.folder,
            note=note,
        )
        try:
            self._refuse_other(device)
        except BadInput:
            device.close()
            raise
        if spec in experiment.devices:
            self._tell_of(device)
        return device

    def reference(self, device: Device) -> Metrics | None:
        """What the common reference engine yields on a board; None where boards are not compared.

        Raises:
            DeviceLost: the board went away.
            Infeasible, JobFailed: the reference cannot be had.
        """
        if self.plainest is None or not self.joining:
            return None
        candidate, network = self.plainest
        return evaluate.measured(candidate, _made(network), self._bench(device, Scale()))

    def evaluate(self, device: Device, turn: Turn, scale: Scale, *, always_void: bool = False) -> Evaluation:
        """See a turn through.

        Args:
            device: the board.
            turn: the candidate.
            scale: how the board's metrics are brought to the first board's.
            always_void: the board throttles whatever it is given: its numbers are flagged, not void.

        Raises:
            Infeasible, Dominated, JobFailed, DeviceLost: its endings.
        """
        assert turn.network is not None  # a refused candidate is never handed to a board
        once = f"{self.created}/{turn.number}/{turn.measurement}"
        bench = replace(self._bench(device, scale), always_void=always_void, hope=turn.hope)
        if self._with_reference(turn):
            bench = self._beside(bench, turn.candidate)
        return evaluate.evaluate(turn.candidate, _made(turn.network, turn.candidate), bench, once=once)

    def race(self, device: Device, heat: Heat) -> Measurement:
        """Measure the entrants of a heat against each other.

        Raises:
            Infeasible, JobFailed, DeviceLost: as for `evaluate`.
        """
        bench = self._bench(device, Scale())
        if not device.can_race:
            raise JobFailed(on_board(device.name, "its agent measures one engine at a time"))
        entrants = [(evaluate.build(_made(n), c.deployment, bench), c.deployment) for c, n in heat.entrants]
        asked = plan.of_race(self.experiment, rounds=heat.rounds, block_s=heat.block_s)
        once = f"{self.created}/race/{heat.number}"
        (built, deployment), *beside = entrants
        with bench.quiet():
            return device.measure(built, deployment, asked, inputs=self.inputs, once=once, beside=beside)

    def _with_reference(self, turn: Turn) -> bool:
        """Whether a candidate is measured with the reference beside; the reference itself never is."""
        measure = self.experiment.measure
        if self.plainest is None or not measure.reference_every or turn.number % measure.reference_every:
            return False
        plain = self.plainest[0]
        return turn.candidate.compression != plain.compression or _but_mode(turn.candidate) != _but_mode(plain)

    def _beside(self, bench: Bench, candidate: Candidate) -> Bench:
        """The bench with the reference engine on it, in the power mode of the candidate; where it cannot be had, that
        is said once, and whatever is measured without is flagged.
        """
        assert self.plainest is not None
        device, (plain, network) = bench.device, self.plainest
        why = "" if device.can_race else "its agent measures one engine at a time"
        mode = str(candidate.deployment.get("power_mode", ""))
        deployment = {**plain.deployment, **({"power_mode": mode} if mode else {})}
        try:
            if not why:
                built = evaluate.build(_made(network), deployment, bench)
                level, limits = self.past.level(mode), self.past.limits(device.name, mode)
                return replace(bench, reference=(built, deployment), level=level, limits=limits)
        except (Infeasible, JobFailed) as error:
            why = str(error)
        self._tell_once(device.name, on_board(device.name, f"measured without the reference engine beside: {why}"))
        return replace(bench, scale=replace(bench.scale, unknown=True))

    def _bench(self, device: Device, scale: Scale) -> Bench:
        shared = (self.experiment, device, self.pipeline, self.dataset, self.inputs, scale, self._judging)
        return Bench(*shared, builder=self.builder, foresight=self.foresight, note=self.note, windows_s=self.windows_s)

    def _tell_of(self, device: Device) -> None:
        """What a person should know of a board that measures."""
        better, spec = device.better_meter, device.name
        self._tell_once(better, f"{spec}: a meter is passed over: {better}")
        axes = {axis: _values(self.experiment, axis) for axis in ("runtime", "precision", "placement")}
        for lack in lacks(device.capabilities, axes, options=self.experiment.device_options):
            self._tell_once(f"{spec}: {lack}", on_board(spec, lack))

    def _tell_once(self, what: str, text: str) -> None:
        if what and what not in self._told:
            self._told.add(what)
            self.note(text)

    def _holder(self, spec: str) -> str:
        """Who we are to a board, the same whenever we come back; in a fleet one board must not be taken for two, nor a
        board that measures for one that builds.
        """
        fleet = f", as {spec}" if len(self.experiment.devices) > 1 or spec == self.experiment.build_on else ""
        where = self.folder.resolve().parent
        return who_asks(f"study {self.experiment.study} in {where}{fleet}")

    def _refuse_other(self, device: Device) -> None:
        if self.known is None:
            self.known = device.capabilities
        sets_mode = bool(_values(self.experiment, "power_mode"))
        told = differences(self.known, device.capabilities, runtimes_of(self.experiment), sets_mode=sets_mode)
        if told:
            hint = "boards of one study are equal; make two studies of it, or leave this board out (--device)"
            allowed = "a board like the others of this study"
            seen = "\n          ".join(told)
            raise BadInput(Problem(f"{device.name} is another kind of board", seen=seen, allowed=allowed, hint=hint))


def _made(network: Future[Done], candidate: Candidate | None = None) -> Done:
    """The network of a candidate, once it is made.

    Raises:
        Infeasible: what was given cannot be made into it: a file's opset is too old for the precision, for one.
        JobFailed: making it failed.
    """
    try:
        return network.result()
    except BadInput as error:
        because = candidate.network if candidate is not None else {}
        raise Infeasible(f"its network cannot be made: {error}", because=because) from error


def _but_mode(candidate: Candidate) -> dict[str, Any]:
    """How a candidate is run, whatever the power mode."""
    return {name: value for name, value in candidate.deployment.items() if name != "power_mode"}


def runtimes_of(experiment: Experiment) -> list[str]:
    """The runtimes that the candidates of an experiment may run on."""
    return [str(name) for name in _values(experiment, "runtime")]


def _values(experiment: Experiment, axis: str) -> list[Value]:
    """What candidates may have on an axis; nothing where it is left to the board."""
    axes = {axis.name: axis.values for axis in experiment.space.axes}
    return [value for value in axes.get(axis, (experiment.space.fixed.get(axis, ""),)) if value]
