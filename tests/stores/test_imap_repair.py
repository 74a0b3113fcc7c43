"""Repaired copies: whatever the message, any server should take the copy, and a person would call
it the same message.
"""

from __future__ import annotations

import binascii
import email
import email.policy
import hashlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailsync.formats import header
from mailsync.identity import original_of
from mailsync.stores.imap.repair import LINE_LIMIT, repaired
from tests import messages

UGLY = messages.ugly()

PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"Subject: ",
        b"From: ",
        b"Gr\xfc\xdfe",
        "手紙".encode(),
        b"x" * 1200,
        b"<a@b>",
        b'"',
    ]
)
MESSAGES = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(PIECES, st.binary(max_size=12)), max_size=30).map(b"".join),
)


def head(text: bytes, body: bytes = b"Some text.\r\n") -> bytes:
    return text + b"Message-ID: <1@example.net>\r\n\r\n" + body


def copy_of(content: bytes) -> bytes:
    made = repaired(content)
    assert made is not None
    return made[0]


def read(content: bytes) -> email.message.EmailMessage:
    """Read a message as a mail program would."""
    return email.message_from_bytes(content, policy=email.policy.default)


@settings(max_examples=400, deadline=None)
@given(MESSAGES)
@example(b"From: Bob <bob@example.net>\r\nSubject: cut in th")
@example(b"X: 1\r\r\nY: 2\r\n\r\n")
@example(b"X: " + b" " * 3000 + b"y\r\n\r\n")
@example(b"\0")
@example(b"\r\r\n" + b"x" * 1200 + b":")
@example(b"x" * 997 + b":y\r\n\r\n")
@example(b"x" * 900 + b" " * 200 + b":y\r\n\r\n")
def test_a_repaired_copy_is_what_the_strictest_server_takes(content: bytes) -> None:
    made = repaired(content)
    if made is None:
        made = content, "sent as a repaired copy: unchanged"
    copy, words = made
    block = header.block(copy)
    assert block.endswith(b"\r\n\r\n")
    assert block.isascii()
    assert b"\0" not in copy
    assert b"\r" not in copy.replace(b"\r\n", b"")
    assert b"\n" not in copy.replace(b"\r\n", b"")
    assert max(map(len, copy.split(b"\r\n"))) <= LINE_LIMIT
    assert all(line[:1] in {b" ", b"\t"} or b":" in line for line in block.split(b"\r\n") if line)
    assert words.startswith("sent as a repaired copy: ")


@settings(max_examples=300, deadline=None)
@given(MESSAGES)
def test_a_repaired_copy_needs_no_repair_and_names_its_original(content: bytes) -> None:
    made = repaired(content)
    if made is not None:
        assert repaired(made[0]) is None
        assert original_of(header.block(made[0])) == hashlib.sha256(content).digest()


@pytest.mark.parametrize("name", UGLY)
def test_an_ugly_message_keeps_its_sender_subject_and_body(name: str) -> None:
    content = UGLY[name]
    made = repaired(content)
    if made is None or not list(header.fields(content)):
        return
    copy = made[0]
    for field in (b"from", b"date", b"subject"):
        assert [value.strip() for value in header.all_(copy, field)] == [
            value.strip() for value in header.all_(content, field)
        ]
    assert original_of(copy) == hashlib.sha256(content).digest()


def test_an_ordinary_message_is_left_alone() -> None:
    assert all(repaired(messages.plain(number)) is None for number in range(20))


def test_an_empty_message_becomes_one_with_a_subject() -> None:
    copy, words = repaired(b"") or (b"", "")
    assert header.first(copy, b"subject") == b" (empty message)"
    assert "empty" in words


def test_text_without_any_header_stays_text() -> None:
    assert copy_of(UGLY["no_header_but_text"]).endswith(b"\r\n\r\n" + UGLY["no_header_but_text"])


def test_a_header_cut_off_in_a_line_keeps_that_line_whole() -> None:
    assert header.first(copy_of(UGLY["header_cut_in_a_line"]), b"subject") == b" cut in th"


def test_a_cr_before_a_line_end_in_the_header_does_not_end_the_header() -> None:
    copy = copy_of(b"Subject: one\r\r\nX-Two: two\r\n\r\nbody\r\n")
    assert header.first(copy, b"x-two") == b" two"


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_an_8_bit_subject_reads_as_before(charset: str) -> None:
    copy = copy_of(head("Subject: Re: Grüße aus Köln am Rhein\r\n".encode(charset)))
    assert read(copy)["Subject"] == "Re: Grüße aus Köln am Rhein"


def test_encoded_words_that_were_there_are_not_encoded_again() -> None:
    copy = copy_of(
        head(
            "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= überall "
            "=?utf-8?Q?Gr=C3=BC=C3=9Fe?= x\r\n".encode()
        )
    )
    assert header.text(header.first(copy, b"subject") or b"") == "Grüße überall Grüße x"


@given(
    st.text(
        alphabet=st.characters(min_codepoint=33, exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]),
        min_size=1,
        max_size=200,
    )
)
@settings(max_examples=200, deadline=None)
def test_every_8_bit_text_is_decoded_to_what_it_was(text: str) -> None:
    copy = repaired(head(b"X-Text: \xc3\xbc " + text.encode() + b" \xc3\xbc\r\n"))
    assert copy is not None
    if "=?" not in text:
        decoded = b"".join(
            part if isinstance(part, bytes) else part.encode() for part, _ in _parts(copy[0])
        )
        assert decoded.decode().replace(" ", "") == f"ü{text}ü"


def _parts(copy: bytes) -> list[tuple[bytes | str, str | None]]:
    from email.header import decode_header  # noqa: PLC0415  only this test decodes by itself

    return decode_header(
        (header.first(copy, b"x-text") or b"").decode("ascii").replace("\r\n ", " ").strip()
    )


def test_an_8_bit_name_leaves_the_address_usable() -> None:
    copy = copy_of(
        head(
            'From: "Müller, Jürgen" <j@example.net>\r\nTo: Zoë Ärger <z@example.net>, Bob'
            " <b@example.net>\r\n".encode()
        )
    )
    message = read(copy)
    assert [(one.display_name, one.addr_spec) for one in message["From"].addresses] == [
        ("Müller, Jürgen", "j@example.net")
    ]
    assert [one.addr_spec for one in message["To"].addresses] == ["z@example.net", "b@example.net"]
    assert message["To"].addresses[0].display_name == "Zoë Ärger"


def test_an_8_bit_file_name_leaves_the_attachment_one() -> None:
    text = (
        'Content-Type: application/pdf; name="Grüße.pdf"\r\nContent-Disposition: attachment;'
        ' filename="Grüße.pdf"\r\n'
    )
    message = read(copy_of(head(b"MIME-Version: 1.0\r\n" + text.encode())))
    assert message.get_content_type() == "application/pdf"
    assert message.get_filename() == "Grüße.pdf"


def test_an_8_bit_message_id_becomes_what_cyrus_would_make_of_it() -> None:
    assert b"Message-ID: <ugly.grXXe@example.net>\r\n" in copy_of(UGLY["id_8bit"])


@pytest.mark.parametrize("name", ["nul_in_body", "long_line", "very_long_line", "utf16"])
def test_a_text_is_decoded_to_the_same_octets(name: str) -> None:
    copy = copy_of(UGLY[name])
    assert header.first(copy, b"content-transfer-encoding") == b" quoted-printable"
    body = copy[len(header.block(copy)) :]
    assert binascii.a2b_qp(body) == UGLY[name][len(header.block(UGLY[name])) :]


def test_long_quoted_printable_lines_decode_to_the_same_text() -> None:
    body = b"=C3=BC" * 700 + b"\r\nend\r\n"
    content = head(b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n", body)
    copy = copy_of(content)
    assert binascii.a2b_qp(copy[len(header.block(copy)) :]) == binascii.a2b_qp(body)


def test_a_long_line_within_a_part_reads_as_before() -> None:
    body = (
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + "手".encode() * 900
        + b"\r\n--b--\r\n"
    )
    copy = copy_of(
        head(b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n', body)
    )
    (part,) = read(copy).iter_parts()
    assert part.get_content() == "手" * 900
