"""The forecast of one study."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from explorer.artifacts import Artifacts, sha256_of
from explorer.compression import Compression
from explorer.config import Experiment
from explorer.device import connect
from explorer.errors import NoDevice, in_one_line
from explorer.execution import WORKERS
from explorer.forecast.durations import LOOKED_UP, Duration, Past, beside
from explorer.forecast.stages import BUILD, LOOK_UP, MEASURE, ON_BOARDS, Need, needs
from explorer.impossible import Impossible, by, impossible
from explorer.oracle import Foresight, Graph, Target, concerns
from explorer.pipeline import Stage, find
from explorer.recorded import Recording
from explorer.space import Candidate
from explorer.store import STUDY, StudyData, read
from explorer.study import open_dataset, refuse_other
from explorer.study.budget import spent_s
from explorer.study.race import SHARE, can_race
from explorer.study.rungs import rungs_of
from explorer.transports.boards import who_asks

HOUR_S = 3600.0


@dataclass(frozen=True)
class Board:
    """What is known of the boards: their word, if anybody has heard it, and how it came to be known; whether one was
    connected to for it.
    """

    capabilities: Mapping[str, Any] | None
    words: str
    name: str = ""
    connected: bool = False


@dataclass(frozen=True)
class Work:
    """What the trials need of one stage."""

    need: Need
    least: int
    most: int
    each: Duration

    @property
    def hours(self) -> tuple[float, float]:
        """At least and at most."""
        return self.least * self.each.seconds / HOUR_S, self.most * self.each.seconds / HOUR_S


@dataclass(frozen=True)
class Forecast:
    """What a study will take.

    Attributes:
        tried: how many candidates are recorded.
        untried: how many are possible and not recorded.
        trials: how many the limits allow to be tried; a limit of time may end it before.
        work: stage by stage, in the order of a trial.
        race_s: seconds that races may take, at most.
        boards: how many measure at the same time.
        left_s: what is left of the limit of time; None without one.
        within: how many trials that is enough for, as least and as most; None without a limit.
    """

    study: str
    board: Board
    impossible: Impossible
    tried: int
    untried: int
    trials: int
    work: Sequence[Work]
    race_s: float
    boards: int
    left_s: float | None
    within: tuple[int, int] | None

    @property
    def hours(self) -> tuple[float, float]:
        """Of the whole: at least, where host and boards work at the same time; at most, where they wait in turn."""
        least, most = _hours(self.work, self.boards)
        return least, most + self.race_s / HOUR_S


class _Looking(Artifacts):
    """The cache as it is: nothing is put into it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: Path) -> str:
        """What the file would be called."""
        return sha256_of(path)


def forecast(experiment: Experiment, *, results: Path, cache: Path, fresh: bool = False) -> Forecast:
    """Foretell what `explorer.study.run` would take.

    Args:
        experiment: what is to be explored.
        results: the folder that holds one folder a study.
        cache: where compressed networks are kept.
        fresh: begin anew, whatever was recorded.

    Raises:
        BadInput: another experiment lives in the folder, or the input cannot be used after all.
    """
    folder = results / experiment.study
    if not fresh:
        refuse_other(folder, experiment)
    data = read(folder) if not fresh and (folder / STUDY).exists() else None
    if experiment.recorded is not None:
        to_do = _of_table(experiment, experiment.recorded, data)
    else:
        to_do = _of_boards(experiment, data, beside(results, folder), cache)
    records = data.records if data else ()
    limit = experiment.search.trials
    trials = to_do.untried if limit is None else max(0, min(limit - len(records), to_do.untried))
    work = _works(to_do.needs, to_do.each, trials, experiment)
    left_s = _left_s(experiment, data)
    return Forecast(
        study=experiment.study,
        board=to_do.board,
        impossible=to_do.impossible,
        tried=len(records),
        untried=to_do.untried,
        trials=trials,
        work=work,
        race_s=_race_s(experiment, work),
        boards=len(experiment.devices),
        left_s=left_s,
        within=None if left_s is None else _within(left_s, to_do.needs, to_do.each, trials, experiment),
    )


@dataclass(frozen=True)
class _ToDo:
    """What the candidates that nobody has tried need, and what a piece of each stage's work takes."""

    board: Board
    impossible: Impossible
    untried: int
    needs: Sequence[Need]
    each: Mapping[str, Duration]


def _of_boards(experiment: Experiment, data: StudyData | None, others: Sequence[StudyData], cache: Path) -> _ToDo:
    board = _board(experiment, data, others, cache)
    capabilities = board.capabilities or {}
    records = data.records if data else ()
    artifacts = _Looking(cache)
    target = Target.of_capabilities(capabilities)
    compression = Compression(experiment, open_dataset(experiment), artifacts=artifacts, target=target)
    cannot = _impossible(experiment, board, compression, artifacts)
    untried = _untried(experiment, cannot, data)
    past = Past(experiment, records, others, capabilities)
    built = [Candidate(r.params, experiment.space.fixed) for r in records if BUILD in r.evaluation.stages]
    previewed = rungs_of(experiment, experiment.space.size - len(cannot.reasons)).preview
    network = partial(compression.of, previewed=previewed)
    found = needs(untried, network, done=lambda stage: find(stage, artifacts) is not None, built=built)
    return _ToDo(board, cannot, len(untried), found, {need.name: past.duration(need.name) for need in found})


def _of_table(experiment: Experiment, recording: Recording, data: StudyData | None) -> _ToDo:
    """A recorded table has all the answers: nothing is made or measured, and no board is needed."""
    words = f"no board is needed: what candidates yield is looked up in {recording.file.name}"
    cannot = Impossible(experiment.space.size)
    untried = len(_untried(experiment, cannot, data))
    board = Board({"recorded": recording.to_json()}, words)
    return _ToDo(board, cannot, untried, [Need(LOOK_UP, (1,) * untried)], {LOOK_UP: LOOKED_UP})


def _works(found: Sequence[Need], each: Mapping[str, Duration], trials: int, experiment: Experiment) -> list[Work]:
    """What so many trials need. Without a build server, boards that share the trials may build an engine each."""
    builds = len(experiment.devices) if not experiment.build_on else 1
    most = {need.name: min(trials, need.most(trials) * (builds if need.name == BUILD else 1)) for need in found}
    return [Work(need, need.least(trials), most[need.name], each[need.name]) for need in found]


def _hours(work: Sequence[Work], boards: int) -> tuple[float, float]:
    host = [one.hours for one in work if one.need.name not in ON_BOARDS]
    board = [one.hours for one in work if one.need.name in ON_BOARDS]
    least = max(sum(low for low, _ in host) / WORKERS, sum(low for low, _ in board) / boards)
    return least, sum(high for _, high in host) + sum(high for _, high in board) / boards


def _left_s(experiment: Experiment, data: StudyData | None) -> float | None:
    seconds = experiment.search.seconds
    spent = spent_s(data.records, data.races) if data else 0.0
    return None if seconds is None else max(0.0, seconds - spent)


def _within(
    left_s: float, found: Sequence[Need], each: Mapping[str, Duration], trials: int, experiment: Experiment
) -> tuple[int, int]:
    """How many of the trials a time is enough for: where they share little work, and where they share much."""

    def hours(many: int, way: int) -> float:
        return _hours(_works(found, each, many, experiment), len(experiment.devices))[way]

    sure, best = (bisect_right(range(trials + 1), left_s / HOUR_S, key=lambda n: hours(n, way)) - 1 for way in (1, 0))
    return sure, best


def _race_s(experiment: Experiment, work: Sequence[Work]) -> float:
    if not can_race(experiment):
        return 0.0
    if experiment.search.race_s is not None:
        return experiment.search.race_s
    return SHARE * sum(one.hours[1] * HOUR_S for one in work if one.need.name == MEASURE)


def _board(experiment: Experiment, data: StudyData | None, others: Sequence[StudyData], cache: Path) -> Board:
    """What is known of the boards; one is asked only where no study has its word."""
    for study in [*([data] if data else []), *others]:
        known = study.study.get("boards", {}).get("devices", [])
        if study is data or set(known) & set(experiment.devices):
            device = study.study["device"]
            words = f"no board was connected to: it is taken for what it was when the study {study.name} began"
            return Board(device, words, str(device.get("name", "")))
    spec = experiment.devices[0]
    try:
        with connect(
            spec,
            cache=cache,
            options=experiment.device_options,
            holder=who_asks("explorer run --plan"),
            search=experiment.folder,
        ) as device:
            return Board(device.capabilities, f"{spec} was connected to, and asked what it is", device.name, True)
    except NoDevice as error:
        words = f"{spec} cannot be reached, so that nothing is known to be impossible there"
        return Board(None, f"{words}: {in_one_line(str(error))}")


def _impossible(experiment: Experiment, board: Board, compression: Compression, artifacts: Artifacts) -> Impossible:
    if board.capabilities is None:
        return Impossible(experiment.space.size)
    graph = _graph(experiment, compression, artifacts)
    foresight = Foresight(board.capabilities, artifacts.root, graph=graph)
    return impossible(experiment.space, by(foresight, board.name, board.capabilities))


def _graph(experiment: Experiment, compression: Compression, artifacts: Artifacts) -> Graph | None:
    """The uncompressed network, where somebody wants to know of it and it is there already."""
    candidate = next((one for one in experiment.space.walk() if concerns(one.deployment)), None)
    if candidate is None:
        return None
    dense = compression.dense(candidate)
    if isinstance(dense, Stage):
        done = find(dense, artifacts)
        return Graph.of(artifacts.path(done.sha256), final=False) if done else None
    assert experiment.model is not None
    assert experiment.model.onnx is not None  # a network that needs no stage is a file
    return Graph.of(experiment.model.onnx, final=False)


def _untried(experiment: Experiment, cannot: Impossible, data: StudyData | None) -> list[Candidate]:
    """Possible candidates that are not recorded, nor ruled out by one that is."""
    records = data.records if data else ()
    tried = {Candidate(record.params).key for record in records}
    rules = [line["because"] for line in data.ruled_out] if data else []
    left = (one for one in experiment.space.candidates if one.key not in tried and one.key not in cannot.reasons)
    return [one for one in left if not any(one.has(rule) for rule in rules)]
