"""What a study wants of each of its boards: a connection to one that is like the others, a reference, an evaluation.

Called in the boards' threads; what several of them could disturb each other in is behind a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from explorer import evaluate
from explorer.config import Experiment
from explorer.datasets.protocols import Dataset
from explorer.device import Device, connect
from explorer.errors import BadInput, Infeasible, Problem
from explorer.evaluate import Bench
from explorer.fleet.alike import differences
from explorer.pipeline import Done, Pipeline
from explorer.result import Evaluation
from explorer.scale import Metrics, Scale
from explorer.space import Candidate
from explorer.transports.boards import who_asks

NOT_BEGUN = -1

Capabilities = Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    """A candidate on its way: its network in the making, or the reason why it needs none.

    Attributes:
        number: of the trial, given when a board is about to be asked for it.
        attempt: how often a job of this candidate failed before.
        measurement: how many measurements of it were in vain; part of the name of the next one.
        losses: with which words a board was lost with this candidate before.
    """

    candidate: Candidate
    network: Future[Done] | None = None
    refusal: Infeasible | None = None
    number: int = NOT_BEGUN
    attempt: int = 0
    measurement: int = 0
    losses: tuple[str, ...] = ()


@dataclass
class Duties:
    """What all boards of one run share.

    Attributes:
        folder: of the study's results.
        note: hears what a person should know.
        known: what a board of this study said of itself; the first one that is reached, where it is None.
        created: when the study was begun: with it begins the name of every question, so that a board that has answered
            it, to an earlier run too, does not measure again.
        plainest: the candidate that all boards measure for comparison, and its network; None where nothing is compared.
    """

    experiment: Experiment
    pipeline: Pipeline
    dataset: Dataset
    folder: Path
    note: Callable[[str], None]
    known: Capabilities | None = None
    created: str = ""
    plainest: tuple[Candidate, Future[Done]] | None = None
    inputs: NDArray[Any] = field(init=False)
    _judging: threading.Lock = field(default_factory=threading.Lock)

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
        return device

    def reference(self, device: Device) -> Metrics | None:
        """What the common reference engine yields on a board; None where boards are not compared.

        Raises:
            DeviceLost: the board went away.
            Infeasible, JobFailed: the reference cannot be had.
        """
        if self.plainest is None:
            return None
        candidate, network = self.plainest
        return evaluate.measured(candidate, network.result(), self._bench(device, Scale()))

    def evaluate(self, device: Device, turn: Turn, scale: Scale) -> Evaluation:
        """See a turn through.

        Raises:
            Infeasible, JobFailed, DeviceLost: its endings.
        """
        assert turn.network is not None  # a refused candidate is never handed to a board
        once = f"{self.created}/{turn.number}/{turn.measurement}"
        return evaluate.evaluate(turn.candidate, turn.network.result(), self._bench(device, scale), once=once)

    def _bench(self, device: Device, scale: Scale) -> Bench:
        return Bench(self.experiment, device, self.pipeline, self.dataset, self.inputs, scale, self._judging)

    def _holder(self, spec: str) -> str:
        """Who we are to a board, the same whenever we come back; in a fleet one board must not be taken for two."""
        fleet = f", as {spec}" if len(self.experiment.devices) > 1 else ""
        where = self.folder.resolve().parent
        return who_asks(f"study {self.experiment.study} in {where}{fleet}")

    def _refuse_other(self, device: Device) -> None:
        if self.known is None:
            self.known = device.capabilities
        told = differences(self.known, device.capabilities, runtimes_of(self.experiment))
        if told:
            hint = "boards of one study are equal; make two studies of it, or leave this board out (--device)"
            allowed = "a board like the others of this study"
            seen = "\n          ".join(told)
            raise BadInput(Problem(f"{device.name} is another kind of board", seen=seen, allowed=allowed, hint=hint))


def runtimes_of(experiment: Experiment) -> list[str]:
    """The runtimes that the candidates of an experiment may run on."""
    axes = {axis.name: axis.values for axis in experiment.space.axes}
    return [str(name) for name in axes.get("runtime", (experiment.space.fixed.get("runtime", ""),)) if name]
