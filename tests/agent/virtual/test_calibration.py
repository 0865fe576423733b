"""The model against every figure that somebody published; nothing here was measured by us."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from explorer_agent.virtual import power, roofline
from explorer_agent.virtual.boards import AGX_ORIN_64, BOARDS, XAVIER_NX, Board
from explorer_agent.virtual.layers import Layer
from explorer_agent.virtual.roofline import Run

from . import published

Network = Callable[[int], Sequence[Layer]]


def run(network: Sequence[Layer], mode: str, unit: str, *, board: Board = AGX_ORIN_64) -> Run:
    units = {name: roofline.unit(board, board.modes[mode], name) for name in board.units}
    return roofline.placed(network, units, unit, "int8")


def both_dlas_ips(network: Network, batch: int, mode: str) -> float:
    """Images a second with enough in flight that no DLA waits for the processor."""
    alone = run(network(batch), mode, "dla0")
    slower = roofline.shared([alone, alone], [1 / alone.unit_s] * 2, AGX_ORIN_64.modes[mode])
    return 2 * batch / alone.slowed(slower).unit_s


def per_watt(network: Network, dla_batch: int, gpu_batch: int, mode: str) -> float:
    """Images a joule of the DLA over those of the GPU, these units alone."""
    power_mode = AGX_ORIN_64.modes[mode]
    dla, gpu = run(network(dla_batch), mode, "dla0"), run(network(gpu_batch), mode, "gpu")
    each = [power.accelerator_joules(one, AGX_ORIN_64, power_mode) for one in (gpu, dla)]
    return each[0] / gpu_batch / (each[1] / dla_batch)


def test_the_networks_are_those_that_were_published() -> None:
    assert sum(layer.macs for layer in published.resnet50(1) if layer.is_arithmetic) == pytest.approx(4.1e9, rel=0.03)
    assert sum(layer.weights for layer in published.resnet50(1)) == pytest.approx(25.5e6, rel=0.01)
    assert sum(layer.macs for layer in published.resnet34(1) if layer.is_arithmetic) == pytest.approx(71.8e9, rel=0.02)
    assert sum(layer.weights for layer in published.mobilenet(1)) == pytest.approx(3.2e6, rel=0.03)


@pytest.mark.parametrize(
    ("network", "batch", "figures", "tolerance"),
    [
        (published.resnet50, 2, published.RESNET50_DLA_IPS, 0.02),
        (published.resnet34, 1, published.RESNET34_DLA_IPS, 0.02),
    ],
)
def test_images_a_second_of_both_dlas(network: Network, batch: int, figures: Sequence[float], tolerance: float) -> None:
    """DLASW README, dense performance: what the model was fitted to."""
    for mode, figure in zip(published.MODES, figures, strict=True):
        assert both_dlas_ips(network, batch, mode) == pytest.approx(figure, rel=tolerance), mode


def test_a_network_that_it_was_not_fitted_to_is_no_slower_than_with_the_head_it_was_published_with() -> None:
    """The README's SSD-MobileNet has a head of as many layers again as the backbone, of which no table is at hand."""
    for mode, figure in zip(published.MODES, published.SSD_MOBILENET_DLA_IPS, strict=True):
        assert figure < both_dlas_ips(published.mobilenet, 2, mode) < 2 * figure, mode


@pytest.mark.parametrize(
    ("network", "batches", "figures", "tolerance"),
    [
        (published.resnet50, (2, 256), published.RESNET50_PER_WATT, 0.10),
        (published.resnet34, (1, 1), published.RESNET34_PER_WATT, 0.15),
        (published.mobilenet, (2, 128), published.SSD_MOBILENET_PER_WATT, 0.40),  # without its head
    ],
)
def test_performance_per_watt_of_the_dla_over_that_of_the_gpu(
    network: Network, batches: tuple[int, int], figures: Sequence[float], tolerance: float
) -> None:
    """DLASW README, power efficiency: accelerator power only."""
    for mode, figure in zip(published.MODES, figures, strict=True):
        assert per_watt(network, *batches, mode) == pytest.approx(figure, rel=tolerance), mode


def test_performance_per_watt_lies_in_the_published_range() -> None:
    for mode in published.MODES:
        for network, batches in ((published.resnet50, (2, 256)), (published.resnet34, (1, 1))):
            found = per_watt(network, *batches, mode)
            assert published.PER_WATT_LOWEST * 0.95 < found < published.PER_WATT_HIGHEST, mode


def test_the_share_of_the_peak_that_is_the_dlas() -> None:
    """DLASW README: 38 % in MAXN, 46, 69, and 74 % at 15 W."""
    for mode, figure in zip(published.MODES, (0.38, 0.46, 0.69, 0.74), strict=True):
        rates = AGX_ORIN_64.modes[mode]
        assert rates.dla_tops / (rates.dla_tops + rates.gpu_tops) == pytest.approx(figure, abs=0.006), mode


def test_dense_rates_are_half_the_published_sparse_ones() -> None:
    for mode, dla, gpu in zip(published.MODES, published.DLA_TOPS, published.GPU_TOPS, strict=True):
        assert (AGX_ORIN_64.modes[mode].dla_tops, AGX_ORIN_64.modes[mode].gpu_tops) == (dla / 2, gpu / 2), mode


def test_from_maxn_to_30_w_the_dlas_lose_a_twentieth_and_the_gpus_peak_three_quarters() -> None:
    ips = [both_dlas_ips(published.resnet50, 2, mode) for mode in ("MAXN", "MODE_30W")]
    peaks = [AGX_ORIN_64.modes[mode].gpu_tops for mode in ("MAXN", "MODE_30W")]
    assert ips[1] / ips[0] == pytest.approx(0.95, abs=0.02)
    assert peaks[0] / peaks[1] == pytest.approx(4.2, abs=0.1)


def test_the_gpu_is_the_faster_in_maxn_and_both_dlas_at_low_power() -> None:
    def gpu_ips(mode: str) -> float:
        return 64 / run(published.resnet50(64), mode, "gpu").seconds

    assert gpu_ips("MAXN") > 1.5 * both_dlas_ips(published.resnet50, 2, "MAXN")
    for mode in ("MODE_30W", "MODE_15W"):
        assert gpu_ips(mode) < both_dlas_ips(published.resnet50, 2, mode), mode


def test_xavier_nx_with_gpu_and_both_dlas() -> None:
    """NVIDIA-AI-IOT/jetson_benchmarks README and nx-benchmarks.csv: ResNet-50, 4 images on the GPU, 2 on each DLA."""
    mode = XAVIER_NX.modes["MODE_15W_6CORE"]
    runs = [run(published.resnet50(n), "MODE_15W_6CORE", u, board=XAVIER_NX) for n, u in ((4, "gpu"), (2, "dla0"))]
    runs.append(runs[1])
    slower = roofline.shared(runs, [1 / one.seconds for one in runs], mode)
    ips = sum(images / one.slowed(slower).seconds for images, one in zip((4, 2, 2), runs, strict=True))
    assert ips == pytest.approx(published.XAVIER_NX_RESNET50_IPS, rel=0.15)


def test_every_figure_has_a_source_and_those_from_memory_say_so() -> None:
    seen = 0
    for board in BOARDS.values():
        holders = [vars(board), board.gpu_rates, board.dla_rates, *map(vars, board.modes.values())]
        for holder in holders:
            for name, value in holder.items():
                if isinstance(value, float):
                    seen += 1
                    assert value.source, (board.name, name)  # type: ignore[attr-defined]
    assert seen > 200
    for name in ("orin-nano", "thor", "nano", "agx-xavier", "xavier-nx"):
        assert "UNVERIFIED" in BOARDS[name].gpu_rates["fp16"].source
