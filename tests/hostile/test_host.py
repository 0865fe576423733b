"""The host against agents that are broken, newer or hostile: every call ends, in time, in words that name the board."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import pickle
import re
import struct
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.derivation import reference_level
from explorer.device import Built, Device, check
from explorer.device import line as line_module
from explorer.errors import DeviceLost, NoDevice, TrialEnding
from explorer.fleet.alike import differences
from explorer.report.verified import about_the_verification
from explorer.result import Metric
from explorer.statistics import derive
from explorer.verification import judged
from explorer_agent.wire import Message
from tests.report.studies import record

from .noise import QUIET, Line, lines, places
from .patience import in_time
from .scripted import ANSWERS, COUNTS, HELLO, SHA, Scripted, npz

DEPLOYMENT = {"runtime": "fake", "precision": "fp32", "batch": 2}
BUILT = Built(engine=SHA, seconds=0.0, cached=True, bytes=1, layers={})


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("SILENCE_S", 0.2), ("START_S", 0.2), ("QUICK_S", 2.0)):
        monkeypatch.setattr(line_module, name, seconds)
    monkeypatch.setattr("explorer.device.device.JOB_S", 1.0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "net.onnx"
    path.write_bytes(b"a network")
    return path


def told(call: Callable[[], Any]) -> str:
    """How `call` ended, the endings that are allowed being named; others go through."""
    try:
        in_time(call)
    except (TrialEnding, NoDevice) as error:
        text = f"{error}{getattr(error, 'log_tail', '')}"
        assert "board" in text
        assert text.encode("utf-8"), "a file takes it"
        assert not set(text) & set(map(chr, (*range(9), *range(11, 32), 127))), "no terminal obeys it"
        return type(error).__name__
    return "fine"


def everything(device: Device, source: Path) -> Iterator[str]:
    """All that a study asks of a device, whatever becomes of each question."""
    inputs = np.zeros((5, 2), np.float32)
    yield told(lambda: check(DEPLOYMENT, device.capabilities, name=device.name))
    yield told(lambda: device.build(source, DEPLOYMENT))
    yield told(lambda: _measured(device))
    yield told(lambda: _verified(device))
    yield told(lambda: device.infer(BUILT, DEPLOYMENT, inputs))
    yield told(lambda: device.get(SHA))
    yield told(device.findings)


def _measured(device: Device) -> None:
    beside = [(BUILT, DEPLOYMENT)] if device.can_race else []
    measurement = device.measure(BUILT, DEPLOYMENT, {}, beside=beside)
    reference_level(measurement)
    metrics, _, flags = derive(measurement, 2)
    json.dumps([measurement.raw, [metric.value for metric in metrics.values()], flags], allow_nan=False)


def _verified(device: Device) -> None:
    found = judged(device.verify(BUILT, DEPLOYMENT, {}), dict.fromkeys(("throughput_ips", "latency_ms"), Metric(2.0)))
    json.dumps([found, *about_the_verification([record(1, verified=found)])], allow_nan=False)


VALID = {request: Line(*answer, noise=False) for request, answer in ANSWERS.items()}
scripts = st.one_of(
    st.fixed_dictionaries({"hello": lines(HELLO)}),
    *(st.fixed_dictionaries({request: lines(*answer)}) for request, answer in ANSWERS.items()),
    st.fixed_dictionaries({}, optional={request: lines(*answer) for request, answer in ANSWERS.items()}),
)


def converse(script: dict[str, Line], source: Path) -> tuple[Counter[str], int]:
    """One session by `script`: how its calls ended, and how many frames of noise the agent said."""
    said = Counter(script and ["hello"] if "hello" in script else [])

    def answer(message: Message) -> tuple[bytes, bool]:
        line = {**VALID, **script}[message["type"]]
        said.update([message["type"]] if line.noise else [])
        return line.bytes_for(message["id"]), line.noise

    transport = Scripted(script.get("hello", Line(HELLO)).bytes_for(0), answer)
    devices: list[Device] = []
    ending = told(lambda: devices.append(Device("board", transport, shares_host=True)))
    if not devices:
        transport.close()
        return Counter([ending]), said.total()
    with devices[0] as device:
        known = HELLO["capabilities"]
        assert all(isinstance(line, str) for line in differences(known, device.capabilities, ["fake", "gone"]))
        json.dumps({**device.capabilities, "agent_sha": device.agent_sha}, allow_nan=False).encode("ascii")
        return Counter(everything(device, source)), said.total()


def fuzz(examples: int, source: Path) -> tuple[Counter[str], int]:
    endings, frames = Counter[str](), [0]

    @settings(QUIET, max_examples=examples)
    @given(script=scripts)
    def session(script: dict[str, Line]) -> None:
        found, said = converse(script, source)
        endings.update(found)
        frames[0] += said

    session()
    return endings, frames[0]


def test_a_good_agent_is_understood(source: Path) -> None:
    """The script without noise: or the noise would prove nothing."""
    assert converse({}, source) == ({"fine": 7}, 0)


def test_noise_ends_in_words(source: Path) -> None:
    endings, frames = fuzz(120, source)
    assert set(endings) >= {"fine", "NoDevice", "JobFailed", "DeviceLost"}
    assert frames > 100


@pytest.mark.slow
def test_ten_thousand_frames_of_noise_end_in_words(source: Path) -> None:
    _, frames = fuzz(10_500, source)  # in a few nothing is wrong but an answer that is never asked for
    assert frames >= 10_000


LONG = ("hello", "measure", "verify")  # with many fields
OTHERS: tuple[Any, ...] = (None, True, -1, 10**19, 0.5, "", "\x1b[2J\ud800../../etc/passwd", [], [[]], {}, {"": None})


@pytest.mark.parametrize(
    "request_", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in ("hello", *ANSWERS)]
)
def test_a_field_of_any_other_kind_or_missing_ends_in_words(request_: str, source: Path) -> None:
    message, body = ANSWERS.get(request_, (HELLO, b""))
    for *way, last in list(places(message)):
        for other in OTHERS:
            changed = json.loads(json.dumps(message))
            holder: Any = changed
            for key in way:
                holder = holder[key]
            holder[last] = other
            converse({request_: Line(changed, body)}, source)
        del holder[last]
        converse({request_: Line(changed, body)}, source)


def _session(request: str, said: bytes) -> str:
    """How a session ends in which `request` is answered by `said`; its first bad ending."""

    def answer(message: Message) -> tuple[bytes, bool]:
        return (said, bool(said)) if message["type"] == request else _valid(message)

    inputs = np.zeros((5, 2), np.float32)
    with Device("board", Scripted(Line(HELLO).bytes_for(0), answer), shares_host=True) as device:
        ask = partial(_measured, device) if request == "measure" else partial(device.infer, BUILT, DEPLOYMENT, inputs)
        with pytest.raises(TrialEnding) as ending:
            in_time(ask)
    assert "board" in str(ending.value)
    return f"{type(ending.value).__name__}: {ending.value}"


def _valid(message: Message) -> tuple[bytes, bool]:
    return VALID[message["type"]].bytes_for(message["id"]), False


class _Touch:
    """What a pickle would do to us."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def _npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def _zip(members: dict[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _lying() -> bytes:
    """A member that says of itself to be a gigabyte."""
    honest = npz(out=np.ones((5, 3), np.float32))
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        size = struct.pack("<I", archive.infolist()[0].file_size)
    return honest.replace(size, struct.pack("<I", 1 << 30))


HUGE = _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 1099511627776)}")
NEGATIVE = _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (5, -1)}")
RECORD = _npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (5,)}", bytes(20))
DEEP = _npy("{'descr': " + "(" * 9000 + "}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (pickle.dumps([1]), "no .npz of plain arrays: BadZipFile"),
        (b"", "no .npz of plain arrays"),
        (_zip({}), "no outputs"),
        (_zip({"out.npy": pickle.dumps([1])}), "no .npz of plain arrays: ValueError"),
        (_zip({"out.npy": HUGE}), "'out.npy' lies about its size"),
        (_zip({"out.npy": NEGATIVE}), "lies about its size"),
        (_zip({"out.npy": RECORD}), "not plain numbers"),
        (_zip({"out.npy": DEEP}), "no .npz of plain arrays"),
        (_zip({"out.npy": bytes(1 << 24)}, compression=zipfile.ZIP_DEFLATED), "lie about their size"),
        (_zip({"out.npy": bytes(range(200))}, compression=zipfile.ZIP_DEFLATED), "is compressed"),
        (_lying(), "lie about their size"),
        (npz(out=np.ones((4, 3), np.float32)), r"shape \(4, 3\) for 5 samples"),
        (npz(out=np.float32(1)), r"shape \(\) for 5 samples"),
        (npz(out=np.array(["text"] * 5)), "not plain numbers"),
    ],
)
def test_outputs_that_are_none_fail_the_job(body: bytes, words: str) -> None:
    assert re.search(f"^JobFailed: .*{words}", _session("infer", Line({"type": "infer"}, body).bytes_for(2)))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    objects = np.empty(5, object)
    objects[:] = _Touch(tmp_path / "touched")
    for body in (npz(out=objects), pickle.dumps(_Touch(tmp_path / "touched"))):
        assert _session("infer", Line({"type": "infer"}, body).bytes_for(2)).startswith("JobFailed")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"window_end_s": (0.9, float("nan"))}, "a number that is none"),
        ({"latency_s": (float("inf"),) * 6}, "a number that is none"),
        ({"meter_0": (0.0, 1.0, 1e300)}, "a number that is none"),
        ({"window_end_s": (0.0, 1.0)}, "a window without time"),
        ({"window_end_s": (5e-324, 2.0)}, "a window without time"),
        ({"window_count": (0.0, 6.0)}, "window_count does not add up"),
        ({"window_count": (3.0, 4.0)}, "window_count does not add up"),
        ({"idle_after_s": (0.0, float("nan"))}, "a number that is none"),
        ({"block_end_s": (2.1, 2.2, 2.2, 2.5)}, "a block without time"),
        ({"block_count": (1.0, 1.0, 1.0, 1.0)}, "block_count does not add up"),
        ({"block_entrant": (0.0, 0.0, 1.0, 0.0)}, "an entrant without a turn"),
        ({"block_entrant": (0.0, 1.0, 1.0, 2.0)}, "an entrant without a turn"),
        ({"block_round": (0.0, 0.0, 2.0, 2.0)}, "a round is missing"),
        ({"block_round": (0.0, 0.0, 1e9, 1e9)}, "a round is missing"),
        ({"arrival_subjects": (0.0, 1.0)}, "arrivals: a level of nobody"),
        ({"arrival_count": (1.0, 1.0)}, "arrivals: arrival_count does not add up"),
        ({"state_0": (1e300, 1.0)}, "a number that is none"),
    ],
)
def test_numbers_that_mean_nothing_fail_the_job(numbers: dict[str, tuple[float, ...]], words: str) -> None:
    message, body = ANSWERS["measure"]
    values, at = [], 0
    for name, count in COUNTS.items():
        values += numbers.get(name, struct.unpack_from(f"<{count}d", body, at))
        at += 8 * count
    said = Line(dict(message), struct.pack(f"<{len(values)}d", *values)).bytes_for(1)
    assert _session("measure", said) == f"JobFailed: board: its answer does not keep to the protocol: measure: {words}"


@pytest.mark.parametrize(
    ("gone", "changed", "words"),
    [
        ("window", {"windows": 0}, "no windows"),
        ("block", {"entrants": [{"engine": SHA}]}, "1 entrants instead of 2"),
    ],
)
def test_an_answer_to_another_question_fails_the_job(gone: str, changed: dict[str, Any], words: str) -> None:
    message, body = ANSWERS["measure"]
    kept: list[bytes] = []
    series, at = [], 0
    for name, count in COUNTS.items():
        left_out = gone == "window" and (name.startswith("window_") or name == "latency_s")
        kept.append(b"" if left_out else body[at : at + 8 * count])
        series.append({"name": name, "unit": "s", "count": 0 if left_out else count})
        at += 8 * count
    said = Line({**message, **changed, "series": series}, b"".join(kept)).bytes_for(1)
    assert _session("measure", said) == f"JobFailed: board: its answer does not keep to the protocol: measure: {words}"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "silent"),
        (b"x" * (3 << 20), "longer than 1 MiB"),
        (b'{"type":"measure","id":1,"body":1099511627776}\n' + bytes(1 << 20), "at most 2048 MB are read"),
        (b'{"type":"measure","id":1,"body":100}\nshort', "stream ended 95 bytes before"),
        (b'{"type":"note","body":100000}\n' + bytes(100_000), "that nobody asked for"),
        (b'{"type":"measure","id":99,"body":100000}\n' + bytes(100_000), "that nobody asked for"),
        (b'{"type":"gday","id":1}\n', "answered 'gday'"),
        (b'{"type":"note","kind":7}\n', r"note\.kind must be str"),
        (b'{"type":"note","fraction":"half"}\n', r"note\.fraction must be float"),
        (b"[" * 100_000 + b"\n", "not a line of ASCII JSON|nested"),
        (b'{"type":"note","x":' + b"[" * 900 + b"]" * 900 + b"}\n", "nests deeper than"),
        (b"Last login: yesterday\n", "not a line of ASCII JSON"),
    ],
)
def test_a_line_that_goes_wrong_loses_the_device(said: bytes, words: str) -> None:
    assert re.search(f"(?s)^DeviceLost: board: measure: the device .*{words}.*\nlast words", _session("measure", said))


def test_one_that_only_talks_is_not_waited_for_without_end() -> None:
    """Notes keep the line alive, but not for ever."""
    stop = threading.Event()

    class Talker(Scripted):
        def _play(self, hello: bytes) -> None:
            with self._theirs, contextlib.suppress(OSError):
                self._theirs.sendall(hello)
                while not stop.wait(0.02):
                    self._theirs.sendall(b'{"type":"note","kind":"heartbeat"}\n')

    with Device("board", Talker(Line(HELLO).bytes_for(0), _valid), shares_host=True) as device:
        with pytest.raises(DeviceLost, match="board: has: the device goes on talking, but has not answered within 2 s"):
            in_time(lambda: device.infer(BUILT, DEPLOYMENT, np.zeros((5, 2), np.float32)))
        stop.set()


def test_a_flood_that_nobody_reads_fills_no_memory() -> None:
    flood = b'{"type":"note","kind":"progress","text":"' + b"a" * 60_000 + b'"}\n'
    sent = itertools.count()

    class Flood(Scripted):
        def _play(self, hello: bytes) -> None:
            with self._theirs, contextlib.suppress(OSError):
                self._theirs.sendall(hello)
                for _ in range(5000):
                    self._theirs.sendall(flood)
                    next(sent)

    with Device("board", Flood(Line(HELLO).bytes_for(0), _valid), shares_host=True):
        before, last = psutil.Process().memory_info().rss, -1
        while (now := next(sent)) != last + 1:  # until it can say no more
            last = now
            time.sleep(0.3)
        assert now < 200
        assert psutil.Process().memory_info().rss - before < 50 << 20


@pytest.mark.parametrize(
    "said", [b"", b"garbage\n", b"\x80\x04\x95", b"\xff" * 1000, b'{"type":"hello"}\n', b'{"type":"note"}\n']
)
def test_a_hello_that_is_none_is_no_device(said: bytes) -> None:
    transport = Scripted(said, _valid)
    with pytest.raises(NoDevice, match="board"):
        in_time(lambda: Device("board", transport, shares_host=True))


def test_words_of_a_peer_are_only_words() -> None:
    said = {"type": "error", "id": 1, "kind": "failed", "text": "\x1b]0;owned\x07\x1b[31mred\x1b[0m\r\nnext\x07 \ud800"}
    ending = _session("measure", json.dumps(said).encode() + b"\n")
    assert ending == "JobFailed: board: measure: red\nnext\ufffd \ufffd"
