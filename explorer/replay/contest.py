"""All searches of a comparison, each with its sampler and seed, in processes of their own.

The answer is the same whatever the number of processes: a search knows nothing but its problem, sampler and seed, and
has one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace

from explorer.errors import BadInput, Problem
from explorer.replay.course import Course, search_through
from explorer.replay.problem import Replayed
from explorer.replay.summary import Courses
from explorer.search import check_sampler

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Job = tuple[str, int]  # sampler, seed
Heard = Callable[[Course, int, int], None]  # a course that is done, how many are, and of how many


def contest(
    problem: Replayed,
    samplers: Sequence[str],
    *,
    seeds: int,
    trials: int | None = None,
    workers: int | None = None,
    heard: Heard = lambda course, done, of: None,
) -> Courses:
    """Let each sampler search with the seeds 0, 1, …; its courses in the order of seeds.

    Args:
        problem: what is searched.
        samplers: by name, or ``module:callable``.
        seeds: how many.
        trials: evaluations after which a search ends at the latest; the whole space by default.
        workers: processes; None for as many as there are cores.
        heard: hears of every search that is done.

    Raises:
        BadInput: an unknown sampler.
    """
    _check(samplers)
    jobs = [(sampler, seed) for sampler in samplers for seed in range(seeds)]
    budget = problem.space.size if trials is None else trials
    found: dict[Job, Course] = {}
    for job, course in _searched(problem, jobs, budget, workers or len(os.sched_getaffinity(0))):
        found[job] = course
        heard(course, len(found), len(jobs))
    return {sampler: [found[sampler, seed] for seed in range(seeds)] for sampler in samplers}


def _check(samplers: Sequence[str]) -> None:
    problems: list[Problem] = []
    for name in samplers:
        try:
            check_sampler(name)
        except BadInput as error:
            problems += [replace(problem, path="--samplers") for problem in error.problems]
    twice = [name for name in dict.fromkeys(samplers) if samplers.count(name) > 1]
    problems += [Problem("a sampler is here twice", path="--samplers", seen=repr(name)) for name in twice]
    if problems:
        raise BadInput(problems)


def _searched(problem: Replayed, jobs: Sequence[Job], budget: int, workers: int) -> Iterator[tuple[Job, Course]]:
    with _pool(problem, min(workers, len(jobs))) as pool:
        asked = {pool.submit(_search, sampler, seed, budget): (sampler, seed) for sampler, seed in jobs}
        for future in as_completed(asked):
            yield asked[future], future.result()


@contextmanager
def _pool(problem: Replayed, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share the cores, and end with us: nobody waits for a search that is not wanted any more."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # for the workers, which read it when they begin
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(problem,))
    try:
        yield pool
    finally:
        processes = list(pool._processes.values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


_problem: Replayed | None = None  # of a worker


def _begin(problem: Replayed) -> None:
    global _problem
    _problem = problem
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to hear


def _search(sampler: str, seed: int, budget: int) -> Course:
    assert _problem is not None  # _begin has set it
    return search_through(_problem, sampler, seed, budget=budget)
