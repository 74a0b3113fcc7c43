"""APPEND commands and how messages are put together in them: pure, so any messages, any answers."""

from __future__ import annotations

import re
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailsync.model import INBOX, ArchivedMessage, Parcel
from mailsync.stores.imap.append import Send, append_parts, date_time
from mailsync.stores.imap.append_batches import BATCH_MESSAGES, Batches, split
from mailsync.stores.imap.append_responses import append_uids
from mailsync.stores.imap.command_queue import Literal
from mailsync.stores.imap.fetch_response import epoch
from mailsync.stores.imap.permanent_flags import allowed
from mailsync.stores.imap.pipelined_append import WINDOW_MESSAGES, Pace
from mailsync.stores.imap.response import Result

FLAGS = frozenset({"\\Seen", "\\Flagged", "$Forwarded", "work"})


def send(
    content: bytes,
    mailbox: tuple[str, ...] = INBOX,
    *,
    odd: bool = False,
    refusal: str = "",
    internaldate: int = 0,
) -> Send:
    message = ArchivedMessage(mailbox, b"", b"", len(content), frozenset(), internaldate)
    return Send(Parcel(message, mailbox, content), content, frozenset(), odd=odd, refusal=refusal)


SENDS = st.lists(
    st.builds(
        send,
        st.binary(max_size=60),
        st.sampled_from([INBOX, ("Sent",)]),
        odd=st.booleans(),
        refusal=st.sampled_from(["", "no"]),
    ),
    max_size=60,
)


def groups_of(batches: Batches, messages: int) -> list[list[Send]]:
    groups = []
    while group := batches.take(messages):
        groups.append(group)
    return groups


@given(SENDS, st.booleans(), st.integers(1, 20), st.integers(1, 200))
def test_batches_hold_every_message_once_in_order_within_the_bounds(
    sends: list[Send], together: bool, messages: int, octets: int
) -> None:
    groups = groups_of(Batches(iter(sends), together=together, octets=octets), messages)
    assert [id(one) for one in chain.from_iterable(groups)] == [id(one) for one in sends]
    for group in groups:
        assert len({one.parcel.mailbox for one in group}) == 1
        assert len(group) == 1 or (together and len(group) <= messages)
        assert len(group) == 1 or sum(len(one.content) for one in group) <= octets
        assert len(group) == 1 or not any(one.lonely for one in group)


def test_batches_are_as_large_as_they_may_be() -> None:
    groups = groups_of(Batches(iter([send(b"x")] * 1000), together=True), 10_000)
    assert [len(group) for group in groups] == [BATCH_MESSAGES] * 5


def test_batches_draw_no_message_before_it_is_needed() -> None:
    drawn: list[Send] = []

    def lazily() -> object:
        for _ in range(100):
            drawn.append(send(b"x"))
            yield drawn[-1]

    batches = Batches(lazily(), together=True)  # type: ignore[arg-type]
    batches.take(10)
    assert len(drawn) == 10


@given(SENDS.filter(lambda sends: len(sends) > 1), st.binary(min_size=1, max_size=1))
def test_splitting_keeps_every_message_and_always_gets_smaller(
    sends: list[Send], mark: bytes
) -> None:
    parts = split(sends, lambda content: mark in content)
    assert sorted(id(one) for one in chain.from_iterable(parts)) == sorted(id(one) for one in sends)
    assert all(0 < len(part) < len(sends) for part in parts)


def test_one_offender_in_a_batch_is_found_in_few_tries_even_when_nothing_shows() -> None:
    sends = [send(b"%d" % number) for number in range(200)]
    tries, waiting = 0, [sends]
    while waiting:
        group = waiting.pop()
        tries += 1
        if any(one is sends[77] for one in group) and len(group) > 1:
            waiting += split(group, lambda _: False)
    assert tries <= 1 + 2 * 8


def test_a_message_that_looks_odd_is_told_from_the_others_at_once() -> None:
    sends = [send(b"good")] * 150 + [send(b"bad")] + [send(b"good")] * 49
    assert [len(part) for part in split(sends, lambda content: content == b"bad")] == [199, 1]


@given(
    st.frozensets(
        st.sampled_from(
            [
                "\\Seen",
                "\\Recent",
                "\\Indexed",
                "$Forwarded",
                "work",
                "two words",
                "a]",
                "(",
                "ü",
                "\\Deleted",
            ]
        )
    )
)
def test_flags_no_server_could_be_told_are_never_sent(flags: frozenset[str]) -> None:
    for permanent in (
        None,
        frozenset({"\\*", "\\Seen", "\\Deleted"}),
        frozenset({"\\Seen", "work"}),
    ):
        assert allowed(flags, permanent) <= flags - {
            "\\Recent",
            "\\Indexed",
            "two words",
            "a]",
            "(",
            "ü",
        }


def test_a_mailbox_that_makes_no_keywords_gets_those_it_knows() -> None:
    assert allowed(FLAGS, frozenset({"\\Seen", "work"})) == {"\\Seen", "work"}
    assert allowed(FLAGS, frozenset({"\\seen", "\\*"})) == {"\\Seen", "$Forwarded", "work"}
    assert allowed(FLAGS, frozenset()) == frozenset()
    assert allowed(FLAGS, None) == FLAGS


@given(st.integers(0, 253_402_300_799))
def test_a_date_is_read_back_as_the_second_it_was(moment: int) -> None:
    written = date_time(moment)
    assert re.fullmatch(rb'"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d \+0000"', written)
    assert epoch(written.strip(b'"')) == moment


@given(st.integers())
def test_a_date_nobody_can_have_meant_is_still_written(moment: int) -> None:
    assert epoch(date_time(moment).strip(b'"')) is not None


def test_one_command_holds_flags_date_and_octets_of_each_message() -> None:
    message = ArchivedMessage(INBOX, b"", b"", 5, FLAGS, 1_400_000_000)
    sends = [
        Send(Parcel(message, INBOX, b"a\0\nb\r"), b"a\0\nb\r", frozenset({"\\Seen", "work"})),
        send(b"second"),
    ]
    assert list(append_parts(b'"INBOX"', sends, lambda octets: octets < 6)) == [
        b"APPEND ",
        b'"INBOX"',
        b' (\\Seen work) "13-May-2014 16:53:20 +0000" ',
        Literal(b"a\0\nb\r", waiting=False),
        b' () "01-Jan-1970 00:00:00 +0000" ',
        Literal(b"second", waiting=True),
    ]


@pytest.mark.parametrize(
    ("argument", "count", "expected"),
    [
        (b"38505 3955", 1, (38505, [3955])),
        (b"7 3:5,9", 4, (7, [3, 4, 5, 9])),
        (b"7 3:5", 2, (None, [None, None])),
        (b"7 1:99999999999999999999", 2, (None, [None, None])),
        (b"7 0", 1, (None, [None])),
        (b"", 1, (None, [None])),
    ],
)
def test_appenduid_names_each_message_or_none(
    argument: bytes, count: int, expected: object
) -> None:
    assert append_uids(Result(b"OK", b"APPENDUID", argument), count) == expected


@given(st.binary(max_size=60), st.integers(1, 50))
@settings(max_examples=300)
def test_an_appenduid_of_any_octets_is_read_or_left(argument: bytes, count: int) -> None:
    validity, uids = append_uids(Result(b"OK", b"APPENDUID", argument), count)
    assert len(uids) == count
    assert (validity is None) == (None in uids)


def test_after_a_failure_the_pace_doubles_with_each_round_trip() -> None:
    pace = Pace()
    pace.slow()
    sent = []
    for _ in range(14):
        sent.append(pace.messages)
        pace.answered(pace.messages)
    assert sent[:4] == [1, 2, 4, 8]
    assert pace.messages == WINDOW_MESSAGES
