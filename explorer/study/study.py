"""A study: its folder, its data and its boards are opened, and the loop is let run; each closed again whatever happens.

folder ──► refuse another experiment ──► nothing left to do? ──► boards ──► loop ──► Ending
                                                                  └ or a recorded table in their place
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from explorer.artifacts import Artifacts
from explorer.compression import Compression
from explorer.config import Experiment, differences
from explorer.datasets import DATASETS
from explorer.datasets.protocols import Dataset
from explorer.datasets.reference import FloatReference
from explorer.errors import BadInput, Problem, in_one_line
from explorer.execution import LocalProcesses
from explorer.fleet.builds import BuildServer
from explorer.fleet.duties import Duties
from explorer.fleet.fleet import Fleet
from explorer.fleet.member import Board
from explorer.fleet.recorded import RecordedDuties
from explorer.impossible import Impossible, by, impossible, sentence
from explorer.oracle import Foresight, Graph, Target, concerns
from explorer.pipeline import Pipeline
from explorer.recorded import Recording
from explorer.result import Objective, Record
from explorer.scale import Past
from explorer.space import Candidate
from explorer.store import STUDY, Store, StudyData, open_store, read, read_study, set_aside
from explorer.study.budget import Budget, Stop
from explorer.study.control import Control, compares_boards
from explorer.study.earlier import Earlier, earlier
from explorer.study.foretold import KEY, Foretold, foretold
from explorer.study.loop import Beforehand, Loop
from explorer.study.race import Racing
from explorer.study.rungs import rungs_of, windows_s
from explorer.study.watcher import Watcher
from explorer.study.workshop import Compressing, NothingToMake, Workshop
from explorer.transports import specs
from explorer.transports.boards import boards

PATIENCE_S = 600.0  # for a lost board, where neither its file nor the space file says otherwise


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    reason: str
    folder: Path
    records: tuple[Record, ...]  # of this run alone
    objectives: tuple[Objective, ...]
    stop: str = ""  # the reason's name: space, time, trials or gain


def run(experiment: Experiment, *, results: Path, cache: Path, watcher: Watcher, fresh: bool = False) -> Ending:
    """Explore until done; continue where an earlier run of the same experiment stopped.

    Args:
        experiment: what to explore, and for how long.
        results: the folder that holds one folder a study.
        cache: where compressed networks are kept for all studies.
        watcher: who is told how it goes.
        fresh: set an earlier study of this name aside and begin anew.

    Raises:
        BadInput: another experiment lives in the folder, the boards are not equal, or the input cannot be used after
            all.
        NoDevice: no board can be reached, or all were lost.
    """
    folder = results / experiment.study
    if not fresh:
        refuse_other(folder, experiment)
    data = read(folder) if not fresh and (folder / STUDY).exists() else None
    if data is not None and (stop := _nothing_left(experiment, data)) is not None:
        watcher.begins(experiment, planned=len(data.records), records=data.records, note="")  # no device is needed
        return Ending(stop.words, folder, (), experiment.objectives, stop.name)
    learnt = earlier(experiment, results, kept=data.study.get("learns_from", ()) if data is not None else None)
    aside = set_aside(folder) if fresh else None
    note = f"the earlier study was set aside as {aside}" if aside else ""
    with open_store(folder) as store:  # first: no other run may hold it
        if experiment.recorded is not None:
            return _replay(experiment, experiment.recorded, store, watcher, note=note, learnt=learnt)
        with _pipeline(cache) as pipeline:
            return _explore(experiment, store, pipeline, watcher, note=note, learnt=learnt)


def _nothing_left(experiment: Experiment, data: StudyData) -> Stop | None:
    """Why there is neither a candidate to try nor a race to hold; None when there is."""
    budget = Budget(experiment, data.records, data.races, data.runs)
    stop, racing = budget.why_done(), Racing(experiment, data.folder)
    if stop is None or racing.next(budget.left_s) is not None:
        return None
    return replace(stop, words="; ".join(filter(None, [stop.words, racing.over])))


def _explore(
    experiment: Experiment,
    store: Store,
    pipeline: Pipeline,
    watcher: Watcher,
    *,
    note: str,
    learnt: Sequence[Earlier],
) -> Ending:
    dataset = open_dataset(experiment)
    kept = read_study(store.folder) if (store.folder / STUDY).exists() else None
    known = kept.get("device") if kept is not None else None
    duties = Duties(experiment, pipeline, dataset, store.folder, watcher.note, known)
    with _fleet(experiment, duties) as fleet:
        capabilities, target = fleet.any.capabilities, Target.of_capabilities(fleet.any.capabilities)
        compression = Compression(experiment, dataset, artifacts=pipeline.artifacts, target=target)
        graph = _uncompressed(experiment, compression, pipeline)
        foresight = duties.foresight = Foresight(capabilities, pipeline.artifacts.root, graph=graph)
        left_out = impossible(experiment.space, by(foresight, fleet.any.name, fleet.any.capabilities))
        if not store.records:
            left_out.refuse_all(experiment.path)
        model = foretold(
            experiment,
            compression,
            capabilities,
            network=lambda: graph or _dense(experiment.space.candidates[0], compression, pipeline),
            candidates=experiment.space.size - len(left_out.reasons),
            note=watcher.note,
            kept=kept,
        )
        duties.created = store.describe(_described(experiment, fleet.any, learnt, model))["created"]
        rungs = rungs_of(experiment, experiment.space.size - len(left_out.reasons))
        if rungs.short:
            duties.windows_s += windows_s(read(store.folder))
        loop = _begun(
            experiment,
            fleet,
            store,
            watcher,
            workshop=Compressing(compression, pipeline, previewed=rungs.preview),
            beforehand=Beforehand(left_out, learnt, model, rungs.any),
            past=duties.past,
            note=note,
        )
        for absent in fleet.absent:
            watcher.note(f"{in_one_line(absent)}; going on without it, and trying again")
        duties.joining = len(experiment.devices) > 1 or compares_boards(store.boards)
        if duties.joining or experiment.measure.reference_every:
            duties.plainest = loop.plainest()
        return _through(loop, experiment, store)


def _replay(
    experiment: Experiment,
    recording: Recording,
    store: Store,
    watcher: Watcher,
    *,
    note: str,
    learnt: Sequence[Earlier],
) -> Ending:
    """Explore a table that was measured before: nothing is made, and every answer is looked up."""
    work = RecordedDuties(experiment, recording)
    with closing(Fleet.gather(experiment.devices, work, patience_s=dict.fromkeys(experiment.devices, 0.0))) as fleet:
        store.describe(_described(experiment, fleet.any, learnt))
        loop = _begun(
            experiment,
            fleet,
            store,
            watcher,
            workshop=NothingToMake(),
            beforehand=Beforehand(Impossible(experiment.space.size), learnt),
            past=Past(),
            note=note,
        )
        if recording.repeated:
            watcher.note(f"candidates with several rows: {recording.repeated}; their mean is taken, its interval told")
        return _through(loop, experiment, store)


def _begun(
    experiment: Experiment,
    fleet: Fleet,
    store: Store,
    watcher: Watcher,
    *,
    workshop: Workshop,
    beforehand: Beforehand,
    past: Past,
    note: str,
) -> Loop:
    """A loop that is about to run: what is known beforehand is on the disk, and the watcher knows."""
    left_out = beforehand.impossible.to_json()
    store.append_run({"candidates": experiment.space.size, "impossible": left_out})
    control = Control(store, past, watcher.note)
    loop = Loop(experiment, fleet, store, workshop=workshop, control=control, watcher=watcher, beforehand=beforehand)
    watcher.begins(experiment, planned=loop.planned, records=store.records, note=note)
    if told := sentence(left_out, experiment.space.size):
        watcher.note(f"{told}; they cost no trial")
    return loop


def _through(loop: Loop, experiment: Experiment, store: Store) -> Ending:
    """The loop is run to its end."""
    stop = loop.run()
    return Ending(stop.words, store.folder, tuple(loop.written), experiment.objectives, stop.name)


def _uncompressed(experiment: Experiment, compression: Compression, pipeline: Pipeline) -> Graph | None:
    """The network as it is before anything is cut or quantised, for runtimes that something is known of beforehand."""
    candidate = next((one for one in experiment.space.walk() if concerns(one.deployment)), None)
    return None if candidate is None else _dense(candidate, compression, pipeline)


def _dense(candidate: Candidate, compression: Compression, pipeline: Pipeline) -> Graph:
    """The uncompressed network, as the runtime of `candidate` reads it; it is in the cache for whoever runs it later.

    Raises:
        BadInput, JobFailed: it cannot be made or read.
    """
    made = pipeline.prepare(compression.dense(candidate)).result()
    return Graph.of(pipeline.artifacts.path(made.sha256), final=False)


def open_dataset(experiment: Experiment) -> Dataset:
    """The experiment's data; a bare ONNX file is judged by how far it strays from its own fp32 outputs.

    Raises:
        BadInput: the dataset refuses its options.
    """
    if experiment.dataset is None:
        assert experiment.model is not None
        assert experiment.model.onnx is not None  # checked by config: only a bare file needs no data
        return FloatReference(experiment.model.onnx)
    make = DATASETS.load(experiment.dataset.name, search=experiment.folder)
    dataset: Dataset = make(**experiment.dataset.options)
    return dataset


@contextmanager
def _pipeline(cache: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(Artifacts(cache), LocalProcesses())
    try:
        yield pipeline
    finally:
        pipeline.close()


@contextmanager
def _fleet(experiment: Experiment, duties: Duties) -> Iterator[Fleet]:
    """The boards of the experiment, reached; let go of at the end, with the pipeline still there for their threads."""
    fleet = Fleet.gather(experiment.devices, duties, patience_s=_patience(experiment))
    with closing(fleet), _build_server(experiment, duties):
        yield fleet


@contextmanager
def _build_server(experiment: Experiment, duties: Duties) -> Iterator[None]:
    """The board that builds for the others, if the experiment names one."""
    if not experiment.build_on:
        yield
        return
    with closing(BuildServer(experiment.build_on, duties.connect, duties.note)) as server:
        duties.builder = server
        yield


def _patience(experiment: Experiment) -> dict[str, float]:
    """How long each board is tried again: as the space file says, or the board's own."""

    def of(spec: str) -> float:
        file = specs.file_of(spec, known=boards(), search=experiment.folder)
        told = {**(specs.described(file) if file else {}), **experiment.device_options}
        return float(told.get("patience_s", PATIENCE_S))

    return {spec: of(spec) for spec in experiment.devices}


def refuse_other(folder: Path, experiment: Experiment) -> None:
    """See that the folder is this experiment's, or nobody's yet.

    Raises:
        BadInput: it is another one's; with what differs.
    """
    if not (folder / "study.json").exists():
        return
    known = {key: value for key, value in read_study(folder)["experiment"].items() if key != "devices"}
    changed = differences(known, experiment.identity())
    if changed:
        hint = (
            "give the study another name, another --results, or begin anew with --fresh (the old study is kept aside)"
        )
        seen = "\n          ".join(["it differs in", *changed])
        raise BadInput(Problem("this folder belongs to another experiment", file=folder, seen=seen, hint=hint))


def _described(
    experiment: Experiment, device: Board, learnt: Sequence[Earlier], model: Foretold | None = None
) -> dict[str, Any]:
    return {
        "study": experiment.study,
        "objectives": [{"metric": o.metric, "direction": o.direction} for o in experiment.objectives],
        "experiment": experiment.identity(),
        "explorer": version("explorer"),
        "device": {**device.capabilities, "name": device.name, "agent_sha": device.agent_sha},
        # How its boards were reached, for whoever wants something of them later.
        "boards": {
            "devices": list(experiment.devices),
            "build_on": experiment.build_on,
            "options": dict(experiment.device_options),
            "folder": str(experiment.folder),
        },
        **({"learns_from": [one.to_json() for one in learnt]} if learnt else {}),
        **({KEY: model.to_json()} if model is not None else {}),
    }
