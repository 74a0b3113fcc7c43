"""Messages that a server takes apart and writes anew hold the same parts."""

from __future__ import annotations

import base64
import re

from hypothesis import given
from hypothesis import strategies as st

from mailsync import identity
from mailsync.formats.mime import parts_digest

HEAD = b"Message-ID: <1@x>\r\nDate: Mon, 1 Jan 2018 10:00:00 +0000\r\nFrom: a@example.org\r\n"


def mixed(boundary: bytes, text: bytes, file: bytes, width: int) -> bytes:
    encoded = base64.b64encode(file)
    lines = [encoded[start : start + width] for start in range(0, len(encoded), width)]
    return HEAD + (
        b"Content-Type: multipart/mixed; boundary="
        + boundary
        + b"\r\n\r\n--"
        + boundary
        + b"\r\nContent-Type: text/plain; charset=utf-8\r\n"
        + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        + text
        + b"\r\n--"
        + boundary
        + b"\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + b"\r\n".join(lines)
        + b"\r\n--"
        + boundary
        + b"--\r\n"
    )


def same(ours: bytes, theirs: bytes) -> bool:
    return identity.is_copy(identity.stored_form(ours), identity.stored_form(theirs))


def test_other_boundaries_and_encodings_make_no_other_message() -> None:
    ours = mixed(b"one", b"Gr=C3=BC=C3=9Fe", bytes(range(200)), 76)
    theirs = mixed(b"two", b"Gr=C3=BC=\r\n=C3=9Fe \r\n", bytes(range(200)), 60)
    assert same(ours, theirs)


def test_another_attachment_or_another_word_does() -> None:
    ours = mixed(b"one", b"word", b"file", 76)
    assert not same(ours, mixed(b"one", b"word", b"fire", 76))
    assert not same(ours, mixed(b"one", b"ward", b"file", 76))
    assert not same(ours, ours[: ours.index(b"application") - 20])


TEXT = HEAD + b"To: Bob <bob@x>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"


def test_words_that_run_together_and_octets_that_are_gone_do() -> None:
    ours = TEXT + "I will pay, voilà, now here.\r\n".encode()
    for gone in (b" ", b"\xa0"):
        assert not same(ours, TEXT + ours[len(TEXT) :].translate(None, gone))
    assert same(ours, ours.replace(b"I will ", b"I   will\r\n"))


def test_a_header_by_which_the_body_is_read_otherwise_does() -> None:
    ours = mixed(b"one", b"word", b"file", 76)
    assert not same(ours, ours.replace(b"Content-Type: multipart", b"X-ontent-Type: multipart", 1))
    assert not same(ours, re.sub(rb"Content-Type: multipart[^\r]*\r\n", b"", ours))


def test_other_recipients_do_but_where_there_were_none() -> None:
    ours = TEXT + b"word\r\n"
    assert not same(ours, ours.replace(b"To: Bob <bob@x>\r\n", b""))
    assert same(ours.replace(b"To: Bob <bob@x>\r\n", b""), ours)


def test_a_message_that_is_too_much_work_is_compared_by_its_octets_alone() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (one, one)
        for one in range(400)
    )
    content = HEAD + deep + b"line\r\n" * 60_000
    assert parts_digest(content) == b""
    assert same(content, content)


def test_what_holds_nothing_is_like_nothing() -> None:
    assert parts_digest(HEAD + b"\r\n") == b""


@given(st.binary())
def test_any_octets_may_be_read(content: bytes) -> None:
    parts_digest(content)
    parts_digest(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + content)
    parts_digest(b"Content-Transfer-Encoding: x-uuencode\r\nContent-Type: " + content)
