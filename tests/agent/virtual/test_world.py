"""One virtual board as a job sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from explorer_agent import jetson, rails
from explorer_agent.messages import AgentError
from explorer_agent.virtual import tree
from explorer_agent.virtual.course import BEGIN_S
from explorer_agent.virtual.world import World


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree.plant(tmp_path / "root", "orin-nx-16", seed=4)


def draws(world: World) -> list[float]:
    return [world.course.chance.random() for _ in range(3)]


def test_it_is_the_board_that_the_files_describe(root: Path) -> None:
    world = World.below(root)
    assert (world.board.name, world.seed, world.mode_name) == ("orin-nx-16", 4, "15W")
    assert world.facts() == {"board": "orin-nx-16", "model": "roofline/1", "seed": 4, "faults": {}}
    (root / "var/lib/nvpmodel/status").write_text("pmode:0001 fmode:fanNull\n")
    assert world.mode() is world.board.modes["10W"]
    with pytest.raises(AgentError, match="offers MAXN, 10W"):
        world.mode("50W")


@pytest.mark.parametrize("text", ["{}", '{"simulated": "nano"}', '{"simulated": "nano", "virtual": 3}', "null"])
def test_what_describes_no_board_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "imitation.json").write_text(text)
    with pytest.raises(AgentError, match="describes no virtual board"):
        World.below(tmp_path)


def test_noise_follows_from_the_question_and_how_often_it_was_asked(root: Path) -> None:
    def answer(question: str) -> list[float]:
        world = World.below(root)
        world.begin()
        world.ask(question)
        return draws(world)

    first, second, other = answer("a"), answer("a"), answer("b")
    assert len({*first, *second, *other}) == 9
    (root / "asked.json").write_text("{}")
    assert (answer("b"), answer("a"), answer("a")) == (other, first, second)


def test_a_job_that_does_not_measure_counts_for_nothing(root: Path) -> None:
    World.below(root).ask("a")
    assert json.loads((root / "asked.json").read_text()) == {}


def test_another_seed_is_other_noise(tmp_path: Path) -> None:
    worlds = [World.below(tree.plant(tmp_path / str(seed), "nano", seed=seed)) for seed in (1, 2)]
    for world in worlds:
        world.ask("a")
    assert draws(worlds[0]) != draws(worlds[1])


def test_files_show_a_moment_and_then_rest(root: Path) -> None:
    world = World.below(root)
    course = world.begin()
    course.spend(2.0, {"gpu": 6.0})
    course.spend(2.0)

    def watts() -> float:
        return {rail.name: rail.watts() or 0.0 for rail in rails.rails(root)}["VDD_IN"]

    world.show(BEGIN_S + 1.0)
    assert (watts(), jetson.gpu_load(root)) == (pytest.approx(10.8, abs=0.3), 0.99)
    world.show(BEGIN_S + 3.0)
    assert (watts(), jetson.gpu_load(root)) == (pytest.approx(4.8, abs=0.3), 0.0)
    course.spend(1.0, {"gpu": 6.0})
    world.show(BEGIN_S + 4.5)
    world.rest()
    assert jetson.gpu_load(root) == 0.0
