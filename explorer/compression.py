"""Which stages a candidate's compression needs: the graph of `explorer.pipeline`, drawn from the experiment.

weights │ train ──► prune ──► finetune ──► export ──► quantise ──► ranges
          none given   └─ ratio > 0 ─┘       │    │        └─ int8, fp8  └─ int8 on a DLA, until TensorRT 10
model.onnx ──────────────────────────────────┘    └───► cast
                                                         └─ fp16, bf16, where TensorRT 11 goes by the file's own types

A preview scores the network on this host on the way, and hands it on as it is; where boards are other machines.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from explorer.artifacts import Artifacts
from explorer.config import DatasetRef, Experiment, ModelRef
from explorer.datasets.protocols import Dataset, Subsetting
from explorer.oracle import Target, channel_multiple, concerns
from explorer.oracle.placement import ON_DLA
from explorer.passes import quantisation_recipe
from explorer.pipeline import Stage
from explorer.space import QUANTISATION_AXES, Candidate, Value

# What ONNX Runtime and OpenVINO both read; the exporter's own default. TensorRT's parsers may read less.
OPSET = 20
SAMPLES = 600  # of which a network is scored on this host: a second or two of a small one
QUANTISED = ("int8", "fp8")
USUAL_MULTIPLE = 8  # of channels, where nothing is known of the unit
STRONGLY_TYPED = (11,)  # from this TensorRT on, precision is what the file says


class Compression:
    """From candidates to graphs, for one experiment."""

    def __init__(
        self, experiment: Experiment, dataset: Dataset, *, artifacts: Artifacts, target: Target | None = None
    ) -> None:
        """
        Args:
            experiment: what is explored.
            dataset: its data.
            artifacts: where files are kept.
            target: the boards it is made for; what their parser reads is written.
        """
        assert experiment.model is not None  # a study without a model compresses nothing
        self._experiment, self._target = experiment, target
        self._model = experiment.model
        self._shape = list(dataset.sample_shape)
        self._data = _data_params(experiment.dataset, dataset, experiment.folder)
        self._can_preview = bool(self._data) and isinstance(dataset, Subsetting)
        self._own = {"search": str(experiment.folder), "code": self._model.code} if self._model.code else {}
        self._source = _source(self._model, artifacts) or self._train()

    def of(self, candidate: Candidate, *, previewed: bool = False) -> Stage | str:
        """The network `candidate` runs: the last stage of its graph, or the blob of an ONNX file used as it is.

        Args:
            candidate: whose.
            previewed: whether it is scored on this host as well, where the dataset can be tested on a part.
        """
        look = self._preview if previewed and self._can_preview else _as_it_is
        onnx, precision = self._whole(self._pruned(candidate), candidate), str(candidate.all.get("precision"))
        if precision in QUANTISED:
            quantised = look(self._quantise(onnx, candidate, precision))  # ranges are float: int8 shows its price here
            return self._ranges(quantised) if self._wants_ranges(candidate) else quantised
        return look(self._cast(onnx, precision) if self._wants_types(candidate) else onnx)

    def dense(self, candidate: Candidate) -> Stage | str:
        """The network before it is compressed, as the runtime of `candidate` reads it."""
        return self._whole(self._source, candidate)

    def _whole(self, checkpoint: Stage | str, candidate: Candidate) -> Stage | str:
        """The graph of a network; a file of the user's is one already."""
        return self._source if self._model.onnx is not None else self._export(checkpoint, self._opset(candidate))

    def _opset(self, candidate: Candidate) -> int:
        limit = self._target.opset_limit if self._target and concerns(candidate.deployment) else None
        return min(OPSET, limit or OPSET)

    def _train(self) -> Stage:
        model = {"name": self._model.name, "options": dict(self._model.options)}
        recipe = {key: value for key, value in self._experiment.train.items() if value is not None}
        return Stage("train", {"model": model, "dataset": self._data, "recipe": recipe, **self._own})

    def _pruned(self, candidate: Candidate) -> Stage | str:
        ratio = candidate.all.get("prune_ratio", 0)
        if not ratio:
            return self._source
        params = {"prune_ratio": ratio, "round_to": self.multiple(candidate), "sample_shape": self._shape}
        return self._finetuned(Stage("prune", params | self._own, {"checkpoint": self._source}), candidate)

    def multiple(self, candidate: Candidate) -> Value:
        """Of how many channels the pruned widths are multiples."""
        wanted = candidate.all.get("round_to", 1)
        if wanted != "unit":
            return wanted
        if self._target is None or not concerns(candidate.deployment):
            return USUAL_MULTIPLE
        precision, placement = (str(candidate.all.get(name, "")) for name in ("precision", "placement"))
        return channel_multiple(precision, placement, self._target).channels

    def _finetuned(self, pruned: Stage, candidate: Candidate) -> Stage:
        plan = asdict(self._experiment.finetune)
        if (epochs := candidate.all.get("finetune_epochs")) is not None:
            plan |= {"epochs": epochs, "iterations": None}
        if not (plan["epochs"] or plan["iterations"]):
            return pruned
        return Stage("finetune", {"dataset": self._data, **plan, **self._own}, {"checkpoint": pruned})

    def _export(self, checkpoint: Stage | str, opset: int) -> Stage:
        params = {"sample_shape": self._shape, "opset": opset, **self._own}
        return Stage("export", params, {"checkpoint": checkpoint})

    def _wants_ranges(self, candidate: Candidate) -> bool:
        """Whether its int8 must come as ranges of a float network: a DLA knew no other before TensorRT 11."""
        on_dla = candidate.all.get("placement") in ON_DLA and candidate.all.get("precision") == "int8"
        return on_dla and concerns(candidate.deployment) and not self._strongly_typed

    def _wants_types(self, candidate: Candidate) -> bool:
        """Whether its precision must stand in the file itself."""
        half = candidate.all.get("precision") in ("fp16", "bf16")
        return half and concerns(candidate.deployment) and self._strongly_typed

    @property
    def _strongly_typed(self) -> bool:
        return self._target is not None and self._target.tensorrt >= STRONGLY_TYPED

    def _quantise(self, onnx: Stage | str, candidate: Candidate, precision: str) -> Stage:
        recipe = quantisation_recipe(str(candidate.all["runtime"]))
        chosen = {axis: candidate.all[axis] for axis in QUANTISATION_AXES if axis in candidate.all}
        other = {} if precision == "int8" else {"precision": precision}
        return Stage("quantise", {"recipe": recipe, **self._calibrated(), **chosen, **other}, {"onnx": onnx})

    def _ranges(self, quantised: Stage | str) -> Stage:
        release = list(self._target.tensorrt) if self._target else []
        told = {"tensorrt": release} if len(release) == 3 else {}
        return Stage("ranges", {**self._calibrated(), **told}, {"onnx": quantised})

    def _cast(self, onnx: Stage | str, precision: str) -> Stage:
        return Stage("cast", {"precision": precision, **self._calibrated()}, {"onnx": onnx})

    def _preview(self, onnx: Stage | str) -> Stage:
        return Stage("preview", {"dataset": self._data, "samples": SAMPLES}, {"onnx": onnx})

    def _calibrated(self) -> dict[str, Any]:
        """What a stage that runs the network on calibration inputs has to know."""
        count = self._experiment.dataset.calibration if self._experiment.dataset else 256
        return {"calibration": count, **({"dataset": self._data} if self._data else {})}


def _as_it_is(onnx: Stage | str) -> Stage | str:
    return onnx


def _source(model: ModelRef, artifacts: Artifacts) -> str | None:
    """The blob everything starts from: the user's ONNX file or checkpoint."""
    given = model.onnx or model.weights
    return artifacts.put(given) if given is not None else None


def _data_params(reference: DatasetRef | None, dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Enough for a stage to open the dataset, and the fingerprint that makes other data another key."""
    if reference is None:
        return {}
    own = {"search": str(folder), "code": reference.code} if reference.code else {}
    return {
        "name": reference.name,
        "options": dict(reference.options),
        "fingerprint": dataset.fingerprint(),
        "sample_shape": list(dataset.sample_shape),
        **own,
    }
