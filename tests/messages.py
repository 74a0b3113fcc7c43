"""Messages to try things on: a plain one, every ugly kind met in the wild, and seeded mailboxes
that look like a person's mail.

Bytes as a server would send them: CRLF line ends, unless the line end is what is ugly. Nothing here
reads a clock or the network, and nothing but the standard library is imported, so that the demo can
fill a mailbox with it too.
"""

from __future__ import annotations

import base64
import math
import quopri
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

_BORN: Final = datetime(2004, 1, 5, 8, 0, tzinfo=UTC)
_DAYS: Final = 20 * 365
_LARGEST: Final = 400_000
_VOCABULARY: Final = (
    "the of and to in is that for it as was with be by on not he his but at are this have from or"
    " had an they which you were message meeting invoice holiday garden archive river morning"
    " number winter table question answer project travel report Grüße café naïve Ärger Øre señor"
    " год время 手紙 会議 🙂"
)
_WORDS: Final = _VOCABULARY.split()
_ASCII_WORDS: Final = [word for word in _WORDS if word.isascii()]


def plain(n: int) -> bytes:
    """Make the n-th ordinary message: short, ASCII, one Message-ID, one Date; different for every
    n.
    """
    date = format_datetime(_BORN + timedelta(hours=n))
    return (
        f"Received: from mx.example.org by mail.example.org with ESMTP id {n:08x}; {date}\r\n"
        f"Date: {date}\r\n"
        f"From: Correspondent <c{n % 97}@example.org>\r\n"
        "To: Alice <alice@example.org>\r\n"
        f"Subject: Message number {n}\r\n"
        f"Message-ID: <plain.{n}@example.org>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n"
        f"This is message number {n}.\r\n"
        "It has a second line.\r\n"
    ).encode()


def varied(count: int, seed: int, *, with_ugly: bool = True) -> list[bytes]:
    """Make `count` messages, no two alike, as a grown mailbox holds them: median a few KB, some
    with attachments of hundreds of KB.

    With `with_ugly` the messages of `ugly()` are strewn among them, each once, as many as make up
    at most a quarter. The same arguments make the same messages.
    """
    rng = random.Random(seed)
    strewn = list(ugly().values()) if with_ugly else []
    rng.shuffle(strewn)
    strewn = strewn[: count // 4]
    made = [_realistic(rng, seed, number) for number in range(count - len(strewn))]
    messages = made + strewn
    rng.shuffle(messages)
    return messages


def _realistic(rng: random.Random, seed: int, number: int) -> bytes:
    size = min(_LARGEST, max(700, int(rng.lognormvariate(math.log(5_000), 1.6))))
    kinds: list[Callable[[random.Random, int], bytes]] = [
        _text_8bit,
        _text_quoted,
        _text_ascii,
        _alternative,
        _forwarded,
    ]
    kind = rng.choice(kinds) if size < 20_000 else _attachment
    head = _head(rng, seed, number)
    return head + kind(rng, max(1, size - len(head)))


def _head(rng: random.Random, seed: int, number: int) -> bytes:
    date = _BORN + timedelta(seconds=rng.randrange(_DAYS * 86_400))
    sent = format_datetime(date - timedelta(seconds=rng.randrange(2, 90)))
    reply = (
        f"In-Reply-To: <{seed}.{rng.randrange(number)}.x@example.org>\r\n"
        if number and rng.random() < 0.3
        else ""
    )
    mailing_list = (
        "List-Id: Gardeners <garden.lists.example.org>\r\nPrecedence: list\r\n"
        if rng.random() < 0.2
        else ""
    )
    return (
        f"Return-Path: <c{number}@example.net>\r\nDelivered-To: alice@example.org\r\nReceived: from"
        f" mx{rng.randrange(9)}.example.org (mx.example.org"
        f" [192.0.2.{rng.randrange(1, 255)}])\r\n\tby mail.example.org with ESMTPS id"
        f" {rng.getrandbits(60):015x};\r\n\t{format_datetime(date)}\r\nDate: {sent}\r\nFrom:"
        f" {_encoded_word(rng.choice(_WORDS) + ' ' + rng.choice(_WORDS))}"
        f" <c{rng.randrange(200)}@example.net>\r\nTo: Alice <alice@example.org>\r\nSubject:"
        f" {_encoded_word(' '.join(rng.choices(_WORDS, k=rng.randrange(1, 7))))}\r\nMessage-ID:"
        f" <{seed}.{number}.{rng.getrandbits(48):012x}@example.net>\r\n{reply}{mailing_list}"
        "MIME-Version: 1.0\r\n"
    ).encode()


def _encoded_word(text: str) -> str:
    return text if text.isascii() else f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def _prose(rng: random.Random, octets: int, words: list[str]) -> bytes:
    """About so many octets of lines; some begin with a dot or with `From `, as messages really
    do."""
    lines: list[bytes] = []
    have = 0
    while have < octets:
        start = rng.choice(["", "", "", "", "", "", "> ", ".", "From ", "-- "])
        line = (start + " ".join(rng.choices(words, k=10))).encode()
        lines.append(line if rng.random() > 0.1 else b"")
        have += len(lines[-1]) + 2
    return b"\r\n".join(lines) + b"\r\n"


def _text_ascii(rng: random.Random, octets: int) -> bytes:
    return b"Content-Type: text/plain\r\n\r\n" + _prose(rng, octets, _ASCII_WORDS)


def _text_8bit(rng: random.Random, octets: int) -> bytes:
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + _prose(rng, octets, _WORDS)
    )


def _text_quoted(rng: random.Random, octets: int) -> bytes:
    head = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding:"
        b" quoted-printable\r\n\r\n"
    )
    prose = _prose(rng, octets // 2, _WORDS).replace(b"\r\n", b"\n")
    return head + quopri.encodestring(prose).replace(b"\n", b"\r\n")


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def _multipart(subtype: str, rng: random.Random, *parts: bytes) -> bytes:
    boundary = f"=_{rng.getrandbits(64):016x}".encode()
    head = (
        b"Content-Type: multipart/" + subtype.encode() + b'; boundary="' + boundary + b'"\r\n\r\n'
    )
    return (
        head
        + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
        + b"--"
        + boundary
        + b"--\r\n"
    )


def _alternative(rng: random.Random, octets: int) -> bytes:
    html = b"<html><body><p>" + _prose(rng, octets // 2, _ASCII_WORDS) + b"</p></body></html>\r\n"
    return _multipart(
        "alternative", rng, _text_8bit(rng, octets // 2), b"Content-Type: text/html\r\n\r\n" + html
    )


def _attachment(rng: random.Random, octets: int) -> bytes:
    head = (
        b'Content-Type: application/pdf; name="report.pdf"\r\nContent-Transfer-Encoding:'
        b" base64\r\n\r\n"
    )
    return _multipart(
        "mixed", rng, _text_quoted(rng, 1_000), head + _base64(rng.randbytes(octets * 37 // 51))
    )


def _forwarded(rng: random.Random, octets: int) -> bytes:
    inner = plain(rng.randrange(10_000)) + _prose(rng, octets, _ASCII_WORDS)
    return _multipart(
        "mixed", rng, _text_ascii(rng, 200), b"Content-Type: message/rfc822\r\n\r\n" + inner
    )


def ugly() -> dict[str, bytes]:
    """Name and make every ugly kind of message, each different from all others; some share a
    Message-ID because that is the point.
    """
    return (
        _ugly_frames()
        | _ugly_line_ends()
        | _ugly_ids()
        | _ugly_headers()
        | _ugly_dates()
        | _ugly_bodies()
    )


def _message(
    name: str,
    *,
    head: bytes = b"",
    body: bytes = b"Some text.\r\n",
    message_id: bool = True,
    date: bool = True,
) -> bytes:
    """An otherwise ordinary message with extra header lines and a body of its own."""
    return (
        (b"Date: Tue, 3 Jun 2014 10:11:12 +0200\r\n" if date else b"")
        + b"From: Bob <bob@example.net>\r\nTo: Alice <alice@example.org>\r\nSubject: "
        + name.encode()
        + b"\r\n"
        + (b"Message-ID: <ugly." + name.encode() + b"@example.net>\r\n" if message_id else b"")
        + head
        + b"\r\n"
        + body
    )


def _ugly_frames() -> dict[str, bytes]:
    """Where header and body are not what they should be."""
    head = _message("frames", body=b"")[:-2]
    return {
        "empty": b"",
        "one_line_end": b"\r\n",
        "one_octet": b"x",
        "body_without_header": b"\r\nOnly a body.\r\n",
        "header_without_blank_line": head.replace(b"frames", b"no-blank-line"),
        "header_without_body": head.replace(b"frames", b"no-body") + b"\r\n",
        "header_cut_in_a_line": b"From: Bob <bob@example.net>\r\nSubject: cut in th",
        "no_header_but_text": b"This is no header at all\r\nand this neither.\r\n",
        "mbox_from_line_first": (
            b"From bob@example.net Tue Jun  3 10:11:12 2014\r\n" + _message("mbox-from-line")
        ),
        "blank_line_of_spaces": (
            _message("blank-line-of-spaces", body=b"")[:-2] + b"  \r\nBody?\r\n"
        ),
    }


def _ugly_line_ends() -> dict[str, bytes]:
    return {
        "only_bare_lf": _message("only-bare-lf", body=b"one\r\ntwo\r\n").replace(b"\r\n", b"\n"),
        "bare_lf_in_body": _message("bare-lf-in-body", body=b"one\ntwo\n\nthree\r\n"),
        "bare_lf_in_header": _message("bare-lf-in-header", head=b"X-One: 1\nX-Two: 2\r\n"),
        "bare_cr_in_body": _message("bare-cr-in-body", body=b"one\rtwo\r\r\nthree\r\n"),
        "bare_cr_in_header": _message("bare-cr-in-header", head=b"X-One: 1\rX-Two: 2\r\n"),
        "cr_at_the_end": _message("cr-at-the-end", body=b"one\r\ntwo\r"),
        "no_last_line_end": _message("no-last-line-end", body=b"one\r\ntwo"),
        "many_last_line_ends": _message("many-last-line-ends", body=b"one\r\n\r\n\r\n\r\n"),
        "trailing_blanks": _message(
            "trailing-blanks", head=b"X-Blank: yes \t \r\n", body=b"one  \r\n\t\r\n"
        ),
    }


def _ugly_ids() -> dict[str, bytes]:
    """Message-IDs that are missing, repeated, shared or hard to read."""
    alert = b"The disk of printer 7 is 91% full.\r\n"
    other = b"The disk of printer 7 is 92% full.\r\n"
    named: dict[str, bytes] = {
        "id_empty": b"",
        "id_folded": b"\r\n <ugly.folded@example.net>",
        "id_with_comment": b"(made by hand) <ugly.comment@example.net> (really)",
        "id_without_brackets": b"ugly.bare@example.net",
        "id_with_spaces": b"< ugly spaces @example.net >",
        "id_8bit": b"<ugly.gr\xfc\xdfe@example.net>",
        "id_utf8": "<ugly.手紙@example.net>".encode(),
        "id_very_long": b"<" + b"x" * 3_000 + b"@example.net>",
        "id_quoted": b'<"ugly\\"quoted\\\\"@example.net>',
        "id_twice": b"<ugly.first@example.net>\r\nMessage-ID: <ugly.second@example.net>",
        "id_twice_the_same": b"<ugly.same@example.net>\r\nMessage-ID: <ugly.same@example.net>",
    }
    messages = {
        key: _message(key, head=b"Message-ID: " + value + b"\r\n", message_id=False)
        for key, value in named.items()
    }
    shared = b"Message-ID: <ugly.shared@example.net>\r\n"
    return messages | {
        "no_id": _message("no-id", message_id=False),
        "no_id_no_date_first": _message("alert", message_id=False, date=False, body=alert),
        "no_id_no_date_second": _message("alert", message_id=False, date=False, body=other),
        "shared_id_draft": _message(
            "shared id", head=shared, message_id=False, body=b"Dear Al\r\n"
        ),
        "shared_id_sent": _message(
            "shared id", head=shared, message_id=False, body=b"Dear Alice,\r\n\r\nyours, Bob\r\n"
        ),
        "shared_id_other_subject": _message(
            "shared id, other subject", head=shared, message_id=False
        ),
        "id_only_in_capitals": _message(
            "id-in-capitals", head=b"MESSAGE-ID: <UGLY.CAPITALS@EXAMPLE.NET>\r\n", message_id=False
        ),
    }


def _ugly_headers() -> dict[str, bytes]:
    lines: dict[str, bytes] = {
        "latin1_header": b"X-Greeting: Gr\xfc\xdfe aus K\xf6ln\r\n",
        "utf8_header": "X-Greeting: Grüße 手紙 🙂\r\n".encode(),
        "nul_in_header": b"X-Nul: a\0b\r\n",
        "controls_in_header": b"X-Bell: \x07\x08\x7f \x1b[31mred\x1b[0m \x1b]0;title\x07\r\n",
        "long_header_line": b"X-Long: " + b"abcdefg " * 5_000 + b"\r\n",
        "deeply_folded_header": b"X-Folded: one\r\n" + b"\t next\r\n" * 3_000,
        "many_headers": b"".join(b"X-Spam-%d: no\r\n" % n for n in range(2_000)),
        "header_without_colon": b"this line has no colon\r\n",
        "space_before_colon": b"X-Space : yes\r\n",
        "empty_header_name": b": nameless\r\n",
        "header_of_spaces": b"X-Before: 1\r\n   \r\nX-After: 2\r\n",
        "broken_encoded_words": (
            b"X-Broken: =?utf-8?B?w?= =?no-such-charset?Q?=FF?= =?utf-8?Q?=E2=82?= =?utf-8?Q?=AC?="
            b" =?\r\n"
        ),
        "protocol_words_in_header": (
            b'X-Words: {12}\r\nX-More: "quoted\\" \\ ) (FLAGS (\\Deleted)) A001 OK +OK -ERR %s'
            b" %n\r\n"
        ),
        "trace_fields": (
            b"Status: RO\r\nX-UID: 17\r\nX-Mozilla-Status: 0001\r\nX-Keywords:"
            b" $Forwarded\r\nContent-Length: 1\r\n"
        ),
        "our_own_header": b"X-Mailsync: 0000 1 0 -\r\n",
        "subject_twice": b"Subject: a second subject\r\n",
    }
    return {name: _message(name.replace("_", "-"), head=head) for name, head in lines.items()}


def _ugly_dates() -> dict[str, bytes]:
    lines: dict[str, bytes] = {
        "date_in_1899": b"Date: Sat, 30 Dec 1899 00:00:00 +0000\r\n",
        "date_in_2094": b"Date: Fri, 1 Jan 2094 00:00:00 +0000\r\n",
        "date_at_the_epoch": b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n",
        "date_nonsense": b"Date: yesterday, I think\r\n",
        "date_of_a_wrong_day": b"Date: Thu, 31 Feb 2015 25:61:61 +9999\r\n",
        "date_two_digits": b"Date: 3 Jun 98 10:11 EST\r\n",
        "date_empty": b"Date:\r\n",
        "date_twice": (
            b"Date: Mon, 1 Jun 2015 00:00:00 +0000\r\nDate: Tue, 2 Jun 2015 00:00:00 +0000\r\n"
        ),
        "date_missing": b"",
        "received_nonsense": b"Received: by mx; never\r\nDate: Mon, 1 Jun 2015 00:00:00 +0000\r\n",
        "received_without_date": (
            b"Received: from a by b\r\nDate: Mon, 1 Jun 2015 00:00:00 +0000\r\n"
        ),
        "received_many": b"".join(
            b"Received: by mx%d; Mon, 1 Jun 2015 00:00:%02d +0000\r\n" % (n, 59 - n)
            for n in range(40)
        ),
    }
    return {
        name: _message(name.replace("_", "-"), head=head, date=False)
        for name, head in lines.items()
    }


def _ugly_bodies() -> dict[str, bytes]:
    every_octet = bytes(octet for octet in range(1, 256) if octet not in b"\r\n")
    bodies: dict[str, bytes] = {
        "dots": b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
        "dot_at_the_end": b"one\r\n.",
        "dot_first": b".first\r\n",
        "from_lines": (
            b"From here on\r\n>From there\r\n>>From over there\r\n From behind\r\nFrom\r\n"
        ),
        "nul_in_body": b"a\0b\r\n\0\r\n",
        "every_octet": every_octet + b"\r\n" + every_octet + b"\r\n",
        "long_line": b"0123456789" * 200 + b"\r\nshort\r\n",
        "very_long_line": b"0123456789" * 30_000 + b"\r\nshort\r\n",
        "protocol_lines": (
            b"+OK\r\n-ERR no\r\n* BYE\r\nA001 OK done\r\n)\r\n+ go on\r\n{3}\r\n{3+}\r\nQUIT\r\n"
        ),
        "only_blank_lines": b"\r\n\r\n\r\n",
        "utf16": "text in UTF-16\r\n".encode("utf-16"),
        "many_short_lines": b"\r\n".join(b"%d" % n for n in range(5_000)) + b"\r\n",
    }
    messages = {name: _message(name.replace("_", "-"), body=body) for name, body in bodies.items()}
    broken = b'Content-Type: multipart/mixed; boundary="never"\r\nMIME-Version: 1.0\r\n'
    nested = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
        for n in range(60)
    )  # deeper than recursive MIME readers like
    return messages | {
        "multipart_without_parts": _message("multipart-without-parts", head=broken),
        "multipart_very_deep": _message(
            "multipart-very-deep",
            head=b"MIME-Version: 1.0\r\n" + nested[: nested.index(b"\r\n\r\n") + 2],
            body=nested,
        ),
    }
