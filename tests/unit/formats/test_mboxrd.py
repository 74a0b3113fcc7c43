"""mboxrd: any octets come back exactly, any program counts the messages right, and what is whole is
found in a file that is not.
"""

from __future__ import annotations

import mailbox
import re
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats import mboxrd
from mailsync.formats.mboxrd import Record, Stray
from tests.messages import plain, ugly

NASTY = st.lists(
    st.sampled_from(
        [
            b"From ",
            b">From ",
            b">>From x",
            b"\n",
            b"\r\n",
            b"\r",
            b"\0",
            b"x",
            b"\n\nFrom MAILER-DAEMON ",
            b"X-Mailsync: 1 ",
            b"\xff",
            b"",
        ]
    ),
    max_size=12,
).map(b"".join)
CONTENTS = st.one_of(NASTY, st.binary(max_size=200))
FLAGS = st.frozensets(st.sampled_from(["\\Seen", "work", "$Forwarded", "a,b", "ü", "%41", "x=y"]))


def message(content: bytes, number: int = 0, flags: frozenset[str] = frozenset()) -> bytes:
    return mboxrd.write(content, number.to_bytes(32, "big"), 1_600_000_000 + number, flags)


def records(file: bytes) -> list[bytes]:
    return [
        mboxrd.read(one, file[one.body : one.body + one.length])
        for one in mboxrd.scan(file)
        if isinstance(one, Record)
    ]


@given(st.lists(st.tuples(CONTENTS, FLAGS), max_size=6))
def test_any_messages_come_back_with_their_flags_and_nothing_else_is_found(
    messages: list[tuple[bytes, frozenset[str]]],
) -> None:
    file = b"".join(
        message(content, number, flags) for number, (content, flags) in enumerate(messages)
    )
    found = list(mboxrd.scan(file))
    assert all(isinstance(one, Record) for one in found)
    assert records(file) == [content for content, _ in messages]
    assert [one.flags for one in found if isinstance(one, Record)] == [
        flags for _, flags in messages
    ]
    assert [(one.size, one.digest) for one in found if isinstance(one, Record)] == [
        (len(content), number.to_bytes(32, "big")) for number, (content, _) in enumerate(messages)
    ]


def test_an_end_whose_octets_never_came_to_the_disk_is_torn() -> None:
    first = mboxrd.write(b"Subject: 1\r\n\r\none\r\n", bytes(32), 1, frozenset())
    record, last = mboxrd.scan(first + bytes(4096))
    assert isinstance(record, mboxrd.Record)
    assert record.end == len(first)
    assert last == Stray(len(first), len(first) + 4096, is_torn=True)


@given(st.lists(CONTENTS, min_size=1, max_size=5), st.data())
def test_a_torn_end_is_found_and_every_message_before_it(
    messages: list[bytes], data: st.DataObject
) -> None:
    whole = [message(content, number) for number, content in enumerate(messages)]
    cut = data.draw(st.integers(1, len(whole[-1]) - 1))
    file = b"".join(whole[:-1]) + whole[-1][:cut]
    *found, last = mboxrd.scan(file)
    assert records(file) == messages[:-1]
    assert isinstance(last, Stray)
    assert last.is_torn
    assert last.start == len(b"".join(whole[:-1]))
    assert len(found) == len(messages) - 1


@given(st.lists(CONTENTS, min_size=1, max_size=4), CONTENTS, st.data())
def test_messages_of_another_program_are_left_alone_and_ours_found_around_them(
    messages: list[bytes], theirs: bytes, data: st.DataObject
) -> None:
    strange = (
        b"From somebody@example.org Thu Jan  1 00:00:00 1970\n"
        + theirs.replace(b"From ", b"from ")
        + b"\n\n"
    )
    place = data.draw(st.integers(0, len(messages)))
    parts = [message(content, number) for number, content in enumerate(messages)]
    file = b"".join((*parts[:place], strange, *parts[place:]))
    assert records(file) == messages
    assert not any(one.is_torn for one in mboxrd.scan(file) if isinstance(one, Stray))


@given(st.binary(max_size=400))
def test_no_gap_is_left_in_any_file(file: bytes) -> None:
    at = 0
    for one in mboxrd.scan(file):
        assert one.start == at
        at = one.end
        assert at <= len(file)
    assert at == len(file)


@pytest.mark.parametrize("name", ugly())
def test_every_ugly_message_comes_back(name: str) -> None:
    content = ugly()[name]
    assert records(message(plain(1), 1) + message(content, 2) + message(plain(3), 3)) == [
        plain(1),
        content,
        plain(3),
    ]


def test_python_counts_the_messages_right(tmp_path: Path) -> None:
    contents = [*ugly().values(), plain(1), b"From x\r\n\r\nFrom y\r\n>From z\r\n"]
    (tmp_path / "box").write_bytes(
        b"".join(message(content, number) for number, content in enumerate(contents))
    )
    box = mailbox.mbox(tmp_path / "box", create=False)
    assert len(box) == len(contents)
    assert [message["Subject"] for message in box][-2] == "Message number 1"
    box.close()


def test_a_message_with_crlf_is_kept_as_unix_programs_like_it() -> None:
    assert b"\r" not in message(plain(1))
    assert b"a\nb\r\n" in message(b"S: x\r\n\r\na\nb\r\n")


@given(st.integers(0, 40), st.integers(1, 9000))
def test_more_flags_than_our_line_holds_cost_keywords_alone(length: int, count: int) -> None:
    keywords = frozenset(f"{'ü' * length}{number}" for number in range(count))
    one = mboxrd.write(b"Subject: a\r\n\r\nb\r\n", bytes(32), 1, keywords | {"\\Seen", "\\Flagged"})
    [record] = mboxrd.scan(one)
    assert isinstance(record, Record)
    assert record.end == len(one)
    assert {"\\Seen", "\\Flagged"} <= record.flags <= keywords | {"\\Seen", "\\Flagged"}
    if count < 200:
        assert record.flags > keywords


FIELDS = st.lists(
    st.sampled_from(
        ["Status: RO", "X-Status: A", "Content-Length: 12\n\tmore", "X-UID: 7", "Lines: 1"]
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=4), FIELDS, st.data())
def test_what_a_mail_program_writes_into_a_header_is_taken_out_of_it(
    numbers: list[int], fields: list[str], data: st.DataObject
) -> None:
    contents = [plain(number) for number in numbers]
    if data.draw(st.booleans()):
        contents = [b"Status: of its own\r\n" + content for content in contents]
    parts = [mboxrd.write(one, sha256(one).digest(), 1, frozenset()) for one in contents]
    touched = data.draw(st.sets(st.integers(0, len(parts) - 1), min_size=1))
    for each in touched:
        head, blank, body = parts[each].partition(b"\n\n")
        parts[each] = head + b"\n" + "\n".join(fields).encode() + blank + body
    file = b"".join(parts)
    assert records(file) == contents
    assert not any(isinstance(one, Stray) for one in mboxrd.scan(file))


OWN = b"Status: of its own\r\nLines: 99\r\n" + plain(3) + b"From here\r\n>From there\r\n\r\nx"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (rb"(?s)(From MAILER.*?\n)\n", rb"\1Status: RO\nLines: 1\n\n"),
        (rb"(From MAILER[^\n]*\n)", rb"\1X-UID: 7\nStatus: RO\n"),
        (rb"From MAILER-DAEMON ", rb"From a@example.org "),
        (rb"\n", rb"\r\n"),
        (rb"\n\nFrom MAILER", rb"\n\n\nFrom MAILER"),
        (rb"(?s)(X-Mailsync:[^\n]*\n)(.*?\n)\n", rb"\2\1\n"),
    ],
    ids=["at the end", "in front", "another From", "CRLF", "more blank lines", "sorted"],
)
def test_a_file_that_a_program_wrote_anew_in_its_own_way_holds_the_same_messages(
    said: bytes, written: bytes
) -> None:
    contents = [plain(1), OWN, plain(2)]
    parts = [mboxrd.write(one, sha256(one).digest(), 1, frozenset()) for one in contents]
    file = re.sub(said, written, b"".join(parts))
    assert records(file) == contents
    ends = [(one.start, one.end) for one in mboxrd.scan(file)]
    assert [0, *(end for _, end in ends)] == [*(start for start, _ in ends), len(file)]
    assert records(file.replace(b"second", b"third")) != contents


def test_what_a_mail_program_changed_beside_is_no_message_of_ours() -> None:
    content = plain(1)
    one = mboxrd.write(content, sha256(content).digest(), 1, frozenset())
    changed = one.replace(b"\n\n", b"\nStatus: RO\n\n", 1).replace(b"second", b"third")
    assert records(changed + one) == [content]


def test_pythons_mailbox_may_mark_messages_as_read(tmp_path: Path) -> None:
    contents = [plain(number) for number in range(3)]
    path = tmp_path / "box.mbox"
    path.write_bytes(
        b"".join(mboxrd.write(one, sha256(one).digest(), 1, frozenset()) for one in contents)
    )
    box = mailbox.mbox(path)
    for key, message in box.items():
        message.set_flags("RO")
        box[key] = message
    box.flush()
    box.close()
    assert b"\nStatus: RO\n" in path.read_bytes()
    assert records(path.read_bytes()) == contents
