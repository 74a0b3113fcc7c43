from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailsync.app import preview

MIXED = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"
    b" folded\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;"
    b' boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain;'
    b" charset=latin-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne"
    b" Gr=FC=DFe\r\n\x1b[31mred\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition:"
    b' attachment; filename="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n'
)


def test_headers_are_decoded_and_unfolded() -> None:
    assert preview.headers(MIXED) == {"From": "Jürgen <j@example.org>", "Subject": "Grüße folded"}


def test_the_text_is_decoded_attachments_are_named_and_escapes_are_harmless() -> None:
    reading = preview.read(MIXED)
    assert reading.lines == ["Schöne Grüße", "�[31mred"]
    (attached,) = reading.attachments
    assert (attached.name, attached.kind) == ("a.pdf", "application/pdf")
    assert attached.content == bytes(3)


def test_a_message_with_html_alone_is_shown_as_text() -> None:
    message = (
        b"Content-Type: text/html; charset=utf-8\r\n\r\n<style>p{}</style><p>One &amp;"
        b" two</p><script>x()</script><p>three</p>"
    )
    assert preview.read(message).lines == ["One & two", "", "three"]


def test_plain_text_is_preferred_to_html() -> None:
    message = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/alternative;"
        b" boundary=b\r\n\r\n--b\r\nContent-Type:"
        b" text/html\r\n\r\n<p>html</p>\r\n--b\r\nContent-Type:"
        b" text/plain\r\n\r\nplain\r\n--b--\r\n"
    )
    assert preview.read(message) == preview.Reading(["plain"])


def test_html_is_read_where_the_plain_form_says_nothing() -> None:
    message = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\n \r\n"
        b"--b\r\nContent-Type: multipart/related; boundary=c\r\n\r\n"
        b"--c\r\nContent-Type: text/html\r\n\r\n<a href=https://evil.example>bank</a>\r\n"
        b"--c\r\nContent-Type: image/png\r\n\r\npng\r\n--c--\r\n--b--\r\n"
    )
    reading = preview.read(message)
    assert (reading.lines, reading.links) == (["bank [1]"], ["https://evil.example"])
    assert [one.name for one in reading.attachments] == ["attachment 1.png"]


def test_texts_one_after_the_other_are_read_and_a_message_within_is_attached() -> None:
    message = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nmine\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: a/b\r\n\r\ninner\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nthe list's\r\n--b--\r\n"
    )
    reading = preview.read(message)
    assert reading.lines == ["mine", "", "the list's"]
    (inner,) = reading.attachments
    assert (inner.name, inner.kind) == ("b.eml", "message/rfc822")
    assert inner.content.replace(b"\r\n", b"\n").rstrip() == b"Subject: a/b\n\ninner"


def test_an_unknown_charset_is_no_reason_to_show_nothing() -> None:
    assert preview.read(b"Content-Type: text/plain; charset=klingon\r\n\r\nnuqneH").lines == [
        "nuqneH"
    ]


def test_a_message_without_headers_is_shown() -> None:
    assert preview.read(b"\r\njust words\r\n").lines == ["just words"]
    assert preview.headers(b"\r\njust words\r\n") == {}


@given(st.binary(max_size=400))
def test_any_bytes_can_be_shown_without_steering_the_terminal(content: bytes) -> None:
    reading = preview.read(content)
    names = [one.name for one in reading.attachments]
    shown = [*preview.headers(content).values(), *reading.lines, *reading.links, *names]
    assert not any(ord(one) < 32 for line in shown for one in line)


@given(
    st.sampled_from(
        [
            b"text/plain",
            b"multipart/mixed; boundary=b",
            b"text/html; charset=utf-16",
            b"message/rfc822",
            b"x; =;",
            b"text/plain; charset=\xff",
        ]
    ),
    st.sampled_from([b"base64", b"quoted-printable", b"uuencode", b"8bit", b"\xff"]),
    st.binary(max_size=100),
)
def test_any_claim_about_a_body_is_survived(kind: bytes, encoding: bytes, body: bytes) -> None:
    content = (
        b"Content-Type: "
        + kind
        + b"\r\nContent-Transfer-Encoding: "
        + encoding
        + b"\r\n\r\n--b\r\n\r\n"
        + body
    )
    assert isinstance(preview.read(content).lines, list)
