"""A space file whose device is a table that was measured before: ``device: recorded:path.csv``.

    device ──► table ──► space: axes are columns, points are rows
                    └──► objectives, constraints: columns of numbers ──► recording

Nothing is compressed, built or measured: what speaks of that is refused in words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from explorer.config.axes import AXES
from explorer.config.columns import no_column, read_points
from explorer.config.document import Document
from explorer.config.experiment import Experiment, MeasurePlan, SearchPlan
from explorer.config.metrics import METRICS, Yields
from explorer.config.references import read_file
from explorer.config.search_section import read_search, read_study
from explorer.config.sections import RecordedOptions, SpaceFile
from explorer.config.shape import shaped, shown, unknown_key
from explorer.config.wishes import read_constraints, read_objectives
from explorer.errors import BadInput, Problem
from explorer.recorded import Recording, Row, Table, read_table
from explorer.recorded.recording import rows_by_candidate
from explorer.space import Params, Space
from explorer.transports.specs import RECORDED

KEYS = ("study", "device", "device_options", "space", "rules", "objectives", "constraints", "search")


def is_recorded(document: Document) -> bool:
    """Whether the file's device is a table."""
    return _device(document).startswith(RECORDED)


def _device(document: Document) -> str:
    """The one device that the file names; empty where there is not one."""
    given = document.data.get("device")
    only = given[0] if isinstance(given, list) and len(given) == 1 else given
    return only if isinstance(only, str) else ""


def read_recorded(document: Document) -> Experiment:
    """The experiment of a recorded table.

    Raises:
        BadInput: with every problem found.
    """
    _refuse_meaningless(document)
    study, search = read_study(document), _search(document)
    table = _table(document)
    if table is None:
        document.raise_if_broken()
    assert table is not None
    space, places = read_points(document, table)
    seconds = _seconds(document, table)
    yields = Yields(dataset=False, columns=tuple(_metrics(document, table, seconds)))
    objectives, constraints = read_objectives(document, yields), read_constraints(document, yields)
    wanted = dict.fromkeys([*(o.metric for o in objectives), *(c.metric for c in constraints)])
    _refuse_nothing_or_less(document, table, wanted)
    document.raise_if_broken()
    assert space is not None
    recording = _recording(document, table, space, places, yields.names, seconds)
    _refuse_contradictions(document, recording, wanted)
    document.raise_if_broken()
    folder = document.file.resolve().parent
    return Experiment(
        study=study,
        model=None,
        devices=(_device(document),),
        space=space,
        objectives=objectives,
        constraints=constraints,
        search=search,
        measure=MeasurePlan(reference_every=0),
        recorded=recording,
        path=document.file.resolve(),
        folder=folder,
    )


def bare_table(file: Path, objectives: Sequence[str]) -> Document:
    """A table as the space file that it stands for.

    Args:
        file: the table.
        objectives: such as ``latency_ms=min``; without any, the columns that bear the names of known metrics.
    """
    document = Document(file)
    document.data = {"study": re.sub(r"[^\w.+-]|^[^\w]+", "", file.stem) or "table", "device": f"{RECORDED}{file.name}"}
    if not file.is_file():
        return document  # told when it is read
    columns = list(read_table(file).columns)
    given = [text.partition("=")[::2] for text in objectives]
    wanted = {name.strip(): way.strip() for name, way in given}
    wanted = wanted or {name: METRICS[name].better for name in columns if name in METRICS}
    if strange := [name for name in wanted if name not in columns]:
        no_column(document, columns, strange[0], where=("objectives", strange[0]))
    if not wanted:
        what, hint = "what is wanted of a bare table?", "--objective NAME=min, or a space file"
        document.complain(what, ("objectives",), allowed=", ".join(columns), hint=hint)
    return replace(document, data={**document.data, "objectives": wanted, "space": _axes_of(columns, wanted)})


def _axes_of(columns: Sequence[str], wanted: Collection[str]) -> list[str]:
    return [name for name in columns if name not in wanted]


def _refuse_meaningless(document: Document) -> None:
    for key in document.data:
        if key in KEYS:
            continue
        if key in SpaceFile.model_fields:
            what = f"a recorded table knows no {key}: everything was measured before"
            document.complain(what, (key,), allowed=", ".join(KEYS), hint="remove this key")
        else:
            hint = f"a column that is to have one value stands below space: {{{key}: [value]}}" if key in AXES else ""
            unknown_key(document, (key,), list(KEYS), hint=hint)


def _search(document: Document) -> SearchPlan:
    plan = read_search(document)
    if plan.race_s:
        what = "a recorded table cannot be measured again"
        document.complain(what, ("search", "race"), seen=shown(document.data["search"]["race"]), allowed="off")
    return replace(plan, race_s=0.0)


def _table(document: Document) -> Table | None:
    file = read_file(document, ("device",), _device(document).removeprefix(RECORDED))
    if file is None:
        return None
    try:
        return read_table(file)
    except BadInput as error:
        document.problems += error.problems
        return None


def _seconds(document: Document, table: Table) -> str:
    """The column that says how long each trial took; empty where the file names none."""
    given = document.data.get("device_options")
    section = shaped(RecordedOptions, document, ("device_options",), given) if given is not None else None
    name = section.seconds if section is not None else ""
    if not name:
        return ""
    if name not in table.columns:
        no_column(document, list(table.columns), name, where=("device_options", "seconds"))
        return ""
    try:
        numbers = table.numbers(name)
    except BadInput as error:
        document.problems += error.problems
        return ""
    wrong = next((row for row, number in enumerate(numbers) if number is None or number < 0), None)
    if wrong is not None:
        document.problems.append(table.problem("how long a trial took", name, wrong, allowed="seconds, 0 or more"))
    return name


def _metrics(document: Document, table: Table, seconds: str) -> Iterator[str]:
    """The columns that can be wanted or shown: those of numbers that are no axes."""
    axes = document.data.get("space")
    taken = {seconds, *(map(str, axes) if isinstance(axes, (list, dict)) else ())}
    wanted = document.data.get("objectives")
    for name in table.columns:
        if name in taken:
            if isinstance(wanted, dict) and name in wanted and name != seconds:
                document.complain("a column is either an axis or an objective", ("objectives", name), seen=name)
                yield name
            continue
        if table.is_numeric(name):
            yield name
        elif isinstance(wanted, dict) and name in wanted:  # told by the cell that is no number
            yield name
            _refuse_words(document, table, name)


def _refuse_words(document: Document, table: Table, name: str) -> None:
    try:
        table.numbers(name)
    except BadInput as error:
        document.problems += error.problems
    else:
        document.complain("a column without a single number", ("objectives", name), seen=name)


def _refuse_nothing_or_less(document: Document, table: Table, wanted: Collection[str]) -> None:
    """A latency of -1 means that there is none, and would be the best of all."""
    for name in filter(table.is_numeric, wanted):
        if name not in METRICS or not METRICS[name].positive:
            continue
        wrong = (row for row, number in enumerate(table.numbers(name)) if number is not None and number <= 0)
        if (row := next(wrong, None)) is not None:
            allowed = "a number above 0, or an empty cell for a candidate that turned out impossible"
            document.problems.append(table.problem("a value that cannot be", name, row, allowed=allowed))


def _recording(
    document: Document, table: Table, space: Space, places: Sequence[Params], metrics: Sequence[str], seconds: str
) -> Recording:
    columns = {name: table.numbers(name) for name in metrics}
    took = table.numbers(seconds) if seconds else [None] * len(places)
    rows = [
        Row(line, {name: value for name, cells in columns.items() if (value := cells[i]) is not None}, took[i])
        for i, line in enumerate(table.lines)
    ]
    held = rows_by_candidate(places, rows)
    return Recording(table.file, table.sha256, seconds, {c.key: held[c.key] for c in space.candidates})


def _refuse_contradictions(document: Document, recording: Recording, wanted: Collection[str]) -> None:
    """Repeats of one candidate agree on whether it could be measured."""
    for name in wanted:
        for rows in recording.rows.values():
            there = [row for row in rows if name in row.metrics]
            if there and len(there) < len(rows):
                empty = next(row for row in rows if name not in row.metrics)
                document.problems.append(_contradiction(recording.file, name, empty, there[0]))


def _contradiction(file: Path, name: str, empty: Row, other: Row) -> Problem:
    what = "two rows of one candidate contradict each other: it was measured, and it was impossible"
    seen = f"nothing here, {other.metrics[name]:g} in line {other.line}"
    hint = "remove one of the rows, or name the column that tells them apart as an axis"
    return Problem(what, file, empty.line, name, seen, hint=hint)
