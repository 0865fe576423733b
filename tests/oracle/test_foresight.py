"""What a study asks before it builds: nothing impossible passes, and nothing is refused that is not known of."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from explorer.oracle import TARGETS, Foresight, Graph, refusals
from explorer.oracle.rules import PLACEMENTS, PRECISIONS

from .networks import Net

ORIN = {
    "fingerprint": "orin-1",
    "module": "p3701-0005",
    "soc": "tegra234",
    "jetpack": "6.2.2",
    "l4t": "36.5.0",
    "runtimes": {"tensorrt": {"version": "10.3.0", "sm": 87, "dla_cores": 2, "parser_opset": 20}},
}


def wish(**others: Any) -> dict[str, Any]:
    return {"runtime": "tensorrt", "precision": "fp16", "placement": "gpu", "batch": 1, "streams": 1, **others}


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    Net().conv().add("Relu").graph(tmp_path)
    return tmp_path / "net.onnx"


def test_it_says_of_every_wish_what_the_rules_say(onnx: Path, tmp_path: Path) -> None:
    graph = Graph.of(onnx, final=False)
    foresight = Foresight(ORIN, tmp_path, graph=graph)
    refused = 0
    for precision, placement, batch in itertools.product(PRECISIONS, PLACEMENTS, (1, 4, 8192)):
        asked = wish(precision=precision, placement=placement, batch=batch, power_mode="MAXN")
        rules = refusals(TARGETS["agx-orin-64"], graph, asked)
        assert foresight.before(asked) == foresight.before(dict(asked)) == rules
        refused += bool(rules)
    assert 0 < refused < len(PRECISIONS) * len(PLACEMENTS) * 3


def test_of_other_runtimes_it_knows_nothing(onnx: Path, tmp_path: Path) -> None:
    foresight, asked = Foresight(ORIN, tmp_path), wish(runtime="openvino", placement="dla", precision="fp32")
    assert foresight.before(asked) == ()
    assert foresight.of(onnx, "sha", asked) == ()
    foresight.learn("sha", asked, "no")
    assert not (tmp_path / "learnt.jsonl").exists()


def test_the_file_itself_is_looked_at(onnx: Path, tmp_path: Path) -> None:
    """The network may be run in int8, and that file of it is not quantised: TensorRT 11 reads types alone."""
    newest = {**ORIN, "jetpack": "7.2.2", "runtimes": {"tensorrt": {"version": "11.4.1", "sm": 87, "dla_cores": 2}}}
    foresight = Foresight(newest, tmp_path, graph=Graph.of(onnx, final=False))
    assert foresight.before(wish(precision="int8")) == ()
    assert [one.rule for one in foresight.of(onnx, "sha", wish(precision="int8"))] == ["types-in-network"]
    assert foresight.of(onnx, "sha", wish(precision="fp32")) == ()


def test_what_a_board_refused_is_known_to_the_next_study_on_such_a_board(onnx: Path, tmp_path: Path) -> None:
    Foresight(ORIN, tmp_path).learn("sha", wish(), "orin: build: the builder gave None")
    (refusal,) = Foresight(ORIN, tmp_path).of(onnx, "sha", wish())
    assert "the builder gave None [learnt; " in str(refusal)
    assert refusal.asks is None, "of another deployment nothing is known by it"
    assert Foresight({**ORIN, "fingerprint": "orin-2"}, tmp_path).of(onnx, "sha", wish()) == ()
    assert Foresight(ORIN, tmp_path).of(onnx, "other", wish()) == ()


def test_a_board_that_tells_little_is_refused_little(onnx: Path, tmp_path: Path) -> None:
    unknown = Foresight({"fingerprint": "x", "runtimes": {}}, tmp_path, graph=Graph.of(onnx, final=False))
    assert unknown.before(wish(placement="dla")) == ()
    assert "dla-precision" in {one.rule for one in unknown.before(wish(placement="dla", precision="fp32"))}


def test_a_rule_follows_from_no_more_than_it_says(onnx: Path, tmp_path: Path) -> None:
    """So that one refusal is enough for every candidate that is equal in all that it looks at."""
    Net((2, 16, 16, 16)).conv().graph(tmp_path)
    boards = [TARGETS[name] for name in ("agx-orin-64", "orin-nano", "nano", "thor")]
    wishes = [
        wish(precision=precision, placement=placement)
        for precision, placement in itertools.product(PRECISIONS, PLACEMENTS)
    ]
    others = [{"batch": batch, "streams": streams} for batch in (1, 2, 8192) for streams in (1, 3)]
    seen = set()
    for board, graph, asked in itertools.product(boards, (Graph.of(onnx), Graph.of(tmp_path / "net.onnx")), wishes):
        found = [(other, refusals(board, graph, {**asked, **other})) for other in others]
        for (one, refused), (other, also) in itertools.permutations(found, 2):
            for refusal in refused:
                assert refusal.asks is not None
                if all(one[name] == other[name] for name in refusal.asks):
                    assert refusal.rule in {its.rule for its in also}, (asked, one, other)
                    seen.add(refusal.rule)
    assert {"batch-fixed", "a-stream-each", "dla-precision", "dla-batch", "dla-none"} <= seen
