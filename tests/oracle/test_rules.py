"""The oracle, case by case: a board, a network, a deployment, what is refused, and by which source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from explorer.oracle import TARGETS, Target, advice, refusals
from explorer.oracle.advice import ADVICE
from explorer.oracle.case import Case as Asked
from explorer.oracle.layers import LIMITS
from explorer.oracle.rules import PLACEMENTS, PRECISIONS, RULES, Rule
from explorer.oracle.sources import SOURCES
from tests.oracle import networks
from tests.oracle.networks import Net

NANO, TX2, XAVIER, AGX_XAVIER = (TARGETS[name] for name in ("nano", "tx2", "xavier-nx", "agx-xavier"))
ORIN, NX, NX_8, NANO_ORIN = (TARGETS[name] for name in ("agx-orin-64", "orin-nx-16", "orin-nx-8", "orin-nano"))
THOR = TARGETS["thor"]
ORIN_5, ORIN_60, ORIN_72 = (ORIN.with_jetpack(name) for name in ("5.1.6", "6.0", "7.2"))
ORIN_107, ORIN_108 = (ORIN.with_tensorrt(name) for name in ("10.7.0", "10.8.0"))
ORIN_1140, ORIN_1141 = (ORIN.with_jetpack("7.2.2").with_tensorrt(name) for name in ("11.4.0", "11.4.1"))
EARLY_1141 = ORIN_72.with_tensorrt("11.4.1")
NX_1141 = NX.with_jetpack("7.2.2").with_tensorrt("11.4.1")
ORIN_11, THOR_11 = (board.with_tensorrt("11.1.0") for board in (ORIN_72, THOR))
UNKNOWN = Target()


@dataclass(frozen=True)
class Case:
    """What is asked, and what is expected: rules that refuse, and the source of the first; none: it is allowed."""

    target: Target
    deployment: dict[str, Any]
    refused: str = ""  # ids, apart by blanks
    source: str = ""  # tag of what says that it is refused, or that it is allowed
    net: Callable[[], Net] | None = None
    final: bool = True

    def __str__(self) -> str:
        words = [*map(str, self.deployment.values()), f"on {self.target}", self.refused or "allowed"]
        return " ".join(words)


def want(precision: str, placement: str = "gpu", **more: Any) -> dict[str, Any]:
    return {"precision": precision, "placement": placement, **more}


BOARDS = [
    # the hardware's precisions
    Case(NANO, want("fp16"), source="support-8.6"),
    Case(NANO, want("fp32"), source="support-8.6"),
    Case(NANO, want("int8"), "int8-hardware", "support-8.6"),
    Case(TX2, want("int8"), "int8-hardware", "support-8.6"),
    Case(TX2, want("best"), source="support-8.6"),
    Case(XAVIER, want("int8"), source="support-8.6"),
    Case(XAVIER, want("tf32"), "tf32-hardware", "support-8.6"),
    Case(NANO, want("tf32"), "tf32-hardware", "support-8.6"),
    Case(ORIN, want("tf32"), source="support-8.6"),
    Case(XAVIER, want("bf16"), "bf16-hardware bf16-release", "support"),
    Case(ORIN, want("bf16"), source="support"),
    Case(ORIN_5, want("bf16"), "bf16-release", "onnx-changes"),
    Case(ORIN_60, want("bf16"), "bf16-release", "onnx-changes"),
    Case(ORIN, want("fp8"), "fp8-hardware", "support"),
    Case(ORIN_5, want("fp8"), "fp8-hardware fp8-release", "support"),
    Case(THOR, want("fp8"), source="support"),
    Case(THOR, want("bf16"), source="support"),
    Case(THOR, want("int8"), source="support"),
    Case(ORIN, want("int4"), "precision", "support"),
    # the precisions of TensorRT 11
    Case(ORIN_11, want("best"), "best-release", "bindings-11"),
    Case(ORIN, want("best"), source="bindings-8.6"),
    Case(THOR_11, want("best"), "best-release", "bindings-11"),
    Case(ORIN_11, want("fp16"), source="bindings-11"),
    # where there is a DLA
    Case(XAVIER, want("fp16", "dla"), source="dla-operators"),
    Case(AGX_XAVIER, want("int8", "dla_only"), source="dla-operators"),
    Case(ORIN, want("int8", "dla"), source="dla-operators"),
    Case(ORIN, want("best", "dla"), source="dla-layers"),
    Case(ORIN, want("int8", "gpu+dla"), source="dla-readme"),
    Case(NX, want("int8", "dla"), source="jetson-modules"),
    Case(NX_8, want("int8", "gpu+dla"), source="jetson-modules"),
    Case(ORIN_5, want("fp16", "dla"), source="dla-operators"),
    Case(ORIN_107, want("int8", "dla"), source="dla-11.3"),
    Case(NANO_ORIN, want("int8", "dla"), "dla-none", "support"),
    Case(NANO_ORIN, want("int8", "gpu+dla"), "dla-none", "support"),
    Case(NANO, want("fp16", "dla"), "dla-none", "support"),
    Case(TX2, want("fp16", "dla_only"), "dla-none", "support"),
    Case(THOR, want("fp16", "dla"), "dla-none dla-release", "support"),
    Case(ORIN_108, want("int8", "dla"), "dla-release", "dla-11.4.0"),
    Case(ORIN_72, want("int8", "dla"), "dla-release", "dla-11.4.0"),
    Case(ORIN_11, want("int8", "dla"), "dla-release", "dla-11.4.0"),
    Case(ORIN_1140, want("fp16", "dla"), "dla-release", "dla-11.4.0"),
    Case(ORIN_1141, want("fp16", "dla"), source="dla-11.4.1"),
    Case(NX_1141, want("fp16", "dla"), source="dla-11.4.1"),
    Case(EARLY_1141, want("fp16", "dla"), "dla-jetpack", "dla-11.4.1"),
    Case(ORIN_72, want("int8", "gpu"), source="jetpack-39"),
    # what it computes in
    Case(ORIN, want("fp32", "dla"), "dla-precision", "dla-layers"),
    Case(ORIN, want("fp32", "gpu+dla"), "dla-precision", "dla-layers"),
    Case(ORIN, want("tf32", "dla_only"), "dla-precision", "dla-layers"),
    Case(ORIN, want("bf16", "dla"), "dla-precision", "dla-layers"),
    Case(ORIN, want("fp16", "dla", batch=4096), source="dla-layers"),
    Case(ORIN, want("fp16", "dla", batch=4097), "dla-batch", "dla-layers"),
    Case(ORIN, want("fp16", "gpu+dla", streams=2), "a-stream-each", "agent-units"),
    Case(ORIN, want("fp16", "gpu+dla", streams=3), source="agent-units"),
    Case(NX_8, want("fp16", "gpu+dla", streams=2), source="agent-units"),
    Case(NX_8, want("fp16", "gpu+dla", streams=1), "a-stream-each", "agent-units"),
    Case(ORIN, want("fp16", "gpu", batch=4097), source="dla-layers"),
    Case(ORIN, want("fp16", "vpu"), "placement", "dla-11.3"),
    # what is not told is nothing that would be refused
    Case(ORIN, {}, source="support"),
    Case(ORIN, {"runtime": "onnxruntime", "precision": "fp32", "placement": "cpu"}, source="agent"),
    Case(NANO, {"runtime": "openvino", "precision": "int8", "placement": "cpu"}, source="agent"),
    Case(ORIN, {"runtime": "tensorrt", "precision": "fp32", "placement": "cpu"}, "placement", "dla-11.3"),
    *(Case(UNKNOWN, want(p, "gpu"), source="support") for p in PRECISIONS),
    Case(UNKNOWN, want("int8", "dla_only"), source="dla-layers"),
]


def resized(mode: str, scale: float) -> Callable[[], Net]:
    def make() -> Net:
        net = plain_16()
        return net.add("Resize", net.weight([], np.float32), net.weight([1, 1, scale, scale]), mode=mode)

    return make


def plain_16() -> Net:
    return Net().conv(pads=[1, 1, 1, 1])


def convolved(out: int = 16, into: int = 16, kernel: tuple[int, ...] = (3, 3), **given: Any) -> Callable[[], Net]:
    size = 64 if max(kernel) > 16 else 16
    return lambda: Net(("batch", into, size, size)).conv(out, into, kernel, **given)


def transposed(**given: Any) -> Callable[[], Net]:
    def make() -> Net:
        net = Net()
        shape = (16, 16 // given.get("group", 1), 2, 2)
        return net.add("ConvTranspose", net.weight(np.zeros(shape)), strides=[2, 2], **given)

    return make


def pooled(op: str, window: int, **given: Any) -> Callable[[], Net]:
    return lambda: plain_16().add(op, kernel_shape=[window, window], **given)


def between(op: str, *, opset: int = 17, **given: Any) -> Callable[[], Net]:
    return lambda: networks.conv_and(op, opset=opset, **given)


def with_input(op: str, values: Any, dtype: Any, **given: Any) -> Callable[[], Net]:
    return lambda: networks.conv_and(op, inputs=lambda net: [net.weight(values, dtype)], **given)


def joined(axis: int) -> Callable[[], Net]:
    def make() -> Net:
        net = plain_16()
        return net.add("Concat", "x", axis=axis)

    return make


ALONE, FALLING = want("fp16", "dla_only", batch=2), want("fp16", "dla", batch=2)
NETWORKS = [
    # layer by layer, with nothing to fall back to
    Case(ORIN, ALONE, source="dla-layers", net=networks.plain),
    Case(ORIN, ALONE, "dla-nothing dla-3d", "dla-layers", networks.volume),
    Case(ORIN, ALONE, source="dla-layers", net=convolved(kernel=(32, 32))),
    Case(ORIN, ALONE, "dla-nothing dla-kernel", "dla-layers", convolved(kernel=(33, 33))),
    Case(ORIN, ALONE, source="dla-layers", net=convolved(strides=[8, 8])),
    Case(ORIN, ALONE, "dla-nothing dla-stride", "dla-layers", convolved(strides=[9, 1])),
    Case(ORIN, ALONE, source="dla-layers", net=convolved(kernel=(32, 32), pads=[31, 31, 31, 31])),
    Case(ORIN, ALONE, "dla-nothing dla-padding", "dla-layers", convolved(kernel=(32, 32), pads=[32, 0, 0, 0])),
    Case(ORIN, ALONE, source="dla-layers", net=convolved(kernel=(1, 1), dilations=[32, 32])),
    Case(ORIN, ALONE, "dla-nothing dla-dilation", "dla-layers", convolved(kernel=(1, 1), dilations=[33, 1])),
    Case(ORIN, ALONE, source="dla-layers", net=convolved(group=16)),
    Case(ORIN, ALONE, source="dla-layers", net=convolved(8192, 1, (1, 1))),
    Case(ORIN, ALONE, "dla-nothing dla-channels dla-size", "dla-layers", convolved(8193, 1, (1, 1))),
    Case(
        ORIN,
        ALONE,
        "dla-nothing dla-groups dla-channels dla-size",
        "dla-layers",
        convolved(8193, 8193, (1, 1), group=8193),
    ),
    Case(ORIN, ALONE, source="dla-layers", net=transposed()),
    Case(ORIN, ALONE, "dla-nothing dla-deconvolution-groups", "dla-layers", transposed(group=2)),
    Case(ORIN, ALONE, "dla-nothing dla-deconvolution-padding", "dla-layers", transposed(pads=[1, 1, 1, 1])),
    Case(ORIN, ALONE, "dla-nothing dla-deconvolution-dilation", "dla-layers", transposed(dilations=[2, 2])),
    Case(ORIN, ALONE, source="dla-layers", net=pooled("MaxPool", 8)),
    Case(ORIN, ALONE, "dla-pool-window", "dla-layers", pooled("MaxPool", 9)),
    Case(ORIN, ALONE, source="dla-layers", net=pooled("AveragePool", 7)),
    Case(ORIN, ALONE, "dla-pool-kind", "dla-layers", pooled("LpPool", 2)),
    Case(ORIN, ALONE, "dla-operator", "dla-operators", between("GlobalAveragePool")),
    Case(ORIN, ALONE, "dla-reduction", "dla-operators", between("ReduceMean", axes=[2, 3])),
    Case(ORIN, ALONE, source="dla-layers", net=between("ReduceMax", axes=[2, 3])),
    Case(XAVIER, ALONE, "dla-reduction", "dla-operators", between("ReduceMax", axes=[2, 3])),
    Case(ORIN, ALONE, "dla-reduction dla-reduces-batch", "dla-operators", between("ReduceMean", axes=[0])),
    Case(ORIN, ALONE, "dla-reduces-batch", "dla-layers", between("ReduceMax", axes=[-4])),
    Case(ORIN, ALONE, "dla-reduces-batch", "dla-layers", between("ReduceMax")),
    Case(ORIN, ALONE, source="dla-layers", net=between("Softmax", axis=1)),
    Case(XAVIER, ALONE, "dla-softmax", "dla-layers", between("Softmax", axis=1)),
    Case(ORIN, ALONE, source="dla-layers", net=between("LRN", size=5)),
    Case(ORIN, ALONE, "dla-lrn-window", "dla-layers", between("LRN", size=4)),
    Case(ORIN, ALONE, source="dla-operators", net=between("LeakyRelu", alpha=0.1)),
    Case(ORIN, ALONE, "dla-operator", "dla-operators", between("HardSwish")),
    Case(ORIN, ALONE, "dla-operator", "dla-operators", between("Erf")),
    Case(ORIN, ALONE, "dla-operator", "dla-operators", between("Elu")),
    Case(ORIN, ALONE, "dla-operator", "dla-operators", with_input("Gather", [0, 1], np.int64, axis=1)),
    Case(ORIN, ALONE, "dla-operator", "dla-operators", with_input("Pad", [0, 0, 1, 1, 0, 0, 1, 1], np.int64)),
    Case(ORIN, ALONE, "dla-operator", "dla-operators", networks.layer_norm),
    Case(ORIN, ALONE, "dla-matmul", "dla-operators", networks.attention),
    Case(ORIN, FALLING, source="dla-subgraphs", net=networks.attention),
    Case(ORIN, ALONE, "dla-shuffle-rank", "dla-layers", networks.flat),
    Case(ORIN, FALLING, source="dla-subgraphs", net=networks.flat),
    Case(ORIN, ALONE, source="dla-layers", net=joined(1)),
    Case(ORIN, ALONE, "dla-concatenation", "dla-layers", joined(2)),
    Case(ORIN, ALONE, source="dla-layers", net=resized("nearest", 32)),
    Case(ORIN, ALONE, "dla-resize-scale", "dla-layers", resized("nearest", 33)),
    Case(ORIN, ALONE, source="dla-layers", net=resized("linear", 4)),
    Case(ORIN, ALONE, "dla-resize-scale", "dla-layers", resized("linear", 5)),
    Case(ORIN, ALONE, "dla-resize-kind", "dla-layers", resized("cubic", 2)),
    # batch and loadables
    Case(ORIN, want("fp16", "dla", batch=64), source="dla-layers", net=lambda: networks.frames(64)),
    Case(ORIN, want("fp16", "dla", batch=65), "dla-nothing", "dla-layers", lambda: networks.frames(64)),
    Case(ORIN, ALONE, "dla-shuffle-batch", "dla-layers", lambda: networks.frames(64)),
    Case(ORIN, ALONE, source="dla-layers", net=lambda: networks.batches(16)),
    Case(ORIN, ALONE, "dla-loadables", "dla-layers", lambda: networks.batches(17)),
    Case(ORIN, FALLING, source="dla-subgraphs", net=lambda: networks.fragments(17)),
    # dynamic shapes
    Case(ORIN, FALLING, "dla-dynamic", "dla-layers", lambda: Net(("batch", 16, "rows", 16)).conv()),
    Case(ORIN, want("fp16"), source="dynamic-shapes", net=lambda: Net(("batch", 16, "rows", 16)).conv()),
    Case(ORIN, want("fp16", batch=2), "batch-fixed", "dynamic-shapes", lambda: Net((1, 16, 16, 16)).conv()),
    Case(ORIN, want("fp16", batch=1), source="dynamic-shapes", net=lambda: Net((1, 16, 16, 16)).conv()),
    # the parser
    Case(ORIN_5, want("fp16"), source="onnx-8.5", net=lambda: Net(opset=17).conv()),
    Case(ORIN_5, want("fp16"), "opset", "onnx-8.5", lambda: Net(opset=18).conv()),
    Case(ORIN_60, want("fp16"), "opset", "onnx-8.6", lambda: Net(opset=20).conv()),
    Case(ORIN, want("fp16"), source="onnx-10.0", net=lambda: Net(opset=20).conv()),
    Case(ORIN, want("fp16"), "opset", "onnx-10.0", lambda: Net(opset=21).conv()),
    Case(NANO, want("fp16"), "opset", "onnx-8.2", lambda: Net(opset=17).conv()),
    Case(THOR, want("fp16"), source="onnx-10.15", net=lambda: Net(opset=23).conv()),
    Case(ORIN_5, want("fp16"), "operator", "onnx-changes", networks.layer_norm),
    Case(ORIN_60, want("fp16"), source="onnx-changes", net=networks.layer_norm),
    Case(ORIN, want("fp16"), "operator", "onnx-changes", between("Bernoulli")),
    # what the network itself must say, and how
    Case(ORIN, want("fp16"), source="bindings-8.6", net=networks.plain),
    Case(ORIN_11, want("fp16"), "types-in-network", "bindings-11", networks.plain),
    Case(ORIN_11, want("fp16"), source="bindings-11", net=networks.plain, final=False),
    Case(ORIN_11, want("fp16"), source="bindings-11", net=networks.half),
    Case(ORIN_11, want("fp32"), source="bindings-11", net=networks.plain),
    Case(ORIN_11, want("int8"), "types-in-network", "bindings-11", networks.plain),
    Case(ORIN_11, want("int8"), source="bindings-11", net=networks.quantised),
    Case(ORIN, want("int8"), source="bindings-8.6", net=networks.plain),
    Case(ORIN_1141, want("int8", "dla"), "types-in-network", "bindings-11", networks.plain),
    Case(THOR, want("fp8"), "types-in-network", "bindings-11", networks.quantised),
    Case(
        THOR,
        want("fp8"),
        source="quantised-types",
        net=lambda: networks.quantised(element=TensorProto.FLOAT8E4M3FN),
    ),
    Case(ORIN, want("fp16"), "quantised-unasked", "agent", networks.quantised),
    Case(ORIN, want("int8"), source="onnx-8.5", net=networks.quantised),
    Case(ORIN, want("int8"), "zero-point", "onnx-8.5", lambda: networks.quantised(zero=3)),
    Case(ORIN, want("int8"), "uint8", "onnx-10.15", lambda: networks.quantised(dtype=np.uint8)),
    Case(ORIN, want("int8"), "quantised-bias", "onnx-8.5", lambda: networks.quantised(bias=True)),
]


@pytest.mark.parametrize("case", [*BOARDS, *NETWORKS], ids=str)
def test_what_is_refused_and_what_is_not(case: Case, tmp_path: Path) -> None:
    graph = case.net().graph(tmp_path, final=case.final) if case.net else None
    found = refusals(case.target, graph, case.deployment)
    assert {one.rule for one in found} == set(case.refused.split()), [str(one) for one in found]
    assert case.source in SOURCES
    if found:
        assert SOURCES[case.source] in {one.source for one in found}
    for one in found:
        assert one.reason
        assert not {"{", "}", "None"} & set(one.reason.split())
        assert one.source in SOURCES.values()


def test_every_rule_and_every_limit_has_a_case_and_a_source() -> None:
    tried = {rule for case in (*BOARDS, *NETWORKS) for rule in case.refused.split()}
    ids = {one.id for one in (*RULES, *LIMITS)}
    assert ids - tried <= {"dla-computed-kernel", "dla-slice", "dla-layer-batch"}  # each has a test of its own below
    assert tried <= ids
    assert all(callable(rule.source) or rule.source in SOURCES for rule in (*RULES, *ADVICE))
    assert all(limit.source in SOURCES.values() for limit in LIMITS)


def test_there_are_enough_cases_of_either_kind() -> None:
    cases = [*BOARDS, *NETWORKS]
    refused = [case for case in cases if case.refused]
    assert min(len(refused), len(cases) - len(refused)) >= 60
    assert len({str(case.target) for case in cases}) >= 10


def test_a_kernel_that_is_computed_is_nothing_for_a_dla(tmp_path: Path) -> None:
    net = Net((16, 16, 3, 3))
    net.add("Relu")
    net.add("Conv", "x")
    found = refusals(ORIN, net.graph(tmp_path), want("fp16", "dla_only", batch=16))
    assert {one.rule for one in found} == {"dla-nothing", "dla-computed-kernel"}


def test_places_of_a_slice_that_are_computed_are_nothing_for_a_dla(tmp_path: Path) -> None:
    net = plain_16()
    kept = net.last
    net.add("ReduceMax", keepdims=0).add("Cast", to=TensorProto.INT64).add("Reshape", net.weight([1], np.int64))
    place, net.last = net.last, kept
    net.add("Slice", place, net.weight([8], np.int64), net.weight([1], np.int64))
    found = refusals(ORIN, net.graph(tmp_path), ALONE)
    assert "dla-slice" in {one.rule for one in found}


def test_frames_count_as_batch_on_a_dla(tmp_path: Path) -> None:
    net = networks.frames(64)
    graph = net.graph(tmp_path)
    assert "dla-layer-batch" not in {one.rule for one in refusals(ORIN, graph, want("fp16", "dla_only", batch=64))}
    found = [one for one in refusals(ORIN, graph, want("fp16", "dla_only", batch=65)) if one.rule == "dla-layer-batch"]
    assert len(found) == 1
    assert "conv_1" in found[0].nodes


def test_a_refusal_names_its_nodes_and_reads_as_a_sentence(tmp_path: Path) -> None:
    graph = networks.layer_norm().graph(tmp_path)
    (refusal,) = refusals(ORIN_5, graph, want("fp16"))
    assert refusal.nodes == ("layernormalization_3",)
    assert str(refusal).startswith(
        "the parser of TensorRT 8.5.2 does not know these operators (layernormalization_3) ["
    )


@pytest.mark.parametrize("name", TARGETS)
def test_every_board_allows_fp32_and_fp16_on_its_gpu(name: str, tmp_path: Path) -> None:
    graph = Net(opset=13).conv().graph(tmp_path)
    for precision in ("fp32", "fp16"):
        for streams in (1, 4):
            assert refusals(TARGETS[name], graph, want(precision, streams=streams, power_mode="MAXN")) == ()


def test_a_board_without_a_dla_refuses_every_precision_of_it() -> None:
    boards = [target for target in TARGETS.values() if target.dla_cores == 0]
    assert {target.module for target in boards} == {"nano", "tx2", "orin-nano", "thor"}
    for target in boards:
        for precision in PRECISIONS:
            for placement in PLACEMENTS[1:]:
                assert "dla-none" in {one.rule for one in refusals(target, None, want(precision, placement))}


def test_whatever_is_proposed_gets_an_answer_in_words(tmp_path: Path) -> None:
    graphs = [None, networks.plain().graph(tmp_path), networks.quantised().graph(tmp_path, final=False)]
    asked = 0
    for target in (*TARGETS.values(), ORIN_5, ORIN_11, ORIN_1141, UNKNOWN):
        for wish in (want(p, where, batch=batch) for p in PRECISIONS for where in PLACEMENTS for batch in (1, 5000)):
            for graph in graphs:
                told = [*refusals(target, graph, wish), *advice(target, graph, wish)]
                assert all(one.reason and "{" not in one.reason for one in told)
                assert all(one.source in SOURCES.values() for one in told)
                asked += 1
    assert asked == 14 * 7 * 4 * 2 * 3


def test_a_rule_that_is_not_broken_says_nothing() -> None:
    rule = Rule("never", "no {precision}", "support", lambda _: ())
    assert rule.refusal(Asked(ORIN, None, {})) is None
