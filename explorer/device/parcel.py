"""What is sent to a device: bytes known by their sha256, that can be read from anywhere on."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 1 << 20


@dataclass(frozen=True)
class Parcel:
    """`read_from(offset)` yields its bytes from there on, in pieces."""

    sha256: str
    size: int
    read_from: Callable[[int], Iterator[bytes]]


def of_file(path: Path, sha256: str) -> Parcel:
    """The file `path`, whose sha256 is known."""
    size = path.stat().st_size

    def read_from(offset: int) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(offset)
            for begin in range(offset, size, PIECE):
                piece = file.read(wanted := min(PIECE, size - begin))
                if len(piece) < wanted:  # the far side counts on every byte that was announced
                    raise OSError(f"{path} became shorter while it was sent")
                yield piece

    return Parcel(sha256, size, read_from)


def of_bytes(data: bytes) -> Parcel:
    """Bytes in memory."""

    def read_from(offset: int) -> Iterator[bytes]:
        return (data[begin : begin + PIECE] for begin in range(offset, len(data), PIECE))

    return Parcel(hashlib.sha256(data).hexdigest(), len(data), read_from)


def of_array(array: NDArray[Any]) -> Parcel:
    """An array as the agent reads it: an .npz file with one member, not compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("input.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return of_bytes(buffer.getvalue())


def sha256_of_arrays(arrays: NDArray[Any] | Mapping[str, NDArray[Any]]) -> str:
    """The sha256 of an array, or of several by name: of their kinds, shapes and numbers."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()) if isinstance(arrays, Mapping) else [("", arrays)]:
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
