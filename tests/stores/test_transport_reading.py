"""A connection reads exactly what was sent, in whatever segments it comes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailsync.errors import ConnectionLost
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.transport import Connection

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
            assert connection.read_until(b"\r\n.\r\n", 0, 1 << 20) == stream[position:end]
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


class Ticks:
    """A clock that goes on by so many seconds with each piece that comes."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def paced(pieces: Sequence[bytes], seconds: float) -> Connection:
    """A connection to a server that sends a piece every so many seconds; silent 60 s at most."""
    sock = Segments(pieces)
    endpoint = Endpoint("example.org", 1)
    return Connection(sock, endpoint, "home", Ticks(seconds))  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["readline", "read", "read_until", "peek"])
def test_a_server_that_sends_an_octet_now_and_then_is_given_up_though_it_is_never_silent(
    how: str,
) -> None:
    connection = paced([b"x"] * 1000, 0.7)
    with pytest.raises(ConnectionLost, match="less than 16 octets a second for 120 s") as lost:
        reading(connection, how, 1000)
    assert lost.value.retryable
    assert connection.received < 180


@pytest.mark.parametrize("how", ["readline", "read", "read_until", "peek"])
def test_a_slow_line_may_take_hours(how: str) -> None:
    stream = b"x" * 200_000 + b"\n.\n"
    connection = paced([stream[at : at + 20] for at in range(0, len(stream), 20)], 1.0)
    assert reading(connection, how, len(stream) - 3).startswith(b"x" * 200_000)


def test_signs_of_life_in_whole_lines_are_no_slow_sending() -> None:
    connection = paced([b"* OK Hang in there..\r\n"] * 400, 30.0)
    for _ in range(400):
        assert connection.readline() == b"* OK Hang in there..\r\n"


def reading(connection: Connection, how: str, octets: int) -> bytes:
    if how == "readline":
        return connection.readline()
    if how == "read_until":
        return connection.read_until(b"\n.\n", keep=0, limit=1 << 20)
    return connection.read(octets) if how == "read" else connection.peek(octets)
