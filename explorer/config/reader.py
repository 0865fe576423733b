"""From a space file to an Experiment: every check of what a user writes, once, and all problems at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from explorer.config.axes import AXES
from explorer.config.devices import (
    brings_plugins,
    read_build_server,
    read_device_options,
    read_devices,
    read_stand_in,
)
from explorer.config.document import Document
from explorer.config.document import read as read_document
from explorer.config.experiment import Experiment, FinetunePlan, MeasurePlan, SearchPlan
from explorer.config.lookup import find
from explorer.config.metrics import Yields
from explorer.config.references import is_bare, read_dataset, read_model
from explorer.config.sections import (
    DeviceOptionsSection,
    MeasureSection,
    MeterSection,
    RecipeSection,
    SearchSection,
    Section,
    SpaceFile,
    StudyName,
    seconds_of,
)
from explorer.config.shape import shaped, shaped_as, unknown_key
from explorer.config.space_section import read_space
from explorer.config.wishes import read_constraints, read_objectives
from explorer.registry import nearest
from explorer.search import SAMPLERS
from explorer.space import TRAINING_AXES, Space

TRIALS = 100  # when the file sets no limit

S = TypeVar("S", bound=Section)

_SECTIONS: dict[str, type[Section]] = {
    "search": SearchSection,
    "measure": MeasureSection,
    "meter": MeterSection,
    "device_options": DeviceOptionsSection,
    "finetune": RecipeSection,
}


def load(path_or_name: str | Path) -> Experiment:
    """Read a space file, given by its path or by the name of a file in ./search_spaces or of a shipped one.

    Raises:
        BadInput: with every problem found, each with file, line and dotted path.
    """
    document = read_document(find(path_or_name))
    experiment = _experiment(document)
    document.raise_if_broken()
    return experiment


def _experiment(document: Document) -> Experiment:
    """The experiment; where problems were noted its parts are stand-ins, and nobody gets to see it."""
    _refuse_unknown_keys(document)
    model = read_model(document)
    bare = is_bare(document)
    dataset, extra = read_dataset(document, required=not bare and model is not None)
    yields = Yields(dataset is not None or "dataset" in document.data or not bare, bare, extra)
    devices = read_devices(document)
    own = brings_plugins(document, devices, folder=document.file.resolve().parent)
    space = read_space(document, bare=bare, own=own)
    if bare:
        _refuse_compression(document)
    objectives = read_objectives(document, yields)
    constraints = read_constraints(document, yields)
    study = _study(document)
    search, train, finetune = read_search(document), _train(document), _finetune(document, bare=bare)
    measure, meter = read_measure(document, space), _meter(document)
    stand_in, build_on = read_stand_in(document), read_build_server(document, devices)
    document.raise_if_broken()
    assert space is not None
    return Experiment(
        study=study,
        model=model,
        dataset=dataset,
        devices=devices,
        device_options=read_device_options(document) | ({"meter": meter} if meter else {}),
        stand_in=stand_in,
        build_on=build_on,
        space=space,
        objectives=objectives,
        constraints=constraints,
        search=search,
        train=train,
        finetune=finetune,
        measure=measure,
        path=document.file.resolve(),
        folder=document.file.resolve().parent,
    )


def _refuse_unknown_keys(document: Document) -> None:
    known = [*SpaceFile.model_fields, *AXES]
    for key in document.data:
        if key not in known:
            unknown_key(document, (key,), known, hint=_belongs_to(key))


def _belongs_to(key: str) -> str:
    owner = next((name for name, section in _SECTIONS.items() if key in section.model_fields), "")
    return f"it belongs below {owner}:" if owner else ""


def _section(document: Document, name: str, kind: type[S]) -> S:
    given = document.data.get(name)
    return (shaped(kind, document, (name,), given) if given is not None else None) or kind()


def _study(document: Document) -> str:
    given = document.data.get("study")
    if given is None:
        return document.file.stem
    return str(shaped_as(StudyName, document, ("study",), given))


def read_search(document: Document) -> SearchPlan:
    section = _section(document, "search", SearchSection)
    if section.sampler not in SAMPLERS and ":" not in section.sampler:
        names = list(SAMPLERS)
        hint = nearest(section.sampler, names)
        document.complain(
            "unknown sampler", ("search", "sampler"), seen=repr(section.sampler), allowed=", ".join(names), hint=hint
        )
    if section.hours is not None and section.timeout is not None:
        document.complain("hours and timeout say the same thing", ("search", "timeout"), hint="keep one of the two")
    seconds = section.hours * 3600 if section.hours is not None else None
    if section.timeout is not None:
        seconds = seconds_of(section.timeout)
    trials = TRIALS if section.trials is None and seconds is None else section.trials
    stop_below = _stop_below(section.stop_below)
    return SearchPlan(section.sampler, trials, seconds, section.seed, stop_below, _race_s(section.race))


def _stop_below(told: float | str) -> float | None:
    return told if isinstance(told, float) else {"auto": None, "off": 0.0}[told]


def _recipe(document: Document, name: str) -> RecipeSection:
    section = _section(document, name, RecipeSection)
    if section.epochs is not None and section.iterations is not None:
        document.complain("epochs and iterations say the same thing", (name, "iterations"), hint="keep one of the two")
    return section


def _train(document: Document) -> dict[str, Any]:
    return _recipe(document, "train").model_dump(exclude_unset=True)


def _finetune(document: Document, *, bare: bool) -> FinetunePlan:
    section = _recipe(document, "finetune")
    free = document.data.get("space")
    for where in [("finetune", key) for key in ("epochs", "iterations") if getattr(section, key) is not None]:
        if "finetune_epochs" in document.data or (isinstance(free, dict) and "finetune_epochs" in free):
            document.complain("finetune_epochs says this already", where, hint="keep one of the two")
    recipe = section.model_dump(exclude_unset=True, exclude={"epochs", "iterations", "seed"})
    by_default = not bare and section.epochs is None and section.iterations is None
    epochs = 1.0 if by_default else section.epochs
    return FinetunePlan(epochs, section.iterations, section.seed, recipe)


def read_measure(document: Document, space: Space | None) -> MeasurePlan:
    section = _section(document, "measure", MeasureSection)
    if section.budget_s < (least := section.windows_min * section.window_s):
        seen, allowed = f"{section.budget_s:g} s", f"windows_min x window_s = {least:g} s, or more"
        document.complain(
            "the budget is too short for the windows", ("measure", "budget_s"), seen=seen, allowed=allowed
        )
    if section.verify and space is not None and not space.takes("runtime", "tensorrt"):
        what = "trtexec runs engines of TensorRT, and no candidate of this space is one"
        document.complain(what, ("measure", "verify"), seen=section.verify, hint="runtime: tensorrt, or leave it out")
    return MeasurePlan(**section.model_dump())


def _meter(document: Document) -> dict[str, Any]:
    return _section(document, "meter", MeterSection).model_dump(exclude_unset=True)


def _refuse_compression(document: Document) -> None:
    """A bare ONNX file cannot be pruned or trained: say so wherever the file asks for it."""
    space = document.data.get("space")
    free = [("space", axis) for axis in TRAINING_AXES if isinstance(space, dict) and axis in space]
    fixed = [(axis,) for axis in TRAINING_AXES if document.data.get(axis)]
    sections = [(name,) for name in ("train", "finetune") if document.data.get(name) is not None]
    for where in (*free, *fixed, *sections):
        what = f"an .onnx file cannot be changed by {where[-1]}: its weights are fixed"
        document.complain(what, where, hint="to prune or train, give the torch module: model: {name: my_module:build}")


def _race_s(text: str) -> float | None:
    """Seconds of a race; None leaves it to the study."""
    return None if text == "auto" else 0.0 if text == "off" else seconds_of(text)
