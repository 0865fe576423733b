"""Samples in, outputs out: .npz files, batches of the size the engine was built for. Shared by the runtimes that
speak numpy.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Sequence

from explorer_agent.messages import FAILED, INFEASIBLE, AgentError

Arrays = Dict[str, Any]  # name → numpy array
Run = Callable[[Arrays], Sequence[Any]]

DISTINCT_BATCHES = 8  # a measurement goes round among so many different inputs


@dataclass(frozen=True)
class Port:
    """An input of an engine: shape with the batch in front."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def read(path: Path, ports: Sequence[Port], *, at_most: int | None = None) -> Arrays:
    """The samples in the .npz `path`, one array an input [count, …]; the first `at_most` of them.

    A single array goes to a single input whatever it is called; several go by name.

    Raises:
        AgentError: failed: no .npz, or pickled; infeasible: the samples do not fit the engine.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {name[: -len(".npy")]: _rows(archive, name, at_most) for name in archive.namelist()}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise AgentError(FAILED, f"the inputs are no .npz of plain arrays: {error}") from error
    if len(ports) == len(arrays) == 1:
        arrays = {ports[0].name: next(iter(arrays.values()))}
    return {port.name: _fitting(arrays, port) for port in ports}


def _rows(archive: zipfile.ZipFile, name: str, at_most: int | None) -> Any:
    """The first rows of one array; what lies behind them is not even read."""
    import numpy as np

    with archive.open(name) as opened:
        member: Any = opened  # its readinto is missing in the type stubs
        version = np.lib.format.read_magic(member)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if header is None:
            raise ValueError(f"{name} is of format {version}")
        shape, by_columns, dtype = header(member)
        if dtype.hasobject or by_columns:
            raise ValueError(f"{name} holds {'columns first' if by_columns else 'pickled objects'}")
        rows = shape if at_most is None or not shape else (min(shape[0], at_most), *shape[1:])
        array = np.empty(rows, dtype)
        if member.readinto(array.reshape(-1).view(np.uint8)) != array.nbytes:
            raise ValueError(f"{name} is cut short")
        return array


def _fitting(arrays: Arrays, port: Port) -> Any:
    import numpy as np

    if port.name not in arrays:
        raise AgentError(
            INFEASIBLE, "no samples for the input {!r}, only for {}".format(port.name, ", ".join(sorted(arrays)))
        )
    array = arrays[port.name]
    if array.ndim == 0 or array.shape[0] == 0 or tuple(array.shape[1:]) != port.shape[1:]:
        raise AgentError(INFEASIBLE, f"samples of shape {array.shape[1:]} for an input {port.name} of {port.shape[1:]}")
    return np.ascontiguousarray(array, dtype=port.dtype)


def seeded(ports: Sequence[Port]) -> Arrays:
    """Random samples, the same every time: floats in 0…1, integers 0 or 1."""
    import numpy as np

    rng = np.random.default_rng(0)
    count = DISTINCT_BATCHES
    return {
        port.name: rng.random((count * port.shape[0],) + port.shape[1:])
        .round(0 if "int" in port.dtype else 9)
        .astype(port.dtype)
        for port in ports
    }


def feeds(inputs: Path | None, ports: Sequence[Port]) -> list[Arrays]:
    """At most DISTINCT_BATCHES full batches to measure with."""
    batch = ports[0].shape[0]
    samples = seeded(ports) if inputs is None else read(inputs, ports, at_most=DISTINCT_BATCHES * batch)
    return [feed for feed, _ in zip((feed for feed, _ in batches(samples, batch)), range(DISTINCT_BATCHES))]


def batches(samples: Arrays, batch: int) -> Iterator[tuple[Arrays, int]]:
    """Full batches, and how many samples of each are meant; the last is filled up with its own samples again."""
    import numpy as np

    count = min(len(array) for array in samples.values())
    for start in range(0, count, batch):
        meant = min(batch, count - start)
        if meant == batch:
            yield {name: array[start : start + batch] for name, array in samples.items()}, meant
        else:
            rows = start + np.arange(batch) % meant
            yield {name: array[rows] for name, array in samples.items()}, meant


def run_all(run: Run, inputs: Path, ports: Sequence[Port], names: Sequence[str]) -> bytes:
    """Run every sample and pack the outputs, named `names`, as an .npz."""
    import numpy as np

    collected: list[list[Any]] = [[] for _ in names]
    for feed, meant in batches(read(inputs, ports), ports[0].shape[0]):
        for rows, output in zip(collected, run(feed)):
            rows.append(np.array(output[:meant]))  # a copy: a runtime may use its output buffer again
    return pack({name: np.concatenate(rows) for name, rows in zip(names, collected)})


def pack(arrays: Arrays) -> bytes:
    """`arrays` as an .npz; unlike numpy's own savez it stumbles over no name."""
    import numpy as np

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return file.getvalue()
