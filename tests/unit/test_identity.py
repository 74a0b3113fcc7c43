"""What makes two contents one message, and what recognises a message on a destination by its
header.
"""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync import identity
from mailsync.formats import header
from tests import messages

HEAD = (
    b"Date: Mon, 1 Jun 2015 00:00:00 +0000\r\nFrom: bob@example.net\r\nSubject:"
    b" hello\r\nMessage-ID: <1@example.net>\r\n"
)
MESSAGE = HEAD + b"\r\nSome text.\r\n"


def of(content: bytes) -> bytes:
    return identity.identity(content, identity.digest(content))


def key(content: bytes) -> bytes:
    return identity.presence_key(header.block(content))


NAMES = st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True).map(
    lambda name: b"X-My" + name
)
VALUES = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30
).map(str.encode)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(
    lambda fields: b"".join(name + b": " + value + b"\r\n" for name, value in fields)
)
BODIES = st.lists(
    st.sampled_from([b"one", b"", b"From x", b".", b"gr\xc3\xbc\xc3\x9fe"]), max_size=6
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))
TRACES = st.lists(
    st.tuples(st.sampled_from(sorted(identity.TRACE_FIELDS)), VALUES), max_size=5
).map(lambda fields: b"".join(name.title() + b": " + value + b"\r\n" for name, value in fields))


# Identity


@given(FIELDS, BODIES, TRACES, TRACES)
def test_a_message_that_took_two_ways_is_one(
    fields: bytes, body: bytes, one: bytes, other: bytes
) -> None:
    first, second = one + HEAD + fields + b"\r\n" + body, HEAD + fields + other + b"\r\n" + body
    assert of(first) == of(second)
    assert of(first) == of(first.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_line_ends_and_a_missing_last_one_do_not_make_another_message(end: bytes) -> None:
    assert of(HEAD + b"\r\none\r\ntwo" + end) == of(
        (HEAD + b"\r\none\r\ntwo\r\n").replace(b"\r\n", b"\n")
    )


def test_folding_is_kept_but_its_line_ends_are_folded() -> None:
    folded = MESSAGE.replace(b"hello", b"hello\r\n world")
    assert of(folded) == of(folded.replace(b"\r\n", b"\n"))
    assert of(folded) != of(MESSAGE.replace(b"hello", b"hello world"))


@pytest.mark.parametrize(
    "other",
    [
        MESSAGE.replace(b"hello", b"hullo"),
        MESSAGE.replace(b"Some", b"Same"),
        MESSAGE + b"\r\n",
        MESSAGE + b"more\r\n",
        MESSAGE.replace(b"bob@", b"rob@"),
        MESSAGE.replace(b"<1@", b"<2@"),
        MESSAGE.replace(b"Mon, 1 Jun", b"Tue, 2 Jun"),
        MESSAGE.replace(b"Subject: hello", b"Subject: hello\r\nX-More: yes"),
        MESSAGE.replace(b"\r\n\r\n", b"\r\n\r\n\r\n"),
        HEAD,
        MESSAGE.replace(b"Date:", b"Date:\r\nDate:"),
    ],
)
def test_another_subject_body_sender_or_date_is_another_message_though_the_message_id_is_the_same(
    other: bytes,
) -> None:
    assert of(other) != of(MESSAGE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            HEAD + b"The text, without a blank line before it.\r\n",
            HEAD + b"Another text, without a blank line before it.\r\n",
        ),
        (HEAD + b"Text.\r\n\r\nMore.\r\n", HEAD + b"Words.\r\n\r\nMore.\r\n"),
        (b"Not a field\r\n" + MESSAGE, MESSAGE),
        (b"From bob Mon\r\n and more\r\n" + MESSAGE, b"From bob Mon\r\n or less\r\n" + MESSAGE),
        (HEAD + b"From bob Mon\r\n", HEAD + b"From eve Mon\r\n"),
        (HEAD + b"strange name: 1\r\n\r\n", HEAD + b"strange name: 2\r\n\r\n"),
    ],
)
def test_lines_of_a_header_that_are_no_fields_tell_messages_apart(one: bytes, other: bytes) -> None:
    assert of(one) != of(other)
    assert of(one) == of(one.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize(
    "line", [b"From bob Mon Jun  1 00:00:00 2015\r\n", b"From bob\n", b">From bob\r\n"]
)
def test_a_line_that_an_mbox_put_before_a_message_makes_no_other_message(line: bytes) -> None:
    assert of(line + MESSAGE) == of(MESSAGE)
    assert key(line + MESSAGE) == key(MESSAGE)


@pytest.mark.parametrize(
    "content",
    [
        MESSAGE.replace(b"Message-ID: <1@example.net>\r\n", b""),
        MESSAGE.replace(b"<1@example.net>", b""),
        MESSAGE.replace(b"<1@example.net>", b"<>"),
        MESSAGE.replace(b"\r\n\r\n", b"\r\nMessage-ID: <2@example.net>\r\n\r\n"),
        MESSAGE.replace(b"\r\n\r\n", b"\r\nMessage-ID: <1@example.net>\r\n\r\n"),
        MESSAGE.replace(b"Date:", b"X-Date:"),
        MESSAGE.replace(b"Mon, 1 Jun 2015 00:00:00 +0000", b"  "),
        b"",
        b"\r\nMessage-ID: <1@example.net>\r\nDate: now\r\n",
    ],
)
def test_without_one_message_id_and_a_date_a_message_is_itself_alone(content: bytes) -> None:
    assert of(content) == hashlib.sha256(content).digest()
    assert of(content) != of(b"Received: again\r\n" + content)


@given(st.binary(max_size=40).filter(bool), st.booleans())
def test_alone_a_message_is_the_same_with_its_last_line_end_and_with_80_for_nul(
    content: bytes, dated: bool
) -> None:
    """POP3 ends a message's last line, and IMAP shows no NUL: the two routes bring one message."""
    head = b"Date: now\r\n" if dated else b"Subject: alert\r\n"
    bare = head + b"\r\n" + content.rstrip(b"\r\n") + b"x"
    assert of(bare) == of(bare + b"\r\n") == of((bare + b"\r\n").replace(b"\0", b"\x80"))
    assert of(bare) != of(bare + b"y") != of(bare + b"\r\n\r\n")
    whole = bare.replace(b"\0", b"\x80") + b"\r\n"
    assert of(whole) == hashlib.sha256(whole).digest()


@given(BODIES, st.sampled_from([b"binary", b" Binary ", b"BINARY"]))
def test_of_a_binary_message_nothing_is_folded(body: bytes, word: bytes) -> None:
    for start in (HEAD, b""):
        head = start + b"Content-Transfer-Encoding:" + word + b"\r\n\r\n"
        contents = {
            head + body + b"1\n2\r\n",
            head + body + b"1\r\n2\r\n",
            head + body + b"1\r\n2",
            head + body + b"1\r\n2\0",
            head + body + b"1\r\n2\x80",
        }
        assert len({of(content) for content in contents}) == 5


def test_of_a_binary_part_nothing_is_folded() -> None:
    part = b"\r\n--x\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    for start in (HEAD, b"Subject: x\r\n"):
        assert len({of(start + part + data) for data in (b"\n\0\r\n", b"\n\x80\r\n")}) == 2
    assert of(HEAD + part + b"a\nb\r\n") != of(HEAD + part + b"a\r\nb\r\n")


@given(st.sampled_from(sorted(identity.TRACE_FIELDS)), VALUES, VALUES, st.booleans())
def test_without_its_blank_line_no_line_of_a_message_is_a_trace(
    name: bytes, one: bytes, other: bytes, prose: bool
) -> None:
    """Nobody knows where the body begins, and what stands in a body is the message."""
    said = b"The decision is:\r\n" if prose else b""
    # Behind prose there may be a blank line as well, that of a paragraph.
    end = b"\r\nRegards\r\n" if prose else b""
    first, second = (HEAD + said + name + b": " + value + b"\r\n" + end for value in (one, other))
    assert (of(first) == of(second)) == (one == other)


def test_signatures_and_deliveries_are_told_by_the_header_alone() -> None:
    def told(content: bytes) -> tuple[bool, bool]:
        print_ = identity.fingerprint(content)
        assert identity.is_signed(header.block(content)) == print_.signed
        return print_.signed, print_.delivered

    assert told(MESSAGE) == (False, False)
    assert told(b"DKIM-Signature: v=1\r\n" + MESSAGE) == (True, False)
    assert told(b"ARC-Seal: i=1\r\nReceived: by mx\r\n" + MESSAGE) == (True, True)
    assert told(MESSAGE + b"Received: by mx\r\nDKIM-Signature: v=1\r\n") == (False, False)


@given(st.binary())
def test_any_bytes_have_an_identity_and_a_presence_key(content: bytes) -> None:
    assert len(of(content)) == 32
    assert len(identity.presence_key(content)) == 16
    identity.message_id_key(content).encode("ascii")
    identity.original_of(content)
    identity.same_message(content, content[::-1])
    assert identity.same_message(content, content)


def test_ugly_messages_are_all_different_messages() -> None:
    ugly = messages.ugly()
    assert len({of(content) for content in ugly.values()}) == len(ugly)


def test_a_message_id_groups_messages_only_where_there_is_exactly_one() -> None:
    assert identity.message_id_key(MESSAGE) == "<1@example.net>"
    assert identity.message_id_key(b"Message-ID: <gr\xfc\xdfe@b>\r\n\r\n") == "<grXXe@b>"
    assert identity.message_id_key(b"Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\n") == ""
    assert identity.message_id_key(b"\r\nMessage-ID: <a@b>\r\n") == ""


@pytest.mark.parametrize("content", [*messages.ugly().values(), *messages.varied(20, 3)])
def test_the_one_pass_for_storing_tells_what_each_question_alone_tells(content: bytes) -> None:
    head = header.block(content)
    print_ = identity.fingerprint(content)
    assert print_.digest == identity.digest(content)
    assert print_.identity == of(content)
    assert print_.message_id == identity.message_id_key(content)
    assert print_.presence == identity.presence_key(head)
    assert print_.header == identity.header_digest(head)
    assert print_.subject == (header.first(content, b"subject") or b"")
    assert print_.sender == (header.first(content, b"from") or b"")


# Presence


@given(FIELDS, TRACES)
def test_a_presence_key_survives_what_servers_do_to_a_header(fields: bytes, trace: bytes) -> None:
    head = HEAD + fields
    sent = key(head + b"\r\n")
    assert key(trace + head + b"\r\n") == sent
    assert key((head + b"\r\n").replace(b"\r\n", b"\n")) == sent
    assert key(head) == sent
    assert key(fields + HEAD + b"\r\n") == sent
    assert key(bytes(octet if octet < 128 else ord("X") for octet in head) + b"\r\n") == sent


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (b"Subject: gr\xc3\xbc\xc3\x9fe\r\n", b"Subject: grXXXXe\r\n"),
        (b"X-\xc9t\xe9: 1\r\n", b"X-XtX: 1\r\n"),
        (b"Message-ID: <gr\xfc\xdfe@b>\r\n", b"Message-ID: <grXXe@b>\r\n"),
        (b"X-One: 1\rX-Two: 2\r\n", b"X-One: 1X-Two: 2\r\n"),
        (b"X-One: 1\r\r\nX-Two: 2\r\n", b"X-One: 1\r\nX-Two: 2\r\n"),
        (b"X-On\re: 1\r\n", b"X-One: 1\r\n"),
        (b"\rX-One: 1\r\n", b"X-One: 1\r\n"),
        (b"X-One: 1\r\n\r\r\n", b"X-One: 1\r\n\r\n"),
        (b"X-Nul: a\0b\r\n", b"X-Nul: a\x80b\r\n"),
        (b"X-N\0l: a\r\n", b"X-N\x80l: a\r\n"),
        (b"Subject: one two three\r\n", b"Subject: one\r\n\ttwo\r\n three\r\n"),
        (b"Subject:one\r\n", b"Subject:   one \t\r\n"),
        (b"subject : one\r\n", b"SUBJECT: one\r\n"),
        (b"A: 1\r\nB: 2\r\n", b"B: 2\nA: 1\n"),
        (b"A: 1\r\n", b"A: 1\r\nX-Mailsync-Repaired: 00\r\nReceived: here\r\n"),
    ],
)
def test_a_header_is_recognised_whatever_its_server_made_of_it(ours: bytes, theirs: bytes) -> None:
    assert key(ours + b"\r\n") == key(theirs + b"\r\n")


@pytest.mark.parametrize(
    "other", [b"A: 2\r\n", b"B: 1\r\n", b"A: 1\r\nA: 1\r\n", b"A: 1\r\nB: 1\r\n", b""]
)
def test_another_header_has_another_presence_key(other: bytes) -> None:
    assert key(other + b"\r\n") != key(b"A: 1\r\n\r\n")


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        (MESSAGE, True),
        (b"Received: here\r\n" + MESSAGE, True),
        (MESSAGE.replace(b"\r\n", b"\n"), True),
        (MESSAGE + b"\r\n", True),
        (MESSAGE.replace(b"hello", b" hello"), True),
        (MESSAGE.replace(b"Some", b"Same"), False),
        (MESSAGE.replace(b"hello", b"hullo"), False),
        (MESSAGE.replace(b"bob@", b"rob@"), False),
        (MESSAGE.replace(b"1 Jun", b"2 Jun"), False),
    ],
)
def test_a_fetched_message_is_ours_when_subject_date_sender_and_body_are(
    theirs: bytes, same: bool
) -> None:
    assert identity.same_message(MESSAGE, theirs) is same


def test_bare_carriage_returns_and_nul_that_a_server_changed_do_not_make_another_message() -> None:
    assert identity.same_message(HEAD + b"\r\na\rb\0\r\n", HEAD + b"\r\nab\x80\r\n")


def test_messages_that_are_all_body_are_compared_whole() -> None:
    assert identity.same_message(b"no header at all", b"no header at all\r\n")
    assert not identity.same_message(b"no header at all", b"another one")


@pytest.mark.parametrize(
    ("head", "digest"),
    [
        (b"X-Mailsync-Repaired: 00ff \r\n", b"\x00\xff"),
        (b"X-Mailsync-Repaired: 0g\r\n", b""),
        (b"X-Mailsync-Repaired: \xff\r\n", b""),
        (b"", b""),
    ],
)
def test_a_repaired_copy_names_its_original(head: bytes, digest: bytes) -> None:
    assert identity.original_of(head + b"\r\n") == digest


def test_a_message_is_known_by_its_body_also_when_its_header_ends_elsewhere_without_bare_cr() -> (
    None
):
    ours = b"From: a\nTo: b\n\r\r\nSubject: c\r\n\r\nd\r\n"
    theirs = b"From: a\r\nTo: b\r\n\r\nSubject: c\r\n\r\nd\r\n"
    assert identity.same_message(ours, theirs)
    assert not identity.same_message(ours, theirs.replace(b"d", b"e"))


@pytest.mark.parametrize("line", [b"a\r\n", b"a:\n", b"Received: b\r\n", b" c\r\n", b"\r\r\n"])
def test_a_header_of_many_short_lines_takes_few_times_its_size_in_memory(line: bytes) -> None:
    head = b"Message-ID: <a@b>\r\nDate: x\r\n"
    content = head + line * (2_000_000 // len(line)) + b"\r\nbody\r\n"
    tracemalloc.start()
    try:
        identity.fingerprint(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(content)
