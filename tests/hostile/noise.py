"""What a broken or hostile peer may say: valid messages with something wrong in them, as hypothesis draws them.

Two layers: the message (a field replaced, dropped, of another kind) and the bytes of its line (cut, flipped, not ASCII,
not ended). Values are those that have hurt programs before: paths, options, shell words, terminals' words,
halves of characters, numbers beyond every type, things nested in things.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Message = dict[str, Any]
Place = tuple[str | int, ...]

# The same noise every time: what a night of other noise finds becomes a test of its own.
QUIET = settings(
    deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=True
)
WORDS = (
    *(
        "",
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "~root/.ssh/id_rsa",
        "blobs/../../x",
        "a b'\"\n c",
        "C:\\x",
    ),
    *(
        "--home",
        "-rf",
        "$(touch pwned)",
        "`id`",
        "; rm -rf /",
        "%s%n%x",
        "{0.__class__}",
        "\0",
        "nul\0byte",
        "\x1b]0;x\x07",
    ),
    *(
        "\ud800",
        "\udc80tail",
        "\u202egnp",
        "0" * 64,
        "f" * 63 + "\n",
        "F" * 64,
        "a" * 5000,
        "NaN",
        "null",
        "__import__",
    ),
)
NUMBERS = (0, -1, 1, 3, 255, 2**31, -(2**31), 2**53 + 1, 2**63, 10**19, 0.5, -0.0, 1e308, -1e308, 5e-324)
BEYOND = (10**40, float("nan"), float("inf"), float("-inf"))  # what JSON or the wire does not allow

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(WORDS),
    st.sampled_from(NUMBERS),
    st.text(max_size=12),
    st.integers(-(10**18), 10**18),
)
# Whatever a line may hold; and beyond that, what ends a session because it is no line at all.
mild = st.one_of(
    atoms,
    atoms,
    st.recursive(
        atoms, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
)
values = st.one_of(
    mild,
    mild,
    st.sampled_from(BEYOND),
    st.integers(20, 400).map(lambda depth: json.loads("[" * depth + "]" * depth)),
)


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where something can be replaced in a message."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield (*place, key)
        yield from places(item, (*place, key))


def _like(value: Any) -> st.SearchStrategy[Any]:
    """Of the right kind, and wrong all the same: what gets past the first check."""
    if isinstance(value, str):
        return st.sampled_from(WORDS)
    if isinstance(value, (int, float)):
        return st.sampled_from(NUMBERS)
    inside = st.sampled_from(WORDS)
    return st.lists(inside, max_size=2) if isinstance(value, list) else st.dictionaries(inside, atoms, max_size=2)


@st.composite
def spoilt(draw: st.DrawFn, message: Mapping[str, Any], *, still_a_line: bool = False) -> Message:
    """`message` with one to three things wrong; if `still_a_line`, none that ends the session."""
    spared, wrong = ({("type",)}, mild) if still_a_line else (set[Place](), values)
    changed: Message = copy.deepcopy(dict(message))
    for _ in range(draw(st.integers(1, 3))):
        found = [place for place in places(changed) if place not in spared]
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        holder: Any = changed
        for key in way:
            holder = holder[key]
        if draw(st.integers(0, 3)) == 0:
            del holder[last]
        else:
            holder[last] = draw(_like(holder[last]) | wrong)
    return changed


def _cut(data: bytes, at: int) -> bytes:
    return data[: at % (len(data) + 1)]


def _flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    if changed:
        changed[at % len(changed)] ^= 1 << (at % 8)
    return bytes(changed)


def _insert(what: bytes) -> Callable[[bytes, int], bytes]:
    def inserted(data: bytes, at: int) -> bytes:
        middle = at % (len(data) + 1)
        return data[:middle] + what + data[middle:]

    return inserted


WRECKS: tuple[Callable[[bytes, int], bytes], ...] = (
    _cut,
    _flip,
    *map(_insert, (b"\0", b"\n", b"\r", b"\xff\xfe", b"\xc3\x28", b"{", b'"', b"\x80\x04\x95", b"[" * 3000)),
    lambda data, at: data.replace(b"\n", b"", 1),
    lambda data, at: bytes(at % 256 for _ in range(at % 300)),
    lambda data, at: b'{"type":' + b" " * (1 << 20) + b'"x"}\n' + data,
    lambda data, at: data + data,
)
wrecks = st.tuples(st.sampled_from(range(len(WRECKS))), st.integers(0, 1 << 16))

WAYS = ("fields", "fields", "fields", "id", "bytes", "body", "size")


@dataclass(frozen=True)
class Line:
    """One frame as it will be said; `id` is filled in then, unless the noise said another."""

    message: Message
    body: bytes = b""
    wreck: tuple[int, int] | None = None
    own_id: bool = False
    noise: bool = True

    def bytes_for(self, request_id: int) -> bytes:
        said = dict(self.message) if self.own_id else {**self.message, "id": request_id}
        if self.body:
            said.setdefault("body", len(self.body))
        data = json.dumps(said).encode("ascii") + b"\n" + self.body
        return data if self.wreck is None else WRECKS[self.wreck[0]](data, self.wreck[1])


@st.composite
def lines(draw: st.DrawFn, message: Mapping[str, Any], body: bytes = b"", *, only: Sequence[str] = WAYS) -> Line:
    """`message` and `body` with something wrong on one of the layers."""
    how = draw(st.sampled_from(only))
    if how in ("fields", "mild"):
        return Line(draw(spoilt(message, still_a_line=how == "mild")), body)
    if how == "id":
        return Line({**message, "id": draw(values)}, body, own_id=True)
    if how == "bytes":
        return Line(dict(message), body, wreck=draw(wrecks))
    if how == "body":
        index, at = draw(wrecks)
        return Line(dict(message), WRECKS[index](body, at)[: 1 << 16])
    size = draw(st.sampled_from((0, 1, len(body) + 8, max(len(body) - 8, 0), 1 << 31, 1 << 40, (1 << 40) + 1, -1)))
    return Line({**message, "body": size}, body)
