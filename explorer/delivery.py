"""`explorer export`: a trial's network or engine as files one can deploy, with a manifest of what they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from explorer.artifacts import Artifacts, cache_root
from explorer.device import connect
from explorer.errors import BadInput, JobFailed, Problem
from explorer.registry import nearest
from explorer.result import Record
from explorer.store import read


def export(folder: Path, *, trial: int, to: str, output: Path) -> str:
    """Write a trial's network (``onnx``) or its engine (``engine``) and ``manifest.json`` into `output`.

    Raises:
        BadInput: no such study, trial or kind; the trial has no network; or its file is no longer in the cache.
        NoDevice: the engine's device cannot be reached.
    """
    if to not in KINDS:
        raise BadInput(
            Problem("unknown kind", path="--to", seen=to, allowed=", ".join(KINDS), hint=nearest(to, list(KINDS)))
        )
    data = read(folder)
    record = _record(data.records, trial, folder, to=to)
    output.mkdir(parents=True, exist_ok=True)
    file = KINDS[to](record, output, data.study.get("boards", {}))
    manifest = {
        "study": data.name,
        "file": file.name,
        "kind": to,
        "record": record.to_json(),
        "made_on": data.study["device"],
    }
    (output / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return f"{file} and manifest.json: trial {trial}, {' '.join(f'{k}={v}' for k, v in record.params.items())}"


def _record(records: tuple[Record, ...], trial: int, folder: Path, *, to: str) -> Record:
    found = next((record for record in records if record.number == trial), None)
    if found is None:
        allowed = f"0 to {len(records) - 1}" if records else "nothing yet"
        raise BadInput(Problem("no such trial", file=folder, path="--trial", seen=str(trial), allowed=allowed))
    if to not in found.evaluation.artifacts:
        reason = found.reason.splitlines()[0] if found.reason else found.state
        what = f"this trial has no {WHAT[to]}"
        raise BadInput(Problem(what, file=folder, path="--trial", seen=f"{trial}: {reason}"))
    return found


def _onnx(record: Record, output: Path, _: Mapping[str, Any]) -> Path:
    sha256 = record.evaluation.artifacts["onnx"]
    artifacts = Artifacts(cache_root())
    if sha256 not in artifacts:
        hint = "run the study again in a fresh folder to make it anew, or set EXPLORER_CACHE to where it was run"
        raise BadInput(
            Problem("the network is no longer in the cache", file=artifacts.root, seen=sha256[:16], hint=hint)
        )
    return Path(shutil.copy(artifacts.path(sha256), output / "model.onnx"))


def _engine(record: Record, output: Path, boards: Mapping[str, Any]) -> Path:
    """The engine lies where it was built: it fits that device and its runtime's version, and no other."""
    folder = Path(boards["folder"]) if "folder" in boards else None
    device = connect(record.device, cache=cache_root(), options=boards.get("options"), search=folder)
    try:
        engine = device.get(record.evaluation.artifacts["engine"])
    except JobFailed as error:
        raise BadInput(Problem("the device no longer has this engine", path="--to", seen=str(error))) from error
    finally:
        device.close()
    (output / "model.engine").write_bytes(engine)
    return output / "model.engine"


WHAT = {"onnx": "network", "engine": "engine"}
KINDS: dict[str, Callable[[Record, Path, Mapping[str, Any]], Any]] = {"onnx": _onnx, "engine": _engine}
