"""The networks that published figures are of, layer by layer, and the figures.

ResNet-50 and ResNet-34: He et al., "Deep residual learning for image recognition", table 1, 224 × 224 and 1280 × 768;
MobileNet v1: Howard et al., table 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from explorer_agent.virtual.layers import Layer


def conv(
    name: str,
    cin: int,
    cout: int,
    size: Sequence[int],
    *,
    kernel: int = 1,
    stride: int = 1,
    batch: int = 1,
    groups: int = 1,
    added: bool = False,
) -> Layer:
    """A quantised convolution of `size` (height, width of its input) with what is fused to it."""
    height, width = (-(-side // stride) for side in size)
    rows, each = batch * height * width, kernel * kernel * cin // groups
    reads = batch * cin * size[0] * size[1] + (rows * cout if added else 0)
    return Layer(name, "Conv", macs=rows * cout * each, reads=reads, writes=rows * cout, weights=cout * each,
                 channels_in=cin // groups, channels_out=cout // groups, rows=rows, groups=groups,
                 quantised=True)  # fmt: skip


def pool(name: str, channels: int, size: Sequence[int], *, kernel: int, stride: int, batch: int) -> Layer:
    rows = batch * (size[0] // stride) * (size[1] // stride)
    return Layer(name, "MaxPool", macs=rows * channels * kernel**2, reads=batch * channels * size[0] * size[1],
                 writes=rows * channels, rows=rows, channels_out=channels, quantised=True)  # fmt: skip


def resnet50(batch: int) -> list[Layer]:
    return [*_stem((224, 224), batch), *_bottlenecks((224, 224), batch), conv("fc", 2048, 1000, (1, 1), batch=batch)]


def resnet34(batch: int) -> list[Layer]:
    """The backbone at 1280 × 768."""
    return [*_stem((768, 1280), batch), *_plain_blocks((768, 1280), batch)]


def _stem(size: tuple[int, int], batch: int) -> Iterator[Layer]:
    yield conv("stem", 3, 64, size, kernel=7, stride=2, batch=batch)
    yield pool("pool", 64, (size[0] // 2, size[1] // 2), kernel=3, stride=2, batch=batch)


def _blocks(size: tuple[int, int], *, widened: int) -> Iterator[tuple[str, int, int, tuple[int, int], int]]:
    """Name, channels in, width, size and stride of each residual block; it gives `widened` times its width."""
    now, cin = (size[0] // 4, size[1] // 4), 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            yield f"{stage}.{block}", cin, width, now, stride
            now, cin = (now[0] // stride, now[1] // stride), width * widened


def _bottlenecks(size: tuple[int, int], batch: int) -> Iterator[Layer]:
    for name, cin, width, now, stride in _blocks(size, widened=4):
        yield conv(f"{name}.1", cin, width, now, batch=batch)
        yield conv(f"{name}.2", width, width, now, kernel=3, stride=stride, batch=batch)
        if cin != width * 4:
            yield conv(f"{name}.s", cin, width * 4, now, stride=stride, batch=batch)
        after = (now[0] // stride, now[1] // stride)
        yield conv(f"{name}.3", width, width * 4, after, batch=batch, added=True)


def _plain_blocks(size: tuple[int, int], batch: int) -> Iterator[Layer]:
    for name, cin, width, now, stride in _blocks(size, widened=1):
        yield conv(f"{name}.1", cin, width, now, kernel=3, stride=stride, batch=batch)
        if cin != width:
            yield conv(f"{name}.s", cin, width, now, stride=stride, batch=batch)
        after = (now[0] // stride, now[1] // stride)
        yield conv(f"{name}.2", width, width, after, kernel=3, batch=batch, added=True)


def mobilenet(batch: int) -> list[Layer]:
    """The backbone at 300 × 300."""
    return list(_mobilenet(batch, (300, 300)))


def _mobilenet(batch: int, size: tuple[int, int]) -> Iterator[Layer]:
    yield conv("stem", 3, 32, size, kernel=3, stride=2, batch=batch)
    now, cin = (size[0] // 2, size[1] // 2), 32
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for number, (cout, stride) in enumerate(plan):
        yield conv(f"{number}.d", cin, cin, now, kernel=3, stride=stride, batch=batch, groups=cin)
        now = (-(-now[0] // stride), -(-now[1] // stride))
        yield conv(f"{number}.p", cin, cout, now, batch=batch)
        cin = cout


# Every figure below was read where it is said to be: NVIDIA/Deep-Learning-Accelerator-SW README.md at 1da860cc, and
# NVIDIA-AI-IOT/jetson_benchmarks README.md at 06e17162 (a sample output of JetPack 4.4, TensorRT 7). No figure
# of another board is held against the model: what it says of them are data sheets from memory, and proportions.
MODES = ("MAXN", "MODE_50W", "MODE_30W", "MODE_15W")
# NVIDIA/Deep-Learning-Accelerator-SW README, "DLA Dense performance": images a second of both DLAs, JetPack 5.1.1
RESNET50_DLA_IPS = (2037, 1948, 1928, 1072)
RESNET34_DLA_IPS = (285, 260, 255, 121)
SSD_MOBILENET_DLA_IPS = (2664, 2506, 2472, 1313)
# the same, "DLA Performance per Watt": DLA over GPU, accelerator power only, dense
RESNET50_PER_WATT = (3.5, 2.9, 2.6, 3.9)
RESNET34_PER_WATT = (4.3, 3.7, 3.4, 4.9)
PER_WATT_LOWEST, PER_WATT_HIGHEST = 2.6, 5.6
# the same, TOPS sparse: both DLAs and the GPU
DLA_TOPS, GPU_TOPS = (105, 92, 90, 40), (171, 109, 41, 14)
XAVIER_NX_RESNET50_IPS = 824.02  # GPU and both DLAs
SSD_MOBILENET_PER_WATT = (4.2, 3.6, 3.2, 5.0)
