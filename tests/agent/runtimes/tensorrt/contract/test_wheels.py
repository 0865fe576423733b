"""The runtime's names, and its refusal of a machine without CUDA, against TensorRT itself: 8.5.3.1 under a Jetson's
Python 3.8, 8.6.0 under 3.10.

The wheels are large: EXPLORER_TENSORRT_VENVS names a folder to keep them in; without it they are fetched for this one
run, and given up afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ....talk import interpreter
from .. import faces
from . import ask
from .used import USED
from .wheels import NotToBeHad, Wheel, installed

pytestmark = pytest.mark.slow
KEPT = "EXPLORER_TENSORRT_VENVS"
# Asked of the runtime's own code, imported from the agent's file beside the real module.
RUNTIME = """
import dataclasses, json, sys
sys.path.insert(0, sys.argv[1])
import tensorrt
from explorer_agent.runtimes.tensorrt import TensorRt, api, failures, probe
able = dataclasses.asdict(api.Api.of(tensorrt))
able["flags"] = sorted(able["flags"])
kept = []
logger = failures.logger(tensorrt, kept)
logger.log(tensorrt.Logger.ERROR, "heard")
plugins = tensorrt.init_libnvinfer_plugins(logger, "")
found = {"ask": probe.ask(), "available": TensorRt().available()}
print(json.dumps(dict(found, api=able, kept=kept, plugins=plugins)))
"""
BUILDER = "import tensorrt; tensorrt.Builder(tensorrt.Logger())"
CRASHES = "import tensorrt; tensorrt.Runtime(tensorrt.Logger())"


@pytest.fixture(scope="module", params=["8.5.3.1 for 3.8", "8.6.0 for 3.10"])
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wheel]:
    version, _, python = request.param.partition(" for ")
    kept = os.environ.get(KEPT, "")
    below = Path(kept) if kept else tmp_path_factory.mktemp("wheels")
    below.mkdir(parents=True, exist_ok=True)
    try:
        yield installed(interpreter(python), version, below)
    except NotToBeHad as why_not:
        pytest.skip(str(why_not))
    finally:
        if not kept:
            shutil.rmtree(below, ignore_errors=True)


def version(wheel: Wheel) -> tuple[int, ...]:
    return tuple(int(part) for part in wheel.folder.name.partition("-")[2].split("."))


def told(wheel: Wheel, *arguments: str, given: str = "") -> Any:
    done = wheel.run(*arguments, given=given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_every_name_and_argument_is_there_exactly_where_it_is_meant_to_be(wheel: Wheel) -> None:
    question = json.dumps([[name.path, name.arguments] for name in USED])
    answer = told(wheel, str(Path(ask.__file__)), given=question)
    assert answer["version"] == wheel.folder.name.partition("-")[2]
    assert answer["arguments"] == {}
    assert set(answer["missing"]) == {name.path for name in USED if not name.is_in(version(wheel))}


def test_a_name_that_nobody_has_is_missed(wheel: Wheel) -> None:
    question = [["Builder.create_netwrok", []], ["Builder.create_network", ["flgas"]], ["Nobody", []]]
    answer = told(wheel, str(Path(ask.__file__)), given=json.dumps(question))
    assert answer["missing"] == ["Builder.create_netwrok", "Nobody"]
    assert "Builder.create_network" in answer["arguments"]


def test_the_runtime_says_what_it_can_do_and_why_it_cannot_be_used_here(wheel: Wheel, bundle: Path) -> None:
    answer = told(wheel, "-c", RUNTIME, str(bundle))
    able = answer["api"]
    assert (able["names_tensors"], able["weakly_typed"], able["explicit_batch"]) == (True, True, True)
    assert (able["strongly_typed"], able["dynamic_ranges"]) == (False, True)
    assert ("FP8" in able["flags"]) == (version(wheel) >= (8, 6))
    assert answer["plugins"] is True
    assert [1, "heard"] in answer["kept"], "a logger of ours is one of TensorRT's"
    if not Path("/dev/nvidia0").exists():
        assert answer["ask"]["why_not"], "without a driver it is said, not died of"
        assert answer["available"]


def test_without_a_driver_it_does_as_the_face_does(wheel: Wheel) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is a driver on this machine")
    done = wheel.run("-c", BUILDER)
    assert "TypeError: pybind11::init(): factory function returned nullptr" in done.stderr
    world = faces.World()
    world.cuda.no_device = 35
    face: Any = faces.face("8.5", world)
    with pytest.raises(TypeError, match="factory function returned nullptr"):
        face.Builder(face.Logger())
    if version(wheel) == (8, 6, 0):
        assert wheel.run("-c", CRASHES).returncode == -11, "why CUDA is asked first, and in a process of its own"
