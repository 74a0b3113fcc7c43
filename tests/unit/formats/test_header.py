"""Headers are read from any bytes, never raising, and shown without harm to a terminal."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailsync.formats import header
from tests import messages
from tests.growth import LINEAR, TIMES, growth

MAIL = st.lists(
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b":",
            b"Subject",
            b"Message-ID: <a@b>",
            b"Received: x; ",
            b"Date: ",
            b"=?utf-8?q?",
            b"?=",
        ]
    )
    | st.sampled_from([b"Mon, 1 Jun 2015 00:00:00 +0000", b"<", b">", b"(", b")", b"From x", b"\0"])
    | st.binary(max_size=12)
).map(b"".join)
NOW = 1_700_000_000
SIZE = 320_000


@given(MAIL)
def test_no_bytes_make_the_readers_raise(content: bytes) -> None:
    head = header.block(content)
    assert content.startswith(head)
    for name, value in header.fields(content):
        assert name == name.lower()
        assert name in content.lower()
        assert value in content
        header.text(value)
        header.message_id(value)
    header.message_ids(content)
    moment = header.received_or_date(content, NOW)
    assert moment is None or 86_400 <= moment <= NOW + 2 * 86_400


@given(MAIL)
def test_the_fields_are_those_of_the_header_block_alone(content: bytes) -> None:
    head = header.block(content)
    assert list(header.fields(head)) == list(header.fields(content))
    assert header.block(head) == head
    assert header.block(head + b"Subject: body\r\n\r\n")[: len(head)] == head


@pytest.mark.parametrize(
    ("content", "head"),
    [
        (b"", b""),
        (b"\r\nbody", b"\r\n"),
        (b"\nbody", b"\n"),
        (b"A: 1\r\n\r\nbody\r\n\r\n", b"A: 1\r\n\r\n"),
        (b"A: 1\n\nbody\r\n\r\n", b"A: 1\n\n"),
        (b"A: 1\r\n\nbody", b"A: 1\r\n\n"),
        (b"A: 1\n\r\nbody", b"A: 1\n\r\n"),
        (b"A: 1\r\n \r\nB: 2\r\n\r\nbody", b"A: 1\r\n \r\nB: 2\r\n\r\n"),
        (b"A: 1\r\nno blank line", b"A: 1\r\nno blank line"),
    ],
)
def test_the_header_ends_with_the_first_empty_line(content: bytes, head: bytes) -> None:
    assert header.block(content) == head


def test_fields_keep_their_folding_and_lines_that_are_none_are_passed_over() -> None:
    content = (
        b"From bob Tue\r\nA: 1\r\n\t2\r\n  \r\nno colon\r\nb : 3\n:"
        b" nameless\r\nC\xe9:\r\nA:4\r\r\n\r\nD: body"
    )
    assert list(header.fields(content)) == [
        (b"a", b" 1\r\n\t2\r\n  "),
        (b"b", b" 3"),
        (b"c\xe9", b""),
        (b"a", b"4"),
    ]
    assert header.first(content, b"a") == b" 1\r\n\t2\r\n  "
    assert header.all_(content, b"a") == [b" 1\r\n\t2\r\n  ", b"4"]
    assert header.first(content, b"d") is None


@given(MAIL)
def test_nothing_of_a_header_is_in_no_piece(content: bytes) -> None:
    told = list(header.pieces(content))
    assert [piece for piece in told if piece[0]] == list(header.fields(content))
    seen = b"".join(name + value for name, value in told)
    head = header.block(content)
    if not head.startswith((b"From ", b">From ")):
        assert sorted(seen.translate(None, b": \t\r\n")) == sorted(
            _lowered_names(head).translate(None, b": \t\r\n")
        )


def _lowered_names(head: bytes) -> bytes:
    names = re.compile(rb"^[!-9;-~\x80-\xff]+(?=[ \t]*:)", re.MULTILINE)
    return names.sub(lambda found: found[0].lower(), head)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b" <a@b>", b"<a@b>"),
        (b"\r\n <a@b>\r\n ", b"<a@b>"),
        (b" (by hand) <a@b> (really)", b"<a@b>"),
        (b" < a b @ c >", b"<ab@c>"),
        (b" a@b", b"a@b"),
        (b" a@b (comment)", b"a@b"),
        (b" <gr\xfc\xdf@b>", b"<gr\xfc\xdf@b>"),
        (b" <>", b""),
        (b"  ", b""),
        (b" ><", b"><"),
        (b" <a", b"<a"),
    ],
)
def test_a_message_id_is_read_without_folding_and_comments(value: bytes, found: bytes) -> None:
    assert header.message_id(value) == found


def test_empty_message_ids_are_none() -> None:
    assert header.message_ids(b"Message-ID:\r\nMESSAGE-ID: <A@b>\r\nMessage-Id: <c@d>\r\n\r\n") == [
        b"<A@b>",
        b"<c@d>",
    ]


CHARSETS = [
    "utf-8",
    "utf-7",
    "utf-16",
    "unicode_escape",
    "idna",
    "punycode",
    "undefined",
    "base64",
    "rot13",
    "x" * 99,
    "a\0b",
    "mbcs",
    "",
    "*",
]


@given(st.sampled_from(CHARSETS), st.sampled_from("qQbBx"), st.binary(max_size=30))
@example("utf-7", "q", b"+2AA-")
@example("unicode_escape", "b", b"XHVkODAw")
@example("unicode_escape", "q", b"\\q")
@example("utf-8", "b", b"\xff")
@example("utf-8", "b", b"abc")
def test_what_is_shown_is_one_line_of_harmless_text_that_can_be_written(
    charset: str, encoding: str, octets: bytes
) -> None:
    shown = header.text(
        b" =?"
        + charset.encode()
        + b"?"
        + encoding.encode()
        + b"?"
        + octets
        + b"?= \xc3\xa9\r\n \x1b[31m"
        + octets
    )
    shown.encode()
    assert not [char for char in shown if unicodedata.category(char) in {"Cc", "Cs"}]
    assert not set(shown) & set("\u200e\u202e\u2066\ufeff")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b" plain\r\n  folded", "plain folded"),
        (b"=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?iso-8859-1?Q?Gr=FC=DFe?= =?iso-8859-1?Q?_und?=", "Grüße und"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
        (b"=?no-such?Q?=FC?=", "ü"),
        (b"=?utf-8?B?w?=", "=?utf-8?B?w?="),
        (b"a =? b", "a =? b"),
        (b"\x1b]0;title\x07red", "]0;title red"),
    ],
)
def test_text_for_people_is_decoded(value: bytes, shown: str) -> None:
    assert header.text(value) == shown


def test_a_long_value_is_cut_without_spoiling_what_is_left() -> None:
    shown = header.text("ü".encode() * 40_000)
    assert set(shown) <= {"ü"}
    assert len(header.text(b"a" + "ü".encode() * 40_000)) <= 10_000
    assert set(header.text(b"a" + "ü".encode() * 40_000)) == {"a", "ü"}


@pytest.mark.parametrize(
    ("head", "moment"),
    [
        (b"Date: Mon, 1 Jun 2015 00:00:00 +0000\r\n", 1_433_116_800),
        (
            (
                b"Received: a; Mon, 1 Jun 2015 00:00:01 +0000\r\nDate: Mon, 1 Jun 2015 00:00:00"
                b" +0000\r\n"
            ),
            1_433_116_801,
        ),
        (
            (
                b"Received: a;\r\n\tMon, 1 Jun 2015\r\n 00:00:01 +0000\r\nReceived: b; Mon, 1 Jun"
                b" 2015 00:00:09 +0000\r\n"
            ),
            1_433_116_801,
        ),
        (b"Received: a; b; never\r\nDate: Mon, 1 Jun 2015 02:00:00 +0200\r\n", 1_433_116_800),
        (b"Received: no semicolon\r\nDate: Mon, 1 Jun 2015 00:00:00 +0000\r\n", 1_433_116_800),
        (b"Received:\r\nDate: Sat, 30 Dec 1899 00:00:00 +0000\r\n", None),
        (b"Date: Fri, 1 Jan 2094 00:00:00 +0000\r\n", None),
        (b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n", None),
        (b"Date: Mon, 1 Jun " + b"9" * 100 + b" 00:00:00 +0000\r\n", None),
        (b"Date: 1 Jun 2015 00:00:00 +" + b"9" * 100 + b"\r\n", None),
        (b"Date: yesterday\r\n", None),
        (b"", None),
    ],
)
def test_a_message_arrived_when_its_top_received_or_its_date_says_if_that_can_be(
    head: bytes, moment: int | None
) -> None:
    assert header.received_or_date(head + b"\r\n", NOW) == moment


@pytest.mark.parametrize("content", messages.ugly().values(), ids=messages.ugly().keys())
def test_every_ugly_message_can_be_read(content: bytes) -> None:
    for _, value in header.fields(content):
        header.text(value).encode()
    header.message_ids(content)
    header.received_or_date(content, NOW)


@pytest.mark.parametrize(
    "piece",
    [
        b"A: 1\r\n",
        b" \r\n",
        b"x",
        b"(",
        b"<",
        b"=?utf-8?q?a?= ",
        b"\r",
        b"From a\r\n",
        b"a: =?\r\n",
    ],
)
def test_reading_anything_costs_no_more_than_its_size_says(piece: bytes) -> None:
    contents = {
        size: b"Message-ID: " + piece * (size // len(piece)) for size in (SIZE, SIZE // TIMES)
    }

    def read(size: int) -> None:
        content = contents[size]
        header.block(content)
        for _, value in header.fields(content):
            header.message_id(value)
        header.text(content)
        header.received_or_date(b"Date: " + content, NOW)

    assert growth(read, SIZE) < LINEAR


def test_a_header_of_very_many_lines_keeps_every_octet_in_few_pieces() -> None:
    head = b"Subject: a\r\n" + b"x\r\n" * 100_000 + b"To: b\r\n\r\n"
    found = list(header.pieces(head))
    assert len(found) == header.LINES_LIMIT + 1
    assert found[0] == (b"subject", b" a")
    assert found[-1][0] == b""
    assert found[-1][1].endswith(b"x\r\nTo: b")
    assert sum(value.count(b"x") for _, value in found) == 100_000


def test_a_message_id_longer_than_any_is_none() -> None:
    assert header.message_ids(b"Message-ID: <%b@b>\r\n\r\n" % (b"a" * 1_000_000)) == []
