"""Content-addressed stages: once ever, across processes and crashes; in a worker that may die."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer.artifacts import Artifacts
from explorer.errors import JobFailed
from explorer.execution import LocalProcesses
from explorer.pipeline import Pipeline, Stage, find, key_of, make

DOUBLE, CRASH = "tests.fixtures.toy_stages:double", "tests.fixtures.toy_stages:crash"


@pytest.fixture
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifacts:
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    return Artifacts(tmp_path / "cache")


@pytest.fixture
def pipeline(artifacts: Artifacts) -> Iterator[Pipeline]:
    pipeline = Pipeline(artifacts, LocalProcesses())
    yield pipeline
    pipeline.close()


def chain(n: int, *, sleep: float = 0) -> Stage:
    return Stage(DOUBLE, {"n": -1}, {"x": Stage(DOUBLE, {"n": n} | ({"sleep": sleep} if sleep else {}))})


def ran(artifacts: Artifacts) -> list[str]:
    log = artifacts.root.parent / "log"
    return log.read_text().split("\n")[:-1] if log.exists() else []


def test_a_chain_runs_once_ever(artifacts: Artifacts) -> None:
    assert find(chain(3), artifacts) is None
    done = make(chain(3), artifacts)
    assert artifacts.path(done.sha256).read_text() == "12"
    assert not done.times[DOUBLE].cached
    again = make(chain(3), artifacts)
    assert again.sha256 == done.sha256
    assert again.times[DOUBLE].cached
    assert again.times[DOUBLE].seconds == done.times[DOUBLE].seconds
    assert find(chain(3), artifacts) == again
    assert ran(artifacts) == ["double 3", "double -1"]


def test_equal_inputs_are_shared_by_different_chains(artifacts: Artifacts) -> None:
    make(Stage(DOUBLE, {"n": 3}), artifacts)
    make(chain(3), artifacts)
    assert ran(artifacts) == ["double 3", "double -1"]


def test_the_key_sees_parameters_inputs_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.fixtures import toy_stages

    keys = {key_of(Stage(DOUBLE, {"n": n}), {"x": x}) for n in (1, 2) for x in ("a", "b")}
    monkeypatch.setattr(toy_stages.double, "VERSION", 2)
    keys.add(key_of(Stage(DOUBLE, {"n": 1}), {"x": "a"}))
    assert len(keys) == 5


def test_a_lost_blob_is_made_again(artifacts: Artifacts) -> None:
    done = make(Stage(DOUBLE, {"n": 3}), artifacts)
    artifacts.path(done.sha256).unlink()
    assert find(Stage(DOUBLE, {"n": 3}), artifacts) is None
    assert make(Stage(DOUBLE, {"n": 3}), artifacts).sha256 == done.sha256


def test_two_processes_make_one_thing_once(artifacts: Artifacts) -> None:
    code = (
        "import sys; from pathlib import Path; from explorer.artifacts import Artifacts\n"
        "from tests.test_pipeline import chain; from explorer.pipeline import make\n"
        "print(make(chain(5, sleep=1.0), Artifacts(Path(sys.argv[1]))).sha256)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(artifacts.root)], stdout=subprocess.PIPE) for _ in range(2)
    ]
    answers = {process.communicate()[0] for process in both}
    assert len(answers) == 1
    assert all(process.returncode == 0 for process in both)
    assert ran(artifacts) == ["double 5", "double -1"]


def test_prepared_in_a_worker_then_at_once(pipeline: Pipeline) -> None:
    done = pipeline.prepare(chain(3)).result(60)
    assert not done.times[DOUBLE].cached
    again = pipeline.prepare(chain(3))
    assert again.done()
    assert again.result().times[DOUBLE].cached
    assert pipeline.prepare(done.sha256).result().sha256 == done.sha256


def test_an_exception_is_told_with_its_traceback(pipeline: Pipeline) -> None:
    with pytest.raises(JobFailed, match="ZeroDivisionError: nothing to divide by") as caught:
        pipeline.prepare(Stage(CRASH, {"how": "raise"})).result(60)
    assert "toy_stages.py" in caught.value.log_tail


def test_a_killed_worker_costs_one_stage(pipeline: Pipeline) -> None:
    with pytest.raises(JobFailed, match="killed, crashed or out of memory"):
        pipeline.prepare(Stage(CRASH, {"how": "kill"})).result(60)
    assert pipeline.prepare(chain(3)).result(60).sha256


def test_nothing_is_computed_while_standing_still(pipeline: Pipeline, artifacts: Artifacts) -> None:
    pipeline.prepare(chain(1)).result(60)  # the worker is up
    with pipeline.standing_still():
        under_way = pipeline.prepare(chain(7))
        time.sleep(0.7)
        assert not under_way.done()
        assert "double 7" not in ran(artifacts)
    assert under_way.result(60).sha256


def test_the_worker_dies_with_its_parent(artifacts: Artifacts) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from explorer.artifacts import Artifacts\n"
        "from tests.test_pipeline import chain; from explorer.pipeline import Pipeline\n"
        "from explorer.execution import LocalProcesses\n"
        "if __name__ == '__main__':\n"
        "    executor = LocalProcesses(); pipeline = Pipeline(Artifacts(Path(sys.argv[1])), executor)\n"
        "    pipeline.prepare(chain(1)).result(60); executor.pause()\n"
        "    print(*executor._pool._processes, flush=True); time.sleep(60)\n"
    )
    script = artifacts.root / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script), str(artifacts.root)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert _gone(worker)


def _gone(process: int) -> bool:
    for _ in range(50):
        status = Path(f"/proc/{process}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            return True
        time.sleep(0.1)
    os.kill(process, 9)
    return False
