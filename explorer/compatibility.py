"""`explorer agent check --model`: how a network may be run on a device by TensorRT, before anything is built.

a device's hello ─► Target ┐
an .onnx, or a space's network ─► Graph ┴─► precision × placement: yes, or the reason and its source
"""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from explorer.artifacts import Artifacts, cache_root
from explorer.device import connect
from explorer.doctor import WIDTH, check_format
from explorer.errors import BadInput, Problem
from explorer.oracle import Advice, Graph, Refusal, Target, advice, refusals
from explorer.oracle.rules import PLACEMENTS, PRECISIONS
from explorer.transports.boards import who_asks

CELL, SHOWN = 17, 4  # columns of one, reasons in it at most


@dataclass(frozen=True)
class Verdict:
    """What is known of one way to run the network; no refusals mean that nothing speaks against it."""

    precision: str
    placement: str
    refusals: tuple[Refusal, ...]
    advice: tuple[Advice, ...]


@dataclass(frozen=True)
class Prospect:
    """A network on a device; `advice` is about the device, whatever the network."""

    model: str
    device: str
    target: Target
    batch: int
    verdicts: tuple[Verdict, ...]
    advice: tuple[Advice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        board = {name: value for name, value in asdict(self.target).items() if value not in (None, "", ())}
        return {
            "model": self.model,
            "device": self.device,
            "board": board,
            "batch": self.batch,
            "advice": [asdict(hint) for hint in self.advice],
            "verdicts": [asdict(v) | {"possible": not v.refusals} for v in self.verdicts],
        }


def prospect(spec: str, model: str, *, batch: int = 1) -> Prospect:
    """Ask the device `spec` what it is, and the oracle what it can make of the network.

    Args:
        spec: the device, as everywhere.
        model: an .onnx file, or a space: its network, as it is before anything is cut.
        batch: samples in one inference.

    Raises:
        NoDevice: it cannot be reached, or is in use.
        BadInput: there is no such network, or it cannot be read.
    """
    with connect(spec, cache=cache_root(), holder=who_asks("explorer agent check --model"), search=Path.cwd()) as board:
        target = Target.of_capabilities(board.capabilities)
    graph = Graph.of(_onnx(model, target), final=False)
    streams = 1 + (target.dla_cores or 0)  # an engine on each unit wants one
    wishes = (
        {"precision": precision, "placement": unit, "batch": batch, "streams": streams if unit == "gpu+dla" else 1}
        for precision in PRECISIONS
        for unit in PLACEMENTS
    )
    verdicts = tuple(_verdict(target, graph, wish) for wish in wishes)
    return Prospect(model, spec, target, batch, verdicts, advice(target, None, {"precision": "fp16"}))


def report_on_model(spec: str, model: str, *, batch: int, format: str) -> None:
    """Print the prospect of the network `model` on the device `spec`.

    Raises:
        NoDevice, BadInput: as for `prospect`; a format nobody knows.
    """
    check_format(format)
    found = prospect(spec, model, batch=batch)
    print(page(found) if format == "text" else json.dumps(found.to_json(), indent=2))


def page(found: Prospect) -> str:
    """For people: a table of 80 columns, the reasons by number with their sources, and what is good to know."""
    reasons = _numbered(refusal for verdict in found.verdicts for refusal in verdict.refusals)
    title = f"{found.model} on {found.device} ({found.target}), batch {found.batch}, in TensorRT"
    lines = [*_wrapped(title), "", *_table(found, reasons)]
    for (rule, reason), number in reasons.items():
        lines += _wrapped(f"{number}. {reason}", indent=4)
        lines.append(f"    {rule}: {_source(found, rule)}")
    hints = itertools.chain(found.advice, *(verdict.advice for verdict in found.verdicts))
    known = {hint.reason: hint for hint in hints}
    lines += ["", "Good to know"] * bool(known)
    for hint in known.values():
        lines += [*_wrapped(f"- {hint.reason}{_among(hint.nodes)}", indent=2), f"  {hint.rule}: {hint.source}"]
    return "\n".join(lines)


def _verdict(target: Target, graph: Graph, wish: Mapping[str, Any]) -> Verdict:
    found = refusals(target, graph, wish)
    hints = () if found else advice(target, graph, wish)
    return Verdict(str(wish["precision"]), str(wish["placement"]), found, hints)


def _onnx(model: str, target: Target) -> Path:
    """The file of the network; that of a space is made, in the opset that the board's parser reads."""
    path = Path(model).expanduser()
    if path.suffix == ".onnx":
        if not path.is_file():
            raise BadInput(Problem("there is no such file", file=path, path="--model"))
        return path
    from explorer.compression import Compression
    from explorer.config import load
    from explorer.execution import LocalProcesses
    from explorer.pipeline import Pipeline
    from explorer.study import open_dataset

    experiment = load(model)
    if experiment.model is None:
        raise BadInput(Problem("this space has no network", file=experiment.path, path="--model"))
    with closing(Pipeline(Artifacts(cache_root()), LocalProcesses())) as pipeline:
        compression = Compression(experiment, open_dataset(experiment), artifacts=pipeline.artifacts, target=target)
        made = pipeline.prepare(compression.dense(experiment.space.candidates[0])).result()
        return pipeline.artifacts.path(made.sha256)


def _numbered(found: Iterable[Refusal]) -> dict[tuple[str, str], int]:
    """Each reason once, in the order they come."""
    distinct = dict.fromkeys((one.rule, one.reason) for one in found)
    return {reason: number for number, reason in enumerate(distinct, 1)}


def _table(found: Prospect, reasons: Mapping[tuple[str, str], int]) -> Iterator[str]:
    yield " " * 12 + "".join(f"{placement:<{CELL}}" for placement in PLACEMENTS).rstrip()
    yield "─" * (12 + CELL * len(PLACEMENTS))
    for precision in PRECISIONS:
        row = [verdict for verdict in found.verdicts if verdict.precision == precision]
        yield f"{precision:<12}" + "".join(f"{_cell(verdict, reasons):<{CELL}}" for verdict in row).rstrip()
    yield ""


def _cell(verdict: Verdict, reasons: Mapping[tuple[str, str], int]) -> str:
    numbers = sorted({reasons[refusal.rule, refusal.reason] for refusal in verdict.refusals})
    more = " …" if len(numbers) > SHOWN else ""
    return f"no  {' '.join(map(str, numbers[:SHOWN]))}{more}" if numbers else "yes"


def _source(found: Prospect, rule: str) -> str:
    return next(one.source for verdict in found.verdicts for one in verdict.refusals if one.rule == rule)


def _among(nodes: Sequence[str]) -> str:
    return f": {', '.join(nodes[:3])}{' …' if len(nodes) > 3 else ''}" if nodes else ""


def _wrapped(words: str, *, indent: int = 0) -> Sequence[str]:
    return textwrap.wrap(words, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)
