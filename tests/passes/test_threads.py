"""Frugal sessions: as many threads as the environment says, and only inside."""

from __future__ import annotations

import onnxruntime
import pytest

from explorer.passes.threads import frugal_sessions


@pytest.mark.parametrize(("given", "threads"), [("1", 1), ("3,2", 3), ("", 0)])
def test_sessions_keep_to_the_threads_that_are_given(monkeypatch: pytest.MonkeyPatch, given: str, threads: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    with frugal_sessions():
        assert onnxruntime.SessionOptions().intra_op_num_threads == threads
    assert onnxruntime.SessionOptions().intra_op_num_threads == 0


def test_the_library_is_left_as_it_was_when_something_fails() -> None:
    original = onnxruntime.SessionOptions
    with pytest.raises(ZeroDivisionError), frugal_sessions():
        raise ZeroDivisionError
    assert onnxruntime.SessionOptions is original
