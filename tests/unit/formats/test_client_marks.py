"""What mail programs write into the headers of their files, and that it comes off again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats.client_marks import Marks, keywords, take_off

MESSAGE = b"From: a@example.org\nSubject: one\n\nStatus: stays in a body\n"


def test_a_message_without_marks_is_the_very_same() -> None:
    assert take_off(MESSAGE) == (MESSAGE, Marks())


def test_what_thunderbird_wrote_in_front_comes_off() -> None:
    sink = (
        b"X-Account-Key: account3\nX-UIDL: 0001\nX-Mozilla-Status: 1005\n"
        b"X-Mozilla-Status2: 00000000\nX-Mozilla-Keys: $label1 holiday                      \n"
    )
    content, marks = take_off(sink + MESSAGE)
    assert content == MESSAGE
    assert marks.flags == {"\\Seen", "\\Flagged", "$Forwarded", "$label1", "holiday"}
    assert marks.told


def test_a_uidl_behind_the_first_field_of_the_message_is_its_own() -> None:
    own = b"From: a@example.org\nX-UIDL: 17\n\nx\n"
    assert take_off(b"X-Mozilla-Status: 0000\n" + own)[0] == own


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (b"Status: RO\nX-Status: AF\n", {"\\Seen", "\\Answered", "\\Flagged"}),
        (b"Status: O\n", set()),
        (b"Status: RO\nX-Keywords: work $Junk  \n", {"\\Seen", "work", "$Junk"}),
        (b"X-Mozilla-Status: 0003\n", {"\\Seen", "\\Answered"}),
        (b"X-Mozilla-Status: rubbish\n", set()),
    ],
)
def test_flags_are_read_as_each_program_writes_them(status: bytes, flags: set[str]) -> None:
    content, marks = take_off(status + MESSAGE)
    assert (content, set(marks.flags), marks.told) == (MESSAGE, flags, True)


def test_what_waits_to_be_removed_and_what_is_a_part_only_is_told() -> None:
    assert take_off(b"X-Mozilla-Status: 0009\n" + MESSAGE)[1].deleted
    assert take_off(b"X-Mozilla-Status: 0401\n" + MESSAGE)[1].partial


def test_notes_of_a_program_are_known_by_their_sender_and_subject() -> None:
    internal = (
        b"From: Mail System Internal Data <MAILER-DAEMON@host>\n"
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
        b"X-IMAP: 1612345678 0000000012\nStatus: RO\n\nThis text is part of the internal format.\n"
    )
    assert take_off(internal)[1].internal
    assert not take_off(internal.replace(b"DON'T", b"Re: DON'T"))[1].internal
    assert not take_off(internal.replace(b"MAILER-DAEMON", b"a").replace(b"Mail Sys", b"x"))[
        1
    ].internal
    assert not take_off(b"X-IMAPbase: 1 2\n" + MESSAGE)[1].internal


def test_what_a_sender_wrote_is_his_own_and_stays() -> None:
    own = b"Received: x\nX-Mozilla-Status: 0008\nX-Gmail-Labels: Trash\nX-UIDL: 1\n" + MESSAGE
    assert take_off(own) == (own, Marks())
    content, marks = take_off(b"X-Mozilla-Status: 0001\nX-Mozilla-Status: 0008\n" + MESSAGE)
    assert content == b"X-Mozilla-Status: 0008\n" + MESSAGE
    assert not marks.deleted


def test_nobody_makes_a_message_deleted_on_a_server() -> None:
    assert take_off(b"X-Status: D\n" + MESSAGE)[1].flags == set()


def test_words_that_imap_cannot_carry_are_no_keywords() -> None:
    assert keywords(b"good (bad) %worse caf\xc3\xa9 $label2") == ["good", "$label2"]


@given(st.binary(max_size=300))
def test_any_octets_can_be_read_and_nothing_is_added(content: bytes) -> None:
    rest, _ = take_off(content)
    assert len(rest) <= len(content)


@given(st.lists(st.sampled_from([b"Status: RO\n", b"A: b\n", b" folded\n", b"junk\n"]), max_size=8))
def test_nothing_but_marks_is_taken_off(lines: list[bytes]) -> None:
    content = b"".join(lines) + b"\nbody\n"
    rest, _ = take_off(content)
    assert rest.endswith(b"\nbody\n")
    assert rest.count(b"A: b\n") == content.count(b"A: b\n")
