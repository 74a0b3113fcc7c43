"""The header of a message, from any bytes: where it ends, its fields, what they say to people (RFC
5322 section 2.2, RFC 2047).

Never raises on bad mail. Linear in the length of the header, whatever is in it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from itertools import islice
from typing import Final

from mailsync.formats import terminal

_BLANK: Final = re.compile(rb"\n\r?\n")
_NAME: Final = re.compile(rb"[!-9;-~\x80-\xff]+")
_END: Final = re.compile(rb"\n(?![ \t])")
_NAME_KEPT: Final = 80
_ID_LIMIT: Final = 2_000
_SPACE: Final = re.compile(rb"[ \t\r\n]+")
_COMMENT: Final = re.compile(rb"\([^()]*\)")
_DAY: Final = 86_400
_NO_CHARSETS: Final = frozenset(
    {"unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined"}
)
"""Codecs of Python's that no message is written in; some warn, some are slow."""

LINES_LIMIT: Final = 10_000
"""No header has more fields. A body without a blank line before it may seem to, and would take many
times its size in memory, line by line.
"""

_CUT: Final = 9_000
_TEXT_LIMIT: Final = 10_000
"""Longer header values are cut before they are decoded for people: nobody reads on, and decoding is
not free.
"""


def block(content: bytes) -> bytes:
    """Return the header block with its blank line; all of `content` when there is no blank line."""
    if content.startswith((b"\n", b"\r\n")):
        return content[: content.index(b"\n") + 1]
    found = _BLANK.search(content)
    return content[: found.end()] if found else content


def fields(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return each field of the header block as (name in lower case, raw value with its folding, no
    last line end).

    Lines that are no field (a leading mbox "From " line, rubbish) are passed over.
    """
    return (piece for piece in pieces(content) if piece[0])


def pieces(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield what `fields` returns and, with an empty name, the lines between them that are no
    field; no mbox "From " line at the top.

    What follows the first LINES_LIMIT lines is one of those, however it begins.
    """
    for number, raw in enumerate(_lines(block(content))):
        name, colon, value = raw.partition(b":")
        known = (
            _field_name(name)
            if colon and len(name) < _NAME_KEPT
            else _named(name)
            if colon
            else b""
        )
        if known and number < LINES_LIMIT:
            yield known, value.rstrip(b"\r\n")
        elif number or not _mbox_line(raw):
            rest = raw.rstrip(b"\r\n")
            if rest:
                yield b"", rest


def _lines(head: bytes) -> Iterator[bytes]:
    """Yield the lines of a header block, unfolded; what follows the first LINES_LIMIT is one."""
    start = 0
    for found in islice(_END.finditer(head), LINES_LIMIT):
        yield head[start : found.start()]
        start = found.end()
    yield head[start:]


def _named(raw: bytes) -> bytes:
    """Return a field's name in lower case; empty for what is none."""
    name = raw.rstrip(b" \t")
    return name.lower() if _NAME.fullmatch(name) else b""


# All messages have much the same few names; long ones are no names anybody uses.
_field_name = lru_cache(maxsize=2048)(_named)


def _mbox_line(raw: bytes) -> bool:
    return raw.startswith((b"From ", b">From ")) and b"\n" not in raw


def first(content: bytes, name: bytes) -> bytes | None:
    """Return the first value of a field (`name` in lower case), None when there is none."""
    return next((value for field, value in fields(content) if field == name), None)


def all_(content: bytes, name: bytes) -> list[bytes]:
    """Return every value of a field (`name` in lower case), in order."""
    return [value for field, value in fields(content) if field == name]


def message_ids(content: bytes) -> list[bytes]:
    """Return every non-empty Message-ID, without folding, comments and white space; 8-bit bytes
    stay.
    """
    found = (message_id(value) for value in all_(content, b"message-id"))
    return [one for one in found if one]


def message_id(value: bytes) -> bytes:
    """Normalise one Message-ID value: what stands in angle brackets if anything does, else all of
    it; empty for what is too long to be one.
    """
    if len(value) > _ID_LIMIT:
        return b""
    bare = _SPACE.sub(b"", value)
    opened = bare.find(b"<")
    closed = bare.find(b">", opened + 1)
    if 0 <= opened < closed:
        return bare[opened : closed + 1] if closed > opened + 1 else b""
    return _COMMENT.sub(b"", bare)


def text(value: bytes) -> str:
    """Decode a field's value for people (RFC 2047), in one line; control characters and terminal
    escapes become spaces.
    """
    raw = _SPACE.sub(b" ", value[:_TEXT_LIMIT]).strip()
    plain = _decode(raw)
    if "=?" in plain:
        plain = _words(plain)
    elif plain.isascii() and plain.isprintable():
        return plain
    return terminal.plain(plain, " ").strip()


def _words(plain: str) -> str:
    try:
        parts = decode_header(plain)
    except (HeaderParseError, ValueError, IndexError):
        return plain
    return "".join(_part(part, charset) for part, charset in parts)


def _part(part: bytes | str, charset: str | None) -> str:
    if isinstance(part, str):
        return part
    try:
        if codecs.lookup(charset or "ascii").name not in _NO_CHARSETS:
            return part.decode(charset or "ascii", "replace")
    except (LookupError, ValueError):
        pass
    return part.decode("latin-1")


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character that was cut in two makes no other one doubtful.
        cut = error.reason == "unexpected end of data" and len(raw) > _CUT
        return raw[: error.start].decode("utf-8") if cut else raw.decode("latin-1")


def received_or_date(content: bytes, not_after: int) -> int | None:
    """Return when a message arrived, in epoch seconds: by its top Received field, then by its Date
    (RFC 5322 section 3.6.7).

    A time before 1970-01-02 or more than two days after `not_after` is not believed.
    """
    received = first(content, b"received")
    candidates = (received.rpartition(b";")[2] if received else None, first(content, b"date"))
    for value in candidates:
        if value:
            moment = _moment(value[:200])
            if moment is not None and _DAY <= moment <= not_after + 2 * _DAY:
                return moment
    return None


def sent(content: bytes) -> int | None:
    """Return when a message says that it was sent, in epoch seconds (its Date field)."""
    value = first(content, b"date")
    return None if value is None else _moment(value[:200])


def _moment(value: bytes) -> int | None:
    try:
        parsed = parsedate_tz(_SPACE.sub(b" ", value).decode("ascii", "replace").strip())
        return None if parsed is None else mktime_tz(parsed)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
