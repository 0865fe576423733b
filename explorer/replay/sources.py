"""What samplers are compared on: a space file over a recorded table, a bare table, or an earlier study's folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer import store
from explorer.config import Experiment, load, load_table
from explorer.errors import BadInput, Infeasible, Problem
from explorer.evaluate import looked_up, violations
from explorer.recorded import SUFFIXES, Recording
from explorer.recorded.recording import TRIAL
from explorer.replay.problem import Cost, Replayed
from explorer.result import Constraint, Record
from explorer.space import Axis, Candidate, Space, Value
from explorer.store import StudyData

EACH_S = 60.0  # a trial, where nothing is known of how long it took
_WHY = {"failed": "failed", "dominated": "were stopped early as dominated"}


def problem_of(source: str, *, objectives: Sequence[str] = (), each_s: float | None = None) -> Replayed:
    """The space that `source` names, with all there is to know about it.

    Args:
        source: a space file by path or name, whose device is recorded; a table; or the folder of a study.
        objectives: of a bare table, such as ``latency_ms=min``; every other column is an axis then.
        each_s: seconds that a trial is assumed to take, whatever is known.

    Raises:
        BadInput: it cannot be read, nothing in it is complete, or all of it is equally good.
    """
    path = Path(source).expanduser()
    bare = path.suffix in SUFFIXES and not path.is_dir()
    if objectives and not bare:
        what = "the objectives are the study's or the space file's own"
        raise BadInput(Problem(what, path="--objective", seen=objectives[0], hint="give a table, or leave it out"))
    if path.is_dir():
        found = _of_study(store.read(path), each_s)
    else:
        found = _of_table(load_table(path, objectives) if bare else load(source), each_s, bare=bare)
    _refuse_pointless(found, path)
    return found


def _of_table(experiment: Experiment, each_s: float | None, *, bare: bool) -> Replayed:
    recording = experiment.recorded
    if recording is None:
        hint = "name a space file with device: recorded:TABLE.csv, a table, or the folder of a study that was explored"
        what = "nothing is known beforehand of this space"
        raise BadInput(Problem(what, experiment.path, seen=", ".join(experiment.devices), hint=hint))
    candidates = experiment.space.candidates
    axes = ", ".join(axis.name for axis in experiment.space.axes)
    costs, timing = _seconds(recording, candidates, each_s)
    return Replayed(
        experiment.study,
        experiment.space,
        experiment.objectives,
        experiment.constraints,
        tuple(_record(number, candidate, experiment, recording) for number, candidate in enumerate(candidates)),
        costs,
        timing,
        assumed=each_s is not None or not recording.seconds,
        notes=(f"axes: {axes} (every column that is no objective; a space file can say otherwise)",) if bare else (),
    )


def _record(number: int, candidate: Candidate, experiment: Experiment, recording: Recording) -> Record:
    device = experiment.devices[0]
    try:
        found = looked_up(candidate, recording, experiment.objectives, experiment.constraints)
    except Infeasible as refusal:
        why, broken = str(refusal), refusal.violations
        return Record(number, "infeasible", candidate.params, device, "", 0.0, constraints=broken, reason=why)
    kept = violations(experiment.constraints, found.metrics)
    return Record(number, "complete", candidate.params, device, "", 0.0, found, kept)


def _seconds(
    recording: Recording, candidates: Sequence[Candidate], each_s: float | None
) -> tuple[tuple[Cost, ...], str]:
    """What each candidate took, and whence that is known."""
    if each_s is not None or not recording.seconds:
        why = "" if each_s is not None else "; the space file names no column of seconds"
        return _assumed(len(candidates), each_s, why)
    took = [recording.evaluation(candidate).stages[TRIAL].seconds for candidate in candidates]
    return tuple({row: seconds} for row, seconds in enumerate(took)), f"by the column {recording.seconds}"


def _assumed(count: int, each_s: float | None, why: str) -> tuple[tuple[Cost, ...], str]:
    seconds = EACH_S if each_s is None else each_s
    return tuple({row: seconds} for row in range(count)), f"assumed, {seconds:g} s a trial (--seconds-each){why}"


def _of_study(data: StudyData, each_s: float | None) -> Replayed:
    """What failed is nobody's knowledge, and what was stopped early is half known: they are no part of the space."""
    told = data.study.get("experiment", {})
    records = {record.number: record for record in data.records if record.state in ("complete", "infeasible")}
    axes = _axes(told.get("space", {}), [record.params for record in records.values()])
    places = {axis.name: {value: place for place, value in enumerate(axis.values)} for axis in axes}
    ranked = sorted(records.values(), key=lambda r: [place[r.params[name]] for name, place in places.items()])
    space = Space(tuple(axes), fixed=told.get("fixed", {}), listed=tuple(record.params for record in ranked))
    costs: tuple[Cost, ...] = tuple(_stages(record) for record in ranked)
    timing = "as recorded, each stage once for all candidates that share it"
    if each_s is not None:
        costs, timing = _assumed(len(ranked), each_s, "")
    elif not any(map(sum, (cost.values() for cost in costs))):
        costs, timing = _assumed(len(ranked), None, "; the study was a table's and knew no seconds")
    gone = Counter(record.state for record in data.records if record.number not in records)
    return Replayed(
        data.name,
        space,
        data.objectives,
        tuple(map(Constraint.parse, told.get("constraints", ()))),
        tuple(ranked),
        costs,
        timing,
        assumed=timing.startswith("assumed"),
        notes=tuple(f"left out, because they {_WHY[state]}: {count} trials" for state, count in sorted(gone.items())),
    )


def _axes(space: Mapping[str, Sequence[Value]], params: Sequence[Mapping[str, Any]]) -> list[Axis]:
    """The study's axes, with the values that were tried."""
    tried = {name: {point[name] for point in params} for name in space}
    return [Axis(name, tuple(value for value in values if value in tried[name])) for name, values in space.items()]


def _stages(record: Record) -> Cost:
    """What a trial took, by stages: a network that several trials share is made once, and so is an engine."""
    evaluation = record.evaluation
    if not evaluation.stages:
        return {} if evaluation.recorded else {record.number: record.seconds}
    files = {**evaluation.artifacts, "build": evaluation.artifacts.get("engine", "")}
    return {(name, files.get(name) or record.number): time.seconds for name, time in evaluation.stages.items()}


def _refuse_pointless(found: Replayed, path: Path) -> None:
    if not found.possible.any():
        states = f"{len(found.records)} candidates, all of them impossible" if found.records else "no candidate"
        raise BadInput(Problem("there is no front to be found", path, seen=states))
    if len(_different(found)) < 2:
        raise BadInput(Problem("there is nothing to search for: all candidates are equally good", path))


def _different(found: Replayed) -> set[tuple[float, ...]]:
    """The different gains of what is possible."""
    return set(map(tuple, found.gains[found.possible].tolist()))
