"""The sections around the space: search, measure, fine-tuning, devices, and keys that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.config import Experiment, MeasurePlan, differences, find, load, override, spaces
from explorer.config.sections import RecipeSection, seconds_of
from explorer.errors import BadInput, Problem
from explorer.models.training import Recipe

Read = Callable[[str], Experiment]
Problems = Callable[[str], list[Problem]]

HEAD = "model: small.onnx\nspace: {batch: [1, 4]}\nobjectives: {throughput_ips: max}\n"


def test_defaults(read: Read, tmp_path: Path) -> None:
    experiment = read(HEAD)
    assert experiment.study == "space"
    assert experiment.devices == ("local:",)
    assert (experiment.search.sampler, experiment.search.trials, experiment.search.seconds) == ("auto", 100, None)
    assert experiment.measure == MeasurePlan()
    assert experiment.dataset is None
    assert experiment.model is not None
    assert experiment.model.onnx == tmp_path.resolve() / "small.onnx"
    assert experiment.folder == tmp_path.resolve()


def test_a_time_limit_alone_sets_no_trials(read: Read) -> None:
    plan = read(HEAD + "search: {timeout: 1h30m}").search
    assert (plan.trials, plan.seconds) == (None, 5400.0)


def test_a_section_whose_lines_are_all_comments_is_left_out(read: Read) -> None:
    experiment = read(HEAD + "search:\n  # trials: 3\nconstraints:\nrules:\nmeasure:\nmeter:\ndevice:\n")
    assert experiment.search.trials == 100
    assert experiment.constraints == ()


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200.0), ("90s", 90.0), ("5m", 300.0), ("1.5h", 5400.0), ("1h1m1s", 3661.0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "5 m", "2h3h", "-1h", "0s", "1m1h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("serach: {trials: 3}", "serach", "did you mean 'search'"),
        ("trials: 3", "trials", "it belongs below search:"),
        ("window_s: 3", "window_s", "it belongs below measure:"),
        ("simulate: true", "simulate", "nano, xavier-nx, agx-xavier, orin-nano, orin-nx-16, agx-orin-64, thor"),
        ("simulate: agx-orin", "simulate", "did you mean 'agx-orin-64'"),
        ("search: {trails: 3}", "search.trails", "did you mean 'trials'"),
        ("search: {trials: ten}", "search.trials", "a whole number"),
        ("search: {trials: 2.5}", "search.trials", "a whole number"),
        ("search: {trials: true}", "search.trials", "a whole number"),
        ("search: {trials: 0}", "search.trials", "1 or more"),
        ("search: {hours: '1'}", "search.hours", "a number"),
        ("search: {hours: 0}", "search.hours", "more than 0"),
        ("search: {timeout: 2x}", "search.timeout", "such as 2h"),
        ("search: {timeout: 7}", "search.timeout", "a word or text"),
        ("search: {hours: 1, timeout: 1h}", "search.timeout", "keep one of the two"),
        ("search: {sampler: tpee}", "search.sampler", "did you mean 'tpe'"),
        ("search: {prior: of}", "search.prior", "did you mean 'off'"),
        ("search: [3]", "search", "keys and values"),
        ("measure: {budget_s: 0.1}", "measure.budget_s", "0.5 s, or more"),
        ("measure: {verify: polygraphy}", "measure.verify", "allowed: trtexec"),
        ("measure: {verify: trtexec}", "measure.verify", "no candidate of this space is one"),
        ("measure: {windows_min: 1}", "measure.windows_min", "2 or more"),
        ("measure: {relative_interval: 2}", "measure.relative_interval", "less than 1"),
        ("meter: {idle_w: -3}", "meter.idle_w", "0 or more"),
        ("device: ssh://me:secret@board", "device", "holds no password"),
        ("device: ssh://", "device", "a host"),
        ("device: ssh:me@board", "device", "write ssh://me@board"),
        ("device: ssh://board/home", "device", "write ssh://board"),
        ("device: ssh://board:0", "device", "a port from 1 to 65535"),
        ("device: ssh://bo ard", "device", "of letters, digits"),
        ("device: me@board", "device", "write ssh://me@board"),
        ("device: boards/none.yaml", "device", "there is no such board file"),
        ("device: 7", "device", "a device is a word"),
        ("device: [ssh://a, lokal]", "device[1]", "did you mean 'local:'"),
        ("device_options: {patience: 3}", "device_options.patience", "did you mean 'patience_s'"),
        ("device_options: {patience_s: -3}", "device_options.patience_s", "0 or more"),
        ("device_options: {clocks: look}", "device_options.clocks", "did you mean 'lock'"),
        ("patience_s: 3", "patience_s", "it belongs below device_options:"),
        ("device: ['sim:orin']", "device[0]", "no such virtual board"),
        ("device: ['local:', 'recorded:t.csv']", "device[1]", "a recorded table is no board"),
        ("device_options: {seed: -1}", "device_options.seed", "0 or more"),
        ("device_options: {faults: 3}", "device_options.faults", "keys and values"),
        ("device: lokal", "device", "did you mean 'local:'"),
        ("device: []", "device", "needs a device"),
        ("device: ['local:', local]", "device[1]", "name each board of a fleet once"),
        ("study: ../outside", "study", "letters, digits"),
        ("study: 7", "study", "a word or text"),
        ("constraints: throughput_ips >= 3", "constraints", "are a list"),
        ("constraints: [throughput_ips > 3]", "constraints[0]", "not a constraint"),
        ("constraints: [throughput_isp >= 3]", "constraints[0]", "did you mean 'throughput_ips'"),
        ("constraints: [power_w >= 3, power_w <= 2]", "constraints", "nothing can keep both"),
        ("train: {iterations: 5}", "train", "its weights are fixed"),
        ("finetune: {epochs: 1}", "finetune", "its weights are fixed"),
        ("prune_ratio: 0.5", "prune_ratio", "its weights are fixed"),
    ],
)
def test_each_mistake_around_the_space(problems: Problems, text: str, path: str, words: str) -> None:
    found = [problem for problem in problems(HEAD + text + "\n") if problem.path == path]
    assert len(found) == 1
    assert found[0].line == 4
    assert words in str(found[0])


@pytest.mark.parametrize(
    ("objectives", "path", "words"),
    [
        ("{}", "objectives", "needs objectives"),
        ("[throughput_ips]", "objectives", "needs objectives"),
        ("{throughput: max}", "objectives.throughput", "did you mean 'throughput_ips'"),
        ("{throughput_ips: maximise}", "objectives.throughput_ips", "did you mean 'max'"),
        ("{latency_ms: max}", "objectives.latency_ms", "looks for the worst"),
        ("{accuracy: max}", "objectives.accuracy", "output_error"),
        ("{accuracy_bg: max}", "objectives.accuracy_bg", "output_error"),
        ("{macs: min}", "objectives.macs", "not known of a bare .onnx file"),
    ],
)
def test_each_mistake_in_the_objectives(problems: Problems, objectives: str, path: str, words: str) -> None:
    (found,) = problems(f"model: small.onnx\nspace: {{batch: [1, 4]}}\nobjectives: {objectives}\n")
    assert (found.path, found.line) == (path, 3)
    assert words in str(found)


def test_all_problems_come_at_once_in_the_order_of_their_lines(problems: Problems) -> None:
    found = problems(
        "model: absent.onnx\nspace: {bach: [1]}\nobjectives: {speed: max}\nserach: {}\nsearch: {trials: x}\n"
    )
    assert [problem.line for problem in found] == [1, 2, 3, 4, 5]


def test_identity_is_json_and_leaves_the_budget_out(read: Read) -> None:
    few, many = read(HEAD + "search: {trials: 3}"), read(HEAD + "search: {trials: 300, hours: 9}")
    assert few.identity() == many.identity()
    assert json.loads(json.dumps(few.identity())) == few.identity()


def test_a_ladder_changes_what_is_tried_and_none_of_the_studies_made_before(read: Read) -> None:
    usual, off = read(HEAD), read(HEAD + "search: {ladder: off}")
    assert (usual.search.ladder, off.search.ladder) == (True, False)
    assert read(HEAD + "search: {ladder: auto}").identity() == usual.identity()
    assert "ladder" not in usual.identity()["search"]
    assert off.identity()["search"]["ladder"] == "off"


def test_identity_follows_the_content_of_files_not_their_place(read: Read, tmp_path: Path) -> None:
    before = read(HEAD).identity()
    (tmp_path / "small.onnx").rename(tmp_path / "other.onnx")
    assert read(HEAD.replace("small", "other")).identity() == before


def test_differences_name_what_changed(read: Read) -> None:
    old = read(HEAD).identity()
    new = read(
        HEAD.replace("[1, 4]", "[1, 4, 8]") + "threads: 2\nsearch: {seed: 5}\nconstraints: [power_w <= 9]\n"
    ).identity()
    assert differences(old, old) == []
    assert differences(old, new) == [
        "fixed.threads: 1 → 2",
        "space.batch: [1, 4] → [1, 4, 8]",
        'constraints: [] → ["power_w <= 9"]',
        "search.seed: 0 → 5",
    ]


def test_a_model_that_may_steer_is_part_of_the_identity_once_it_is_off(read: Read) -> None:
    usual, off = read(HEAD + "search: {prior: auto}"), read(HEAD + "search: {prior: off}")
    assert (usual.search.prior, off.search.prior) == (True, False)
    assert usual.identity() == read(HEAD).identity()
    assert differences(usual.identity(), off.identity()) == ['search.prior: absent → "off"']


def test_what_is_absent_is_called_absent() -> None:
    assert differences({"a": {"b": 1}}, {"a": {"c": None}}) == ["a.b: 1 → absent", "a.c: absent → null"]


def test_the_command_line_has_the_last_word(read: Read) -> None:
    experiment = read(HEAD + "search: {trials: 30, hours: 2, seed: 3}")
    assert override(experiment) == experiment
    plan = override(experiment, trials=5, sampler="random").search
    assert (plan.trials, plan.seconds, plan.sampler, plan.seed) == (5, None, "random", 3)
    plan = override(experiment, timeout="90s", seed=0).search
    assert (plan.trials, plan.seconds, plan.seed) == (None, 90.0, 0)


def test_figures_are_verified_where_there_is_tensorrt(read: Read) -> None:
    """Whether they are changes no figure, so that a study may go on with it."""
    plain = read(HEAD + "runtime: tensorrt")
    asked = read(HEAD + "runtime: tensorrt\nmeasure: {verify: trtexec}")
    assert (plain.measure.verify, asked.measure.verify) == (None, "trtexec")
    assert override(plain, verify="trtexec").measure == asked.measure
    assert override(asked, trials=3).measure == asked.measure
    assert differences(plain.identity(), asked.identity()) == []
    both = HEAD.replace("space: {", "space: {runtime: [openvino, tensorrt], ")
    assert read(both + "measure: {verify: trtexec}").measure.verify
    for verify, words in (("polygraphy", "allowed: trtexec"), ("trtexec", "no candidate of this space")):
        with pytest.raises(BadInput, match=words) as caught:
            override(read(HEAD), verify=verify)
        assert [problem.path for problem in caught.value.problems] == ["--verify"]


def test_a_wrong_command_line_is_told_all_at_once(read: Read) -> None:
    with pytest.raises(BadInput) as caught:
        override(read(HEAD), trials=0, timeout="soon", sampler="tpee", seed=-1, devices=("ssh://x:0",))
    assert [problem.path for problem in caught.value.problems] == ["--trials", "--timeout", "--seed", "--device[0]"]
    with pytest.raises(BadInput, match="did you mean 'tpe'"):
        override(read(HEAD), sampler="tpee")


def test_space_files_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert find("quickstart") == root / "search_spaces" / "quickstart.yaml"
    (tmp_path / "search_spaces").mkdir()
    own = tmp_path / "search_spaces" / "mine.yaml"
    own.write_text("study: mine\n")
    assert find("mine") == Path("search_spaces/mine.yaml")
    assert set(spaces()) >= {"quickstart", "gait3d_cnn", "gaitset_casia_b", "mine"}
    with pytest.raises(BadInput, match="did you mean 'quickstart'"):
        find("quikstart.yaml")


def test_a_folder_is_no_space_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such space file"):
        load(tmp_path)


def test_the_recipe_of_a_file_has_the_fields_of_a_recipe() -> None:
    fields = set(Recipe.__dataclass_fields__)
    assert set(RecipeSection.model_fields) == fields
