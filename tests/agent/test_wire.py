"""The wire: what is written is read, and nothing else gets through, hangs or crashes."""

from __future__ import annotations

import io
import json
import random

import pytest

from explorer_agent.messages import Deployment, Plan, Put, decode
from explorer_agent.wire import CHUNK, MAX_LINE, ProtocolError, Reader, Writer, encode, parse


def test_frames_come_back_as_they_went() -> None:
    stream = io.BytesIO()
    writer = Writer(stream)
    body = bytes(range(256)) * (CHUNK // 100)
    writer.write({"type": "put", "id": 1, "text": "ö\n\0"}, body)
    writer.write({"type": "has", "id": 2})
    writer.write({"type": "get", "id": 3}, iter([b"ab", b"c"]), size=3)
    stream.seek(0)
    reader = Reader(stream)
    first, second, third = reader.read(), reader.read(), reader.read()
    assert first is not None
    assert first.message["text"] == "ö\n\0"
    assert second is not None, "an unread body is skipped"
    assert second.message == {"type": "has", "id": 2}
    assert third is not None
    assert third.body.read() == b"abc"
    assert reader.read() is None


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b"[]\n",
        b'"hello"\n',
        b'{"type": 3}\n',
        b'{"type": "x", "body": -1}\n',
        b'{"type": "x", "body": true}\n',
        b'{"type": "x", "body": 1.5}\n',
        b'{"type": "x", "body": 1e30}\n',
        b'{"type": "x", "v": NaN}\n',
        b'{"type": "x", "v": -Infinity}\n',
        b'{"type": "x", "v": 1e999}\n',
        b'{"type": "x", "v": ' + b"9" * 10000 + b"}\n",
        b'{"type": "\xc3\xb6"}\n',
        b'{"type": "x"}',
        b"[" * 100_000 + b"\n",
        b'{"type": "x", "v": ' + b"[" * 40 + b"]" * 40 + b"}\n",
        b"x" * (MAX_LINE + 10),
        b"\x80\x04\x95pickle\n",
    ],
)
def test_what_is_no_frame_is_a_protocol_error(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        Reader(io.BytesIO(line)).read()


def test_a_stream_cut_inside_a_body_is_a_protocol_error() -> None:
    frame = Reader(io.BytesIO(b'{"type":"x","body":10}\nabc')).read()
    assert frame is not None
    with pytest.raises(ProtocolError, match="7 bytes before the end"):
        frame.body.read()


def test_noise_never_gets_further_than_a_protocol_error() -> None:
    rng = random.Random(7)
    seed = encode({"type": "put", "id": 1, "sha256": "ab", "body": 3}) + b"abc" + encode({"type": "has", "id": 2})
    for _ in range(3000):
        data = bytearray(seed)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        reader = Reader(io.BytesIO(bytes(data[: rng.randint(1, len(data))])))
        try:
            while (frame := reader.read()) is not None:
                frame.body.read()
        except ProtocolError:
            pass


def test_no_nan_is_ever_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"type": "x", "v": float("nan")})


def test_a_line_that_would_be_too_long_is_not_written() -> None:
    with pytest.raises(ProtocolError):
        encode({"type": "x", "text": "a" * MAX_LINE})


def test_lines_are_ascii_json() -> None:
    line = encode({"type": "x", "text": "µs – ä"})
    assert line.isascii()
    assert parse(line) == json.loads(line)


def test_unknown_fields_are_ignored_and_left_out_ones_have_their_defaults() -> None:
    plan = decode(Plan, {"budget_s": 1, "from_the_future": [1, 2]})
    assert plan == Plan(budget_s=1)


@pytest.mark.parametrize(
    "message",
    [{}, {"sha256": "ab"}, {"sha256": 5, "size": 1}, {"sha256": "ab", "size": "1"}, {"sha256": "ab", "size": True}],
)
def test_fields_missing_or_of_the_wrong_kind_are_refused(message: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        decode(Put, message)


def test_every_field_of_every_message_can_be_decoded() -> None:
    assert decode(Deployment, {"runtime": "x", "precision": "fp32", "batch": 2}).batch == 2
