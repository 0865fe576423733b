"""Where stages run: processes of their own on this machine, so that a crash or a lack of memory costs one stage."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

from explorer.artifacts import Artifacts
from explorer.errors import JobFailed
from explorer.pipeline import Done, Stage, make

# Two stages at a time keep two cores busy better than one stage with two threads does. More would have the sampler ask
# further ahead of what it knows.
WORKERS = 2
LOG = "stages.log"  # below the cache: what libraries print while stages run
_PR_SET_PDEATHSIG = 1


class LocalProcesses:
    """Up to `WORKERS` processes; stages that wait for one queue up in the order they were asked for.

    A worker starts when there is a stage for it, dies with the program however that ends, and is replaced when it
    crashes.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, stage: Stage, cache: Path) -> Future[Done]:
        if self._pool is None:
            self._pool = _new_pool(cache)
        try:
            work = self._pool.submit(_make, stage, cache)
        except BrokenProcessPool:
            self._pool = _new_pool(cache)
            work = self._pool.submit(_make, stage, cache)
        return _explained(work, stage)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self._pool is not None:
            self._signal(signal.SIGKILL)  # first: a stage may have minutes to go, and waiting for its end is not wanted
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _signal(self, number: int) -> None:
        for process in list((self._pool._processes if self._pool else None) or {}):
            with suppress(ProcessLookupError):
                os.kill(process, number)


def _new_pool(cache: Path) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    workers = max(1, min(WORKERS, cores := len(os.sched_getaffinity(0))))
    os.close(_open_log(cache, os.O_TRUNC))
    begin = (os.getpid(), cache, max(1, cores // workers))
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=begin)


def _begin_worker(parent: int, cache: Path, threads: int) -> None:
    """Die with the parent, leave Ctrl-C to it, share the cores, and keep libraries' chatter off the user's terminal."""
    with suppress(OSError, AttributeError):  # not Linux: the pool's own pipe ends the worker a little later
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries make locks of the default context (tqdm does); a forking one unlinks them at once, so that a worker that
    # is killed leaves none behind for the resource tracker to warn of.
    multiprocessing.set_start_method("fork", force=True)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when torch is loaded, which is with the first stage
    log = _open_log(cache, os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _open_log(cache: Path, how: int) -> int:
    """What libraries print; never through a symlink, as the user may have named a folder that others write to."""
    return os.open(cache / LOG, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | how, 0o644)


def _make(stage: Stage, cache: Path) -> Done:
    return make(stage, Artifacts(cache))


def _explained(work: Future[Done], stage: Stage) -> Future[Done]:
    """The same future, with a worker's death told as what it means for the candidate."""
    told: Future[Done] = Future()

    def copy(finished: Future[Done]) -> None:
        if finished.cancelled():
            told.cancel()
        elif isinstance(error := finished.exception(), BrokenProcessPool):
            told.set_exception(JobFailed(f"the process that ran {stage.name} died: killed, crashed or out of memory"))
        elif error is not None:
            told.set_exception(error)
        else:
            told.set_result(finished.result())

    work.add_done_callback(copy)
    return told
