"""A copy of a refused letter that a person would call the same letter, and what was changed in it. Pure.

Only made after a server refused the letter as it is (RFC 9051 section 6.3.12 lets it); the archive keeps the original.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Final

from mailsync.formats import header
from mailsync.stores.imap.encoded import HIGH, ascii_field

LINE_LIMIT: Final = 998
"""Octets a line may have (RFC 5322 section 2.1.1)."""

MARK: Final = b"X-Mailsync-Repaired"
"""The field by which a repaired copy is known again: it names the SHA-256 of the original."""

_LINE_END: Final = re.compile(rb"\r+\n|\n")
_BARE_CR: Final = re.compile(rb"\r(?!\n)")
_FIELD: Final = re.compile(rb"([!-9;-~]{1,900})([ \t]*):")
"""A field's name and colon must fit into one line; whatever is longer is none."""

_SPACE: Final = re.compile(rb"[ \t]+")
_TOO_LONG: Final = re.compile(rb"[^\r\n]{%d}" % (LINE_LIMIT + 1))
_PLAIN_CODING: Final = frozenset({b"", b"7bit", b"8bit", b"binary"})


def repaired(content: bytes) -> tuple[bytes, str] | None:
    """Give a copy that any server should take, and a sentence about what was changed; None when there is nothing to mend."""
    changes: list[str] = []
    if content.strip():
        block, body = _parted(content)
        fields = _fields(block, changes)
        body = _body(fields, body, changes)
        mended = b"".join(fields)
    else:
        mended, body = b"Subject: (empty letter)\r\n", b""
        changes.append("it was empty and got a subject")
    if not changes:
        return None
    mark = b"%s: %s\r\n" % (MARK, hashlib.sha256(content).hexdigest().encode("ascii"))
    return mended + mark + b"\r\n" + body, "sent as a repaired copy: " + ", ".join(dict.fromkeys(changes))


def looks_odd(content: bytes) -> bool:
    """Tell whether a strict server may refuse a letter that a lenient one takes."""
    return repaired(content) is not None


def _parted(content: bytes) -> tuple[bytes, bytes]:
    """Part header and body; where no blank line does, the body begins with the first line that is no field."""
    block = header.block(content)
    if _ended(block):
        return block, content[len(block) :]
    position = 0
    for line in block.splitlines(keepends=True):
        folded = line[:1] in {b" ", b"\t"} and position
        if line.strip() and not folded and not _FIELD.match(line) and not (position == 0 and line.startswith(b"From ")):
            return content[:position], content[position:]
        position += len(line)
    return content, b""


def _ended(block: bytes) -> bool:
    return block.endswith((b"\n\r\n", b"\n\n")) or block in {b"\r\n", b"\n"}


def _fields(block: bytes, changes: list[str]) -> list[bytes]:
    """Make the header plain ASCII and only fields, each with its line end, no blank line after them."""
    lined = _LINE_END.sub(b"\r\n", block)
    # A CR on its own in a header ends no line for any server; it would for a careless one.
    straight = _BARE_CR.sub(b" ", lined)
    if straight != block:
        changes.append("line ends were made CRLF")
    if b"\0" in straight:
        straight = straight.replace(b"\0", b"?")
        changes.append("NUL octets were replaced")
    if not _ended(straight):
        changes.append("a blank line was put after the header")
    kept = [_field(raw, changes) for raw in _unfolded(straight.removesuffix(b"\r\n"), changes)]
    if not kept:
        changes.append("it had no header and got a subject")
        return [b"Subject: (no header)\r\n"]
    return kept


def _field(raw: bytes, changes: list[str]) -> bytes:
    """Mend one field, folded lines and all, given without its last line end."""
    found = _FIELD.match(raw)
    if found is None:
        changes.append("header lines that are no fields were renamed")
        raw = b"X-Unreadable: " + HIGH.sub(b"?", raw.strip())
    elif found[2]:
        changes.append("white space before colons was taken away")
        raw = found[1] + raw[found.end() - 1 :]
    if HIGH.search(raw):
        changes.append("8-bit characters in the header were encoded")
        raw = ascii_field(raw)
    if _TOO_LONG.search(raw):
        changes.append("long header lines were folded")
        raw = b"\r\n".join(_folded(line) for line in raw.split(b"\r\n"))
    return raw + b"\r\n"


def _unfolded(block: bytes, changes: list[str]) -> list[bytes]:
    """Part a header block into fields with their folded lines, without the last line end; lines of blanks are left out."""
    fields: list[bytes] = []
    for line in block.split(b"\r\n"):
        if not line.strip(b" \t"):
            if line:
                changes.append("header lines of nothing but blanks were left out")
        elif line[:1] in {b" ", b"\t"} and fields:
            fields[-1] += b"\r\n" + line
        else:
            fields.append(line)
    return fields


def _folded(line: bytes) -> bytes:
    """Fold a header line at white space where there is any."""
    if len(line) <= LINE_LIMIT:
        return line
    # Runs of blanks would become lines of blanks, which some take for the header's end.
    line = line[:1] + _SPACE.sub(b" ", line[1:].rstrip(b" \t"))
    parts: list[bytes] = []
    while len(line) > LINE_LIMIT:
        cut = line.rfind(b" ", 1, LINE_LIMIT)
        if cut < 1 or not line[:cut].strip():
            cut = LINE_LIMIT - 1
            parts.append(line[:cut])
            line = b" " + line[cut:].lstrip(b" ")
            continue
        parts.append(line[:cut])
        line = line[cut:]
    return b"\r\n".join([*parts, line])


def _body(fields: list[bytes], body: bytes, changes: list[str]) -> bytes:
    """Mend a body so that its reader sees the same; `fields` learn of another transfer encoding (RFC 2045 section 6)."""
    coding = _first(fields, b"content-transfer-encoding")
    leaf = coding in _PLAIN_CODING and not _first(fields, b"content-type").startswith((b"multipart/", b"message/"))
    if b"\0" in body:
        if leaf:
            return _quoted(fields, body, changes)
        body = body.replace(b"\0", b"\x80")  # as Dovecot shows it
        changes.append("NUL octets were replaced")
    lined = _BARE_CR.sub(b"\r\n", _LINE_END.sub(b"\r\n", body))
    if lined != body:
        changes.append("line ends were made CRLF")
    if not _TOO_LONG.search(lined):
        return lined
    if leaf:
        return _quoted(fields, lined, changes)
    changes.append(f"lines of more than {LINE_LIMIT} characters were broken")
    broken = _softly_broken if coding == b"quoted-printable" else _broken
    return b"\r\n".join(broken(line) for line in lined.split(b"\r\n"))


def _quoted(fields: list[bytes], body: bytes, changes: list[str]) -> bytes:
    """Code a body as quoted-printable: its reader gets every octet as it was."""
    changes.append("the text was coded as quoted-printable, which changes nothing of what it says")
    fields[:] = [field for field in fields if _name(field) != b"content-transfer-encoding"]
    if not _first(fields, b"mime-version"):
        fields.append(b"MIME-Version: 1.0\r\n")
    fields.append(b"Content-Transfer-Encoding: quoted-printable\r\n")
    lines = (binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in body.split(b"\r\n"))
    return b"\r\n".join(lines)


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].lower()


def _first(fields: Sequence[bytes], name: bytes) -> bytes:
    """Give the first value of a field, lower case, without white space around it."""
    return next((field.partition(b":")[2].strip().lower() for field in fields if _name(field) == name), b"")


def _softly_broken(line: bytes) -> bytes:
    """Break a quoted-printable line by soft line breaks, never within `=3D` (RFC 2045 section 6.7)."""
    parts: list[bytes] = []
    while len(line) > LINE_LIMIT:
        cut = LINE_LIMIT - 1
        escape = line.rfind(b"=", cut - 2, cut)
        cut = escape if escape > 0 else cut
        parts.append(line[:cut] + b"=")
        line = line[cut:]
    return b"\r\n".join([*parts, line])


def _broken(line: bytes) -> bytes:
    """Break a body line after a space, or anywhere where there is none; not within a UTF-8 character."""
    parts: list[bytes] = []
    while len(line) > LINE_LIMIT:
        cut = line.rfind(b" ", 1, LINE_LIMIT) + 1 or LINE_LIMIT
        start = cut
        while start > cut - 4 and 0x80 <= line[start] < 0xC0:
            start -= 1
        if line[start] >= 0xC0:
            cut = start
        parts.append(line[:cut])
        line = line[cut:]
    return b"\r\n".join([*parts, line])
