"""What a POP3 source makes of listings that disagree, of abilities told only after the login, and
of messages that fill memory.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence

import pytest

from mailsync.model import Message, UidlRef
from tests import messages
from tests.servers.pop3 import Pop3
from tests.servers.scripted import Conversation, Scripted
from tests.stores.contract import entries_of
from tests.stores.pop3_source_servers import Drop, close_all, contents, fetched, many, source


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def drop_of(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"u%d" % number, messages.plain(number)) for number in range(1, count + 1)]


def telling(uidl: Sequence[bytes] | None, listed: Sequence[bytes]) -> Drop:
    """An account of three messages that lists them like this; without `uidl` it knows no such
    command.
    """

    def tell(talk: Conversation, line: bytes) -> bool:
        if line == b"LIST":
            talk.send(many(*listed))
        elif line == b"UIDL":
            talk.send(b"-ERR unknown command\r\n" if uidl is None else many(*uidl))
        return line in {b"LIST", b"UIDL"}

    return Drop(drop_of(3), override=tell)


@pytest.mark.parametrize(
    ("uidl", "listed", "expected"),
    [
        (
            (b"1 u1", b"2 u2", b"3 u3"),
            (b"1 10", b"3 30"),
            [(b"u1", 10), (b"u2", None), (b"u3", 30)],
        ),
        ((b"1 u1", b"3 u3"), (b"1 10", b"2 20", b"3 30"), [(b"u1", 10), (None, 20), (b"u3", 30)]),
        (
            (b"1 u1", b"2", b"3 "),
            (b"1 10", b"2 20", b"3 30"),
            [(b"u1", 10), (None, 20), (None, 30)],
        ),
        (None, (b"1", b"2 ", b"3\t30"), [(None, None), (None, None), (None, 30)]),
        (
            (b"3 u3", b"1 u1", b"2 u2"),
            (b"2 20", b"3 30", b"1 10"),
            [(b"u1", 10), (b"u2", 20), (b"u3", 30)],
        ),
    ],
)
def test_a_message_that_only_half_a_listing_names_is_not_left_behind(
    uidl: Sequence[bytes] | None,
    listed: Sequence[bytes],
    expected: list[tuple[bytes | None, int | None]],
) -> None:
    with Scripted(telling(uidl, listed)) as server:
        one = source(server.port)
        told = [
            (entry.ref.uidl, entry.size)
            for entry in entries_of(one)
            if isinstance(entry.ref, UidlRef)
        ]
        assert told == expected
        assert contents(one) == [messages.plain(number) for number in (1, 2, 3)]


def late(before: Sequence[bytes], after: Sequence[bytes] | None, count: int = 20) -> Drop:
    """An account whose server tells other abilities after the login than before; None: it knows
    CAPA no more.
    """
    logged_in: set[int] = set()

    def tell(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"PASS"):
            logged_in.add(talk.number)
        if line != b"CAPA":
            return False
        there = after if talk.number in logged_in else before
        talk.send(b"-ERR not now\r\n" if there is None else many(*there))
        return True

    return Drop(drop_of(count), override=tell)


def test_headers_come_from_a_server_that_tells_of_top_only_after_the_login() -> None:
    with Scripted(late([b"USER"], [b"USER", b"UIDL", b"TOP"])) as server:
        one = source(server.port)
        assert len(list(one.headers(entries_of(one)))) == 20
        assert list(one.capabilities()) == ["TOP", "UIDL", "USER"]


def test_a_server_that_tells_of_pipelining_only_after_the_login_is_asked_ahead() -> None:
    drop = late([b"USER"], [b"UIDL", b"PIPELINING"])
    tell = drop.override

    def wait_for_all(talk: Conversation, line: bytes) -> bool:
        if line != b"RETR 1":
            return tell(talk, line)
        ahead = [talk.readline() for _ in range(19)]
        talk.send(b"".join(drop.answer(command) for command in [line, *ahead]))
        return True

    drop.override = wait_for_all
    with Scripted(drop) as server:
        assert len(contents(source(server.port))) == 20


@pytest.mark.parametrize("before", [(b"USER", b"UIDL"), (b"USER", b"UIDL", b"PIPELINING")])
@pytest.mark.parametrize("after", [None, (), (b"UIDL",)])
def test_what_a_server_says_it_can_no_more_is_not_used_and_costs_nothing(
    before: Sequence[bytes], after: Sequence[bytes] | None
) -> None:
    with Scripted(late(before, after)) as server:
        one = source(server.port)
        assert contents(one) == [content for _, content in drop_of(20)]
        expected = after or before
        assert list(one.capabilities()) == sorted(word.decode() for word in expected)
        assert len(server.conversations) == 1


def test_a_server_without_capa_is_not_asked_again() -> None:
    with Scripted(Drop(drop_of(3), capabilities=())) as server:
        contents(source(server.port))
        assert server.heard.count(b"CAPA") == 1


@pytest.mark.parametrize("body", [b"x" * 76 + b"\r\n", b"x" * 500 + b"\r\n.dots\r\n"])
def test_of_large_messages_in_a_row_no_more_than_three_copies_are_in_memory(
    pop3_server: Callable[..., Pop3], body: bytes
) -> None:
    large = messages.plain(1) + body * (12_000_000 // len(body))
    one = source(pop3_server([large] * 3).port)
    entries = entries_of(one)
    tracemalloc.start()
    try:
        got = [type(message) for message in one.fetch(entries)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == [Message] * 3
    assert peak < 3.3 * len(large)


def test_messages_that_came_are_not_asked_for_again_when_the_listing_is_read_anew() -> None:
    with Scripted(Drop(drop_of(5))) as server:
        one = source(server.port)
        assert len(fetched(one)) == 5
        one.close()
        assert len(entries_of(one)) == 5
        assert sum(line.startswith(b"RETR") for line in server.heard) == 5
