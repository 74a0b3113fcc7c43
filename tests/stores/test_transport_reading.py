"""A connection reads exactly what was sent, in whatever segments it comes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailsync.errors import ConnectionLost
from mailsync.stores.transport import Connection, Endpoint

KINDS = st.sampled_from(["readline", "read", "read_until", "peek"])


class Segments:
    """A socket that gives octets in exactly these pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]

    def recv(self, limit: int) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > limit:
            self.pieces.insert(0, piece[limit:])
        return piece[:limit]

    def recv_into(self, view: memoryview) -> int:
        data = self.recv(len(view))
        view[: len(data)] = data
        return len(data)


def over(pieces: Sequence[bytes]) -> Connection:
    return Connection(Segments(pieces), Endpoint("example.org", 1), "home")  # type: ignore[arg-type]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[tuple[str, bytes]], list[bytes]]:
    """What is to be read, in which way, and the same octets in any segments."""
    wanted: list[tuple[str, bytes]] = []
    for kind in draw(st.lists(KINDS, max_size=8)):
        body = draw(
            st.binary(max_size=30)
            | st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"..", b"a"])).map(b"".join)
        )
        if kind == "readline":
            body = body.replace(b"\n", b"") + b"\n"
        elif kind == "read_until":
            body = body.replace(b"\r\n.", b"\r\n..")
        wanted.append((kind, body))
    stream = b"".join(
        body + (b"\r\n.\r\n" if kind == "read_until" else b"")
        for kind, body in wanted
        if kind != "peek"
    )
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    pieces = [
        stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    return wanted, pieces


@settings(max_examples=400, deadline=None)
@given(conversations())
def test_every_way_of_reading_gives_the_same_octets_however_they_are_cut(
    conversation: tuple[list[tuple[str, bytes]], list[bytes]],
) -> None:
    wanted, pieces = conversation
    stream = b"".join(pieces)
    connection = over(pieces)
    position = 0
    for kind, body in wanted:
        if kind == "peek":
            octets = min(len(body), len(stream) - position)
            assert connection.peek(octets) == stream[position : position + octets]
            continue
        if kind == "read_until":
            end = stream.index(b"\r\n.\r\n", position)
            assert connection.read_until(b"\r\n.\r\n") == stream[position:end]
            position = end + 5
        elif kind == "readline":
            end = stream.index(b"\n", position) + 1
            assert connection.readline() == stream[position:end]
            position = end
        else:
            octets = min(len(body), len(stream) - position)
            assert connection.read(octets) == stream[position : position + octets]
            position += octets
    assert connection.received - connection.buffered == position


@given(st.lists(st.binary(max_size=30)))
def test_what_ends_too_early_is_a_lost_connection_and_never_a_short_read(
    pieces: list[bytes],
) -> None:
    stream = b"".join(pieces)
    for how in ("read", "peek"):
        with pytest.raises(ConnectionLost):
            getattr(over(pieces), how)(len(stream) + 1)
    if b"\n" not in stream:
        with pytest.raises(ConnectionLost):
            over(pieces).readline()


def test_reading_many_small_things_out_of_a_full_buffer_is_not_quadratic() -> None:
    connection = over([b"x\r\n" * 80_000] * 10)
    begun = time.process_time()
    for _ in range(800_000):
        connection.readline()
    assert time.process_time() - begun < 4
