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
    assert preview.text(MIXED) == ["Schöne Grüße", "�[31mred", "", "[application/pdf, a.pdf, 3 B]"]


def test_a_message_with_html_alone_is_shown_as_text() -> None:
    message = (
        b"Content-Type: text/html; charset=utf-8\r\n\r\n<style>p{}</style><p>One &amp;"
        b" two</p><script>x()</script><p>three</p>"
    )
    assert preview.text(message) == ["One & two", "three"]


def test_plain_text_is_preferred_to_html() -> None:
    message = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/alternative;"
        b" boundary=b\r\n\r\n--b\r\nContent-Type:"
        b" text/html\r\n\r\n<p>html</p>\r\n--b\r\nContent-Type:"
        b" text/plain\r\n\r\nplain\r\n--b--\r\n"
    )
    assert preview.text(message) == ["plain", "", "[text/html, 11 B]"]


def test_an_unknown_charset_is_no_reason_to_show_nothing() -> None:
    assert preview.text(b"Content-Type: text/plain; charset=klingon\r\n\r\nnuqneH") == ["nuqneH"]


def test_a_message_without_headers_is_shown() -> None:
    assert preview.text(b"\r\njust words\r\n") == ["just words"]
    assert preview.headers(b"\r\njust words\r\n") == {}


@given(st.binary(max_size=400))
def test_any_bytes_can_be_shown_without_steering_the_terminal(content: bytes) -> None:
    shown = [*preview.headers(content).values(), *preview.text(content)]
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
    assert isinstance(preview.text(content), list)
