"""How many threads ONNX Runtime takes while a stage runs.

Its quantiser makes sessions of its own and offers no way to say so. Left alone, each takes every core and spins on it
between two inferences: two stages side by side then spend their time in each other's way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import onnxruntime


@contextmanager
def frugal_sessions() -> Iterator[None]:
    """Sessions made in here with default options keep to ``$OMP_NUM_THREADS`` (else every core) and do not spin."""
    original = onnxruntime.SessionOptions

    def frugal() -> onnxruntime.SessionOptions:
        options = original()
        first_level = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # OpenMP allows "4,2": one number a level
        options.intra_op_num_threads = int(first_level) if first_level.isdecimal() else 0
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    onnxruntime.SessionOptions = frugal  # the quantiser looks it up there each time
    try:
        yield
    finally:
        onnxruntime.SessionOptions = original
