"""A copy of a refused letter that a person would call the same letter, and what was changed in it. Pure.

Only made after a server refused the letter as it is (RFC 9051 section 6.3.12 lets it); the archive keeps the original.
"""

from __future__ import annotations

import hashlib
import re
from email.header import Header
from typing import Final

from mailsync.formats import header

LINE_LIMIT: Final = 998
"""Octets a line may have (RFC 5322 section 2.1.1)."""

MARK: Final = b"X-Mailsync-Repaired"
"""The field by which a repaired copy is known again: it names the SHA-256 of the original."""

_BARE_CR: Final = re.compile(rb"\r(?!\n)")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")


def repaired(content: bytes) -> tuple[bytes, str] | None:
    """Give a copy that any server should take, and a sentence about what was changed; None when nothing can be mended."""
    changes: list[str] = []
    mended = content
    if not mended.strip():
        mended = b"Subject: (empty letter)\r\n\r\n"
        changes.append("it was empty and got a subject")
    if b"\0" in mended:
        mended = mended.replace(b"\0", b"\x80" if _HIGH.search(header.block(mended)) is None else b"?")
        changes.append("NUL octets were replaced")
    lined = _BARE_LF.sub(b"\r\n", _BARE_CR.sub(b"\r\n", mended))
    if lined != mended:
        mended = lined
        changes.append("line ends were made CRLF")
    mended = _header(mended, changes)
    mended = _lines(mended, changes)
    if not changes:
        return None
    block = header.block(mended)
    mark = b"%s: %s\r\n" % (MARK, hashlib.sha256(content).hexdigest().encode("ascii"))
    mended = block[:-2] + mark + block[-2:] + mended[len(block) :]
    return mended, "sent as a repaired copy: " + ", ".join(changes)


def _header(content: bytes, changes: list[str]) -> bytes:
    """Make the header plain ASCII, only fields, ended by a blank line."""
    block = header.block(content)
    body = content[len(block) :]
    kept: list[bytes] = []
    strange = False
    encoded = False
    for line in _unfolded(block):
        if not _FIELD.match(line):
            strange = strange or bool(line.strip())
            if line.strip():
                kept.append(b"X-Unreadable: " + _HIGH.sub(b"?", line.strip()) + b"\r\n")
            continue
        if _HIGH.search(line):
            encoded = True
        kept.append(_encoded(line) if _HIGH.search(line) else line)
    if strange:
        changes.append("header lines that are no fields were renamed")
    if encoded:
        changes.append("8-bit characters in the header were encoded")
    ended = block.endswith((b"\r\n\r\n", b"\n\n")) or block in {b"\r\n", b"\n"}
    if not ended:
        changes.append("a blank line was put after the header")
    if not kept:
        kept.append(b"Subject: (no header)\r\n")
        changes.append("it had no header and got a subject")
    return b"".join(kept) + b"\r\n" + body


def _unfolded(block: bytes) -> list[bytes]:
    """Part a header block into fields with their folded lines, each with its line end."""
    fields: list[bytes] = []
    for line in block.splitlines(keepends=True):
        if not line.strip():
            continue
        if line[:1] in b" \t" and fields:
            fields[-1] += line
        else:
            fields.append(line if line.endswith(b"\n") else line + b"\r\n")
    return [field if field.endswith(b"\n") else field + b"\r\n" for field in fields]


def _encoded(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    text = re.sub(rb"\r?\n[ \t]+", b" ", value).strip()
    try:
        words = Header(text.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        words = Header(text.decode("latin-1"), "iso-8859-1")
    coded = words.encode(linesep="\r\n").encode("ascii", "replace")
    return _HIGH.sub(b"?", name) + b": " + coded + b"\r\n"


def _lines(content: bytes, changes: list[str]) -> bytes:
    """Break lines that are too long; only text without a transfer encoding of its own can change by that."""
    block = header.block(content)
    body = content[len(block) :]
    if any(len(line) > LINE_LIMIT for line in block.split(b"\r\n")):
        block = b"\r\n".join(_folded(line) for line in block.split(b"\r\n"))
        changes.append("long header lines were folded")
    if any(len(line) > LINE_LIMIT for line in body.split(b"\r\n")):
        body = b"\r\n".join(_broken(line) for line in body.split(b"\r\n"))
        changes.append(f"lines of more than {LINE_LIMIT} characters were broken")
    return block + body


def _folded(line: bytes) -> bytes:
    """Fold a header line at white space where there is any."""
    parts: list[bytes] = []
    while len(line) > LINE_LIMIT:
        cut = max(line.rfind(b" ", 1, LINE_LIMIT), line.rfind(b"\t", 1, LINE_LIMIT))
        if cut <= 1:
            cut = LINE_LIMIT - 1
            parts.append(line[:cut])
            line = b" " + line[cut:]
            continue
        parts.append(line[:cut])
        line = line[cut:]
    return b"\r\n".join([*parts, line])


def _broken(line: bytes) -> bytes:
    """Break a body line after a space, or anywhere where there is none; never within a UTF-8 character."""
    parts: list[bytes] = []
    while len(line) > LINE_LIMIT:
        cut = line.rfind(b" ", 1, LINE_LIMIT) + 1 or LINE_LIMIT
        while cut > 1 and 0x80 <= line[cut] < 0xC0:
            cut -= 1
        parts.append(line[:cut])
        line = line[cut:]
    return b"\r\n".join([*parts, line])
