"""A study that learns from another: told while it runs and ever after, and the same when it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from explorer.config import load
from explorer.errors import BadInput
from explorer.report import render
from explorer.store import TRIALS, read
from explorer.study import Ending, run
from tests.fixtures.watching import Watching

SPACE = """\
study: {study}
device: recorded:{table}.csv
space: [batch, precision, streams]
objectives: {{latency_ms: min, energy_mj: min}}
search: {{seed: 3, trials: {trials}{more}}}
"""
LEARNS = ", learn_from: [tx2]"


def table(path: Path, *, times: float) -> None:
    lines = ["batch,precision,streams,latency_ms,energy_mj"]
    for batch in (1, 2, 4, 8):
        for precision, speed in (("fp32", 1.0), ("int8", 0.4)):
            for streams in (1, 2, 3):
                latency = times * speed * batch**0.7 * (1 + 0.2 * streams)
                lines.append(f"{batch},{precision},{streams},{latency:.4f},{9 * speed / batch + streams**0.5:.4f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table(tmp_path / "tx2.csv", times=3.0)
    table(tmp_path / "orin.csv", times=1.0)
    study(tmp_path, "tx2", trials=12)
    return tmp_path


def study(
    folder: Path, name: str, *, trials: int, more: str = "", fresh: bool = False, watching: Watching | None = None
) -> Ending:
    (folder / f"{name}.yaml").write_text(SPACE.format(study=name, table=name, trials=trials, more=more))
    watcher, experiment = watching or Watching(), load(folder / f"{name}.yaml")
    return run(experiment, results=folder / "results", cache=folder / "cache", watcher=watcher, fresh=fresh)


def tried(folder: Path) -> list[tuple[object, ...]]:
    return [tuple(record.params.values()) for record in read(folder / "results" / "orin").records]


def test_whom_it_learns_from_is_told_and_kept(folder: Path) -> None:
    watching = Watching()
    study(folder, "orin", trials=2, more=LEARNS, watching=watching)
    assert "learns from: tx2 (12 records, 3 axes in common)" in watching.notes
    results = folder / "results" / "orin"
    kept = json.loads((results / "study.json").read_text())["learns_from"]
    assert [(one["study"], one["records"], one["axes"]) for one in kept] == [
        ("tx2", 12, ["batch", "precision", "streams"])
    ]
    assert "search: learned from tx2 (12 records)" in str(render(results, pareto=True, format="md"))


def test_a_study_goes_on_the_same_although_the_other_has_grown(folder: Path) -> None:
    study(folder, "orin", trials=10, more=LEARNS)
    whole = tried(folder)
    study(folder, "orin", trials=7, more=LEARNS, fresh=True)
    study(folder, "tx2", trials=20)
    study(folder, "orin", trials=10, more=LEARNS)
    assert tried(folder) == whole
    study(folder, "orin", trials=10, fresh=True, more="")
    assert tried(folder) != whole


def test_a_study_that_is_gone_or_not_what_it_was_is_refused(folder: Path) -> None:
    study(folder, "orin", trials=2, more=LEARNS)
    trials = folder / "results" / "tx2" / TRIALS
    lines = trials.read_text().splitlines(keepends=True)
    trials.write_text("".join(lines[1:]))
    with pytest.raises(BadInput, match=r"search\.learn_from\[0\]: tx2 is not what it was[^$]*11 of the 12 records"):
        study(folder, "orin", trials=4, more=LEARNS)
    (folder / "results" / "tx2").rename(folder / "elsewhere")
    with pytest.raises(BadInput, match=r"no study at .*tx2"):
        study(folder, "orin", trials=4, more=LEARNS)
    trials = folder / "elsewhere" / TRIALS
    trials.write_text("".join(lines))
    study(folder, "orin", trials=3, more=", learn_from: [elsewhere]", fresh=True)
    assert len(tried(folder)) == 3


def test_other_studies_to_learn_from_make_another_experiment(folder: Path) -> None:
    study(folder, "orin", trials=2)
    with pytest.raises(BadInput, match=r"search\.learn_from: absent → \[\"tx2\"\]"):
        study(folder, "orin", trials=4, more=LEARNS)


@pytest.mark.parametrize(
    ("named", "said"),
    [("tx3", "did you mean 'tx2'"), ("orin", "cannot learn from itself"), ("few", "0 of its 0 records do")],
)
def test_nothing_to_learn_from_is_refused_before_anything_is_written(folder: Path, named: str, said: str) -> None:
    few = folder / "results" / "few"
    few.mkdir()
    (few / "study.json").write_text((folder / "results" / "tx2" / "study.json").read_text())
    (folder / "results" / "orin").mkdir()
    (folder / "results" / "orin" / "study.json").write_text("{}")
    with pytest.raises(BadInput, match=said):
        study(folder, "orin", trials=2, more=f", learn_from: [{named}]", fresh=True)
    assert [path.name for path in (folder / "results" / "orin").iterdir()] == ["study.json"]


def test_axes_of_another_world_are_refused(folder: Path) -> None:
    text = (folder / "results" / "tx2" / TRIALS).read_text()
    for name in ("batch", "precision", "streams"):
        text = text.replace(f'"{name}"', f'"other_{name}"')
    (folder / "results" / "tx2" / TRIALS).write_text(text)
    with pytest.raises(BadInput, match="no axis in common"):
        study(folder, "orin", trials=2, more=LEARNS)


def test_a_sampler_that_learns_from_nobody_says_so(folder: Path) -> None:
    with pytest.raises(BadInput, match="tpe learns from no other study"):
        study(folder, "orin", trials=2, more=LEARNS + ", sampler: tpe")
