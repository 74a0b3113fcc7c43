"""Lines that a strict server takes: at most 998 octets, ended by CRLF, without NUL; broken where a
reader notices least. Pure.
"""

from __future__ import annotations

import re
from typing import Final

LINE_LIMIT: Final = 998
"""Octets a line may have (RFC 5322 section 2.1.1)."""

TOO_LONG: Final = re.compile(rb"[^\r\n]{%d}" % (LINE_LIMIT + 1))

_ODD_END: Final = re.compile(rb"(\r+)(\n?)")
_LONG_BLANK: Final = re.compile(rb"([ \t])[ \t]{99,}")
_PIECE: Final = LINE_LIMIT - 1


def crlf(text: bytes) -> bytes:
    """End every line with CRLF; a CR on its own ends a line too, several before one LF end one."""
    if ends_clean(text):
        return text
    text = text.replace(b"\r\n", b"\n")
    if b"\r" in text:
        text = _ODD_END.sub(lambda found: found[2] or b"\n" * len(found[1]), text)
    return text.replace(b"\n", b"\r\n")


def ends_clean(text: bytes) -> bool:
    """Return whether every CR and LF is half of a CRLF."""
    pairs = text.count(b"\r\n")
    return text.count(b"\n") == pairs and text.count(b"\r") == pairs


def folded(field: bytes) -> bytes:
    """Fold the long lines of a header field: at white space, else after `,`, `;` or `>`, else
    anywhere (RFC 5322 section 2.2.3).
    """
    if not TOO_LONG.search(field):
        return field
    return b"\r\n".join(_folded(line) for line in field.split(b"\r\n"))


def _folded(line: bytes) -> bytes:
    if len(line) <= LINE_LIMIT:
        return line
    # Runs of blanks would become lines of blanks, which some take for the header's end.
    line = _LONG_BLANK.sub(rb"\1", line.rstrip(b" \t"))
    parts: list[bytes] = []
    start = line.find(b":") + 1  # a field's name and colon stay together
    while len(line) > LINE_LIMIT:
        start = start or len(line) - len(line.lstrip(b" \t")) + 1
        cut = max(line.rfind(b" ", start, LINE_LIMIT), line.rfind(b"\t", start, LINE_LIMIT))
        if cut < 0:
            cut = max(line.rfind(gap, start, _PIECE) for gap in (b",", b";", b">")) + 1 or _PIECE
            line = line[:cut] + b" " + line[cut:]
        parts.append(line[:cut])
        line = line[cut:]
        start = 0
    return b"\r\n".join([*parts, line])


def broken(text: bytes) -> bytes:
    """Break long lines after a space, or anywhere where there is none; not within a UTF-8
    character, and into no boundary line.
    """
    if not TOO_LONG.search(text):
        return text
    return b"\r\n".join(_broken(line) for line in text.split(b"\r\n"))


def _broken(line: bytes) -> bytes:
    parts: list[bytes] = []
    while len(line) > LINE_LIMIT:
        cut = line.rfind(b" ", 1, _PIECE) + 1 or _PIECE
        start = cut
        while start > cut - 4 and 0x80 <= line[start] < 0xC0:
            start -= 1
        if line[start] >= 0xC0:
            cut = start
        parts.append(line[:cut])
        line = line[cut:]
        if line.startswith(b"--"):
            line = b" " + line
    return b"\r\n".join([*parts, line])


def softly_broken(text: bytes) -> bytes:
    """Break long quoted-printable lines by soft line breaks, never within `=3D` (RFC 2045 section
    6.7).
    """
    if not TOO_LONG.search(text):
        return text
    return b"\r\n".join(_softly_broken(line) for line in text.split(b"\r\n"))


def _softly_broken(line: bytes) -> bytes:
    parts: list[bytes] = []
    while len(line) > LINE_LIMIT:
        cut = _PIECE
        escape = line.rfind(b"=", cut - 2, cut)
        cut = escape if escape > 0 else cut
        parts.append(line[:cut] + b"=")
        line = line[cut:]
        if line.startswith(b"--"):
            # It must not look like a boundary.
            line = b"=2D" + line[1:]
    return b"\r\n".join([*parts, line])
