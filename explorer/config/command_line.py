"""What the command line says instead of the space file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from explorer.config.devices import read_devices, refuse_build_server
from explorer.config.document import Document
from explorer.config.experiment import Experiment
from explorer.config.reader import read_measure
from explorer.config.search_section import LEARNING, read_search
from explorer.errors import BadInput, Problem
from explorer.transports import specs

# How a board is reached and what it has of its own: a virtual one that stands in for it has nothing of that.
OF_REAL_BOARDS = ("home", "identity_file", "meter", "password_env", "plugins", "python", "runtimes")


def override(
    experiment: Experiment,
    *,
    trials: int | None = None,
    timeout: str | None = None,
    sampler: str | None = None,
    seed: int | None = None,
    devices: tuple[str, ...] = (),
    simulate: bool = False,
    verify: str | None = None,
) -> Experiment:
    """The experiment with what the command line says instead of the file; None, () and False leave the file's word.

    A limit on the command line replaces the file's limits altogether: ``--trials 10`` means 10, whatever hours the file
    gives. Simulated, it is a study of another name: nobody shall take it for the real one.

    Raises:
        BadInput: with every option that cannot be used.
    """
    document = Document(Path("command line"))
    limits = {"trials": trials, "timeout": timeout}
    given: dict[str, Any] = {**limits, "sampler": sampler, "seed": seed, "device": list(devices) or None}
    document.data = {
        "search": {k: v for k, v in given.items() if v is not None and k != "device"},
        "device": given["device"],
        "measure": {"verify": verify},
    }
    if experiment.recorded is not None:
        _refuse_board(experiment, devices=devices, simulate=simulate, verify=verify)
    search, chosen = read_search(document), read_devices(document, folder=experiment.folder)
    if devices and not simulate:
        refuse_build_server(document, ("device",), experiment.build_on, chosen)
    checked = read_measure(document, experiment.space).verify
    if document.problems:
        raise BadInput(
            [
                replace(p, file=None, path=re.sub(r"^(search\.|measure\.|(?=device))", "--", p.path))
                for p in document.problems
            ]
        )
    plan = replace(
        experiment.search,
        sampler=search.sampler if sampler is not None else experiment.search.sampler,
        seed=search.seed if seed is not None else experiment.search.seed,
    )
    if plan.learn_from and plan.sampler not in LEARNING:
        what, hint = f"{plan.sampler} learns from no other study", "or leave search.learn_from out of the space file"
        raise BadInput(Problem(what, path="--sampler", seen=plan.sampler, allowed=", ".join(LEARNING), hint=hint))
    if trials is not None or timeout is not None:
        plan = replace(plan, trials=trials, seconds=search.seconds)
    measure = replace(experiment.measure, verify=checked or experiment.measure.verify)
    experiment = replace(experiment, search=plan, measure=measure, devices=chosen if devices else experiment.devices)
    return _simulated(experiment) if simulate else experiment


def _refuse_board(experiment: Experiment, *, devices: tuple[str, ...], simulate: bool, verify: str | None) -> None:
    """A recorded table is all there is: no board can take its place, and nothing is measured."""
    given = {"--device": devices, "--simulate": simulate, "--verify": verify}
    if named := [option for option, value in given.items() if value]:
        what = f"{named[0]} means nothing to a recorded table: everything was measured before"
        raise BadInput(Problem(what, file=experiment.path, seen=experiment.devices[0], hint=f"leave {named[0]} out"))


def _simulated(experiment: Experiment) -> Experiment:
    if experiment.simulate:
        return experiment
    if not experiment.stand_in:
        boards, file = ", ".join(specs.SIMULATED), experiment.path
        hint = f"say which: --device sim:NAME, or simulate: NAME in the file, with one of {boards}"
        raise BadInput(Problem("--simulate: the space file names no virtual board", file=file, hint=hint))
    options = {key: value for key, value in experiment.device_options.items() if key not in OF_REAL_BOARDS}
    board = f"{specs.SIM}{experiment.stand_in}"
    name = f"{experiment.study}-simulated"
    return replace(experiment, study=name, devices=(board,), device_options=options, build_on="")
