"""What a file refers to: the network, the data, their own options, and files that must exist before hours are spent."""

from __future__ import annotations

import inspect
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from explorer.artifacts import sha256_of
from explorer.config.document import Document, Where
from explorer.config.experiment import DatasetRef, ModelRef
from explorer.config.sections import DatasetSection, ModelSection
from explorer.config.shape import shaped, shown, unknown_key
from explorer.datasets import DATASETS
from explorer.errors import BadInput
from explorer.models import MODELS, weights_path
from explorer.registry import Registry, nearest

SHIPPED = "shipped"


def read_model(document: Document) -> ModelRef | None:
    """The model, or None with every reason noted."""
    given = document.data.get("model")
    if given is None:
        document.complain("an experiment needs a model", ("model",), allowed="a name, {name: …}, or {onnx: file}")
        return None
    if isinstance(given, str):
        given = {"onnx": given} if given.endswith(".onnx") else {"name": given}
    section = shaped(ModelSection, document, ("model",), given)
    if section is None:
        return None
    if (section.name is None) == (section.onnx is None):
        document.complain("a model has either a name or an onnx file", ("model",), seen=", ".join(given) or "nothing")
        return None
    if section.onnx is not None:
        return _onnx_model(document, section)
    return _named_model(document, section, str(section.name))


def is_bare(document: Document) -> bool:
    """Whether the file gives its network as an ONNX file, whole or not."""
    given = document.data.get("model")
    return str(given).endswith(".onnx") if isinstance(given, str) else isinstance(given, dict) and "onnx" in given


def _onnx_model(document: Document, section: ModelSection) -> ModelRef | None:
    for key in [key for key in ("weights", *(section.model_extra or ())) if getattr(section, key) is not None]:
        document.complain(
            "an onnx file brings its own weights and takes no options", ("model", key), hint="remove this key"
        )
    where: Where = ("model", "onnx") if isinstance(document.data["model"], dict) else ("model",)
    file = read_file(document, where, str(section.onnx))
    if file is not None:
        _check_onnx(document, where, file)
    return ModelRef(onnx=file)


def _check_onnx(document: Document, where: Where, file: Path) -> None:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import load

    try:
        network = load(file, load_external_data=False)
    except DecodeError as error:
        document.complain(
            "not a whole ONNX file: truncated, or of another kind", where, seen=str(file), hint=str(error)
        )
        return
    if not network.graph.input or not network.graph.output:
        document.complain("an ONNX file without inputs or outputs", where, seen=str(file))


def _named_model(document: Document, section: ModelSection, name: str) -> ModelRef | None:
    where: Where = ("model", "name") if isinstance(document.data["model"], dict) else ("model",)
    options = dict(section.model_extra or {})
    make = _target(document, where, MODELS, name, needed=bool(options))
    if make is not None:
        _check_options(document, "model", make, options, filled_in=("classes",))
    weights = _weights(document, name, section.weights) if section.weights is not None else None
    if weights is not None and (options or section.weights != SHIPPED):  # those are what they say they are
        _check_weights(document, weights, name, options)
    return ModelRef(name, options, weights, code=_code(name))


def _weights(document: Document, name: str, given: str) -> Path | None:
    where: Where = ("model", "weights")
    if given == SHIPPED:
        path = weights_path(name)
        if path is None and name in MODELS:
            have = [other for other in MODELS if weights_path(other)]
            hint = "leave weights out to train from scratch"
            document.complain(
                f"no weights are shipped for {name}", where, allowed=", ".join(have) or "a file", hint=hint
            )
        return path
    file = read_file(document, where, given)
    if file is not None and not zipfile.is_zipfile(file):
        hint = "write it again with explorer train, or leave weights out to train from scratch"
        document.complain("not a whole checkpoint: truncated, or of another kind", where, seen=str(file), hint=hint)
        return None
    return file


def _check_weights(document: Document, file: Path, name: str, options: Mapping[str, Any]) -> None:
    """A checkpoint knows its network: what the space file says of it must agree."""
    from explorer.models.checkpoint import header  # late: torch takes more than a second

    try:
        made_of = header(file)["model"]
    except BadInput as error:
        document.adopt(error, ("model", "weights"))
        return
    if made_of["name"] != name:
        document.complain(
            "these weights are of another network", ("model", "weights"), seen=made_of["name"], allowed=name
        )
        return
    for option, value in options.items():
        if (kept := made_of["options"].get(option, value)) != value:
            hint = f"the weights were made with {option}: {shown(kept)}; leave the key out"
            document.complain("does not fit the weights", ("model", option), seen=shown(value), hint=hint)


def read_dataset(document: Document, *, required: bool) -> tuple[DatasetRef | None, tuple[str, ...]]:
    """The dataset and the names of further metrics it yields; `required`: the network cannot do without."""
    given = document.data.get("dataset")
    if given is None:
        if required:
            hint = "only a bare .onnx file can be explored without data"
            document.complain(
                "this model needs a dataset: it is trained, pruned and judged on it", ("dataset",), hint=hint
            )
        return None, ()
    given = {"name": given} if isinstance(given, str) else given
    section = shaped(DatasetSection, document, ("dataset",), given)
    if section is None:
        return None, ()
    where: Where = ("dataset", "name") if isinstance(document.data["dataset"], dict) else ("dataset",)
    options = dict(section.model_extra or {})
    make = _target(document, where, DATASETS, section.name, needed=True)
    if make is not None:
        _check_options(document, "dataset", make, options)
    if isinstance(root := options.get("root"), str):
        options["root"] = str(_folder(document, ("dataset", "root"), root) or root)
    return DatasetRef(section.name, options, section.calibration, _code(section.name)), tuple(section.metrics)


def _target(
    document: Document, where: Where, registry: Registry, name: str, *, needed: bool
) -> Callable[..., Any] | None:
    """What the name stands for. Our own networks are not imported without need: torch takes more than a second."""
    if name in registry and not needed:
        return None
    try:
        return registry.load(name, search=document.file.parent)  # type: ignore[no-any-return]
    except BadInput as error:
        document.adopt(error, where)
        return None


def _check_options(
    document: Document,
    section: str,
    make: Callable[..., Any],
    options: Mapping[str, Any],
    *,
    filled_in: tuple[str, ...] = (),
) -> None:
    """Compare the options with the parameters of what they will be handed to."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):  # a callable without a signature judges for itself, later
        return
    kinds = [parameter.kind for parameter in parameters.values()]
    named = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    keys = list((DatasetSection if section == "dataset" else ModelSection).model_fields)
    for option in options:
        if option not in named and inspect.Parameter.VAR_KEYWORD not in kinds:
            unknown_key(document, (section, option), [*keys, *named], hint=nearest(option, [*named, *keys]))
    for option in named:
        if parameters[option].default is inspect.Parameter.empty and option not in (*options, *filled_in):
            document.complain(f"this {section} needs the key {option!r}", (section, option))


def _code(name: str) -> str:
    module = sys.modules.get(name.partition(":")[0]) if ":" in name else None
    file = getattr(module, "__file__", None)
    return sha256_of(Path(file)) if file else ""


def read_file(document: Document, where: Where, given: str) -> Path | None:
    """The file that `given` names, from where the space file lies; None with the reason noted."""
    path = _absolute(document, given)
    if path.is_file():
        return path
    document.complain("there is no such file", where, seen=given, hint=_looked_for(path))
    return None


def _folder(document: Document, where: Where, given: str) -> Path | None:
    path = _absolute(document, given)
    if path.is_dir():
        return path
    document.complain("there is no such folder", where, seen=given, hint=_looked_for(path))
    return None


def _absolute(document: Document, given: str) -> Path:
    return (document.file.parent / Path(given).expanduser()).resolve()


def _looked_for(path: Path) -> str:
    beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
    near = nearest(path.name, beside)
    return f"looked for {path}" + (f"; {near}" if near else "")
