"""Messages that a server takes apart and writes anew hold the same parts."""

from __future__ import annotations

import base64

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


def test_what_holds_nothing_is_like_nothing() -> None:
    assert parts_digest(HEAD + b"\r\n") == b""


@given(st.binary())
def test_any_octets_may_be_read(content: bytes) -> None:
    parts_digest(content)
    parts_digest(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + content)
    parts_digest(b"Content-Transfer-Encoding: x-uuencode\r\nContent-Type: " + content)
