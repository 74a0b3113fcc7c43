"""The parts of a message mended where they stand, so that whoever opens one sees what was in it
(RFC 2045, RFC 2046). Pure.

Only what no strict server takes is touched: NUL, line ends other than CRLF, lines of more than 998
octets.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from email.message import Message
from typing import Final, NamedTuple

from mailsync.stores.imap.repair_lines import (
    LINE_LIMIT,
    TOO_LONG,
    broken,
    crlf,
    ends_clean,
    folded,
    softly_broken,
)

_DEPTH: Final = 30
"""Parts within parts are followed so far; no mail program shows more."""

_BOUNDARY_LIMIT: Final = 900
_VALUE_LIMIT: Final = 10_000
_BYTE_ORDER: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PLAIN: Final = b"text/plain"
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r+\n|\n|\r|\Z)")
_FIELD: Final = re.compile(rb"[!-9;-~]{0,900}:|From ")
_LAST_END: Final = re.compile(rb"(?:\r?\n|\r)\Z")
_COMMENT: Final = re.compile(r'("(?:[^"\\]|\\.)*")|\([^()]*\)', re.DOTALL)
_UUENCODED: Final = re.compile(rb"x-?uu|uu|x-yenc|yenc|(x-|mac-)?binhex")


class _Typed(NamedTuple):
    """What a Content-Type says: the type in lower case, and what its boundary may be."""

    kind: bytes
    boundaries: list[bytes]
    wide: bool
    """The text is in a charset whose characters hold NUL octets."""


def needs_mending(text: bytes) -> bool:
    """Return whether a strict server may refuse a body."""
    return b"\0" in text or not ends_clean(text) or TOO_LONG.search(text) is not None


def first(fields: list[bytes], name: bytes) -> bytes:
    """Return the first value of a field (`name` in lower case), without white space around it;
    empty when there is none.
    """
    return next(
        (field.partition(b":")[2].strip() for field in fields if name_of(field) == name), b""
    )


def name_of(field: bytes) -> bytes:
    """Return the name of a raw field in lower case."""
    return field.partition(b":")[0].rstrip(b" \t").lower()


class Mending:
    """One walk through a message.

    `changes` learns what is done; `unix`: the whole message ends its lines with LF.
    """

    def __init__(self, changes: list[str], *, unix: bool) -> None:
        self._changes = changes
        self._unix = unix

    def entity(
        self, fields: list[bytes], body: bytes, default: bytes = _PLAIN, depth: int = 0
    ) -> bytes:
        """Mend a body; `fields` are those of its header, each with its line end, and learn of
        another transfer encoding.
        """
        typed = _typed(first(fields, b"content-type"), default)
        coding = _coding(first(fields, b"content-transfer-encoding"))
        if typed.kind.startswith(b"multipart/"):
            return self._multipart(typed, body, depth)
        if typed.kind.startswith(b"message/") and coding == b"" and depth < _DEPTH:
            if typed.kind == b"message/delivery-status":
                return self._folded(self._opaque(body, long=False))
            return self._part(body, _PLAIN, depth + 1)
        return self._leaf(fields, body, typed, coding)

    def _multipart(self, typed: _Typed, body: bytes, depth: int) -> bytes:
        """Mend part by part; what stands before the first boundary and after the last is shown by
        nobody.
        """
        found = ((boundary, list(_marks(boundary, body))) for boundary in typed.boundaries)
        boundary, marks = next((one for one in found if one[1]), (b"", []))
        if not marks or depth >= _DEPTH:
            return self._opaque(body)
        default = b"message/rfc822" if typed.kind == b"multipart/digest" else _PLAIN
        pieces = [self._opaque(body[: marks[0].start()])]
        for number, mark in enumerate(marks):
            until = marks[number + 1].start() if number + 1 < len(marks) else len(body)
            pieces.append(self._mark(boundary, mark))
            inner = body[mark.end() : until]
            if _closes(mark, marks[number - 1].end() if number else -1):
                pieces.append(self._opaque(inner))
                continue
            # The line end before a boundary is the boundary's.
            last = _LAST_END.search(inner[-2:]) if until < len(body) else None
            end = last[0] if last else b""
            pieces += [self._part(inner.removesuffix(end), default, depth + 1), crlf(end)]
        made = b"".join(pieces)
        if typed.kind == b"multipart/signed" and made != crlf(body):
            self._changes.append("its signature does not hold for the copy")
        return made

    def _mark(self, boundary: bytes, mark: re.Match[bytes]) -> bytes:
        """Write a boundary line as the header names it."""
        end = crlf(mark["line"])
        if end != mark["line"]:
            self._ends()
        return b"--" + boundary + (mark["end"] or b"") + end[-90:]

    def _part(self, raw: bytes, default: bytes, depth: int) -> bytes:
        """Mend a part with its header; the header stays as it is but for NUL, line ends and long
        lines.
        """
        if not needs_mending(raw):
            return raw
        fields, separator, body = _headed(raw)
        made = [self._field(field) for field in fields]
        before = list(made)
        mended = self.entity(made, body, default, depth)
        if made != before and not separator:
            separator = b"\r\n"
        return b"".join(made) + (b"\r\n" if separator else b"") + mended

    def _field(self, raw: bytes) -> bytes:
        made = crlf(raw)
        if made != raw:
            self._ends()
        if b"\0" in made:
            self._nuls()
            made = made.replace(b"\0", b"?")
        return self._folded(made)

    def _folded(self, fields: bytes) -> bytes:
        if not TOO_LONG.search(fields):
            return fields
        self._changes.append("long header lines were folded")
        return folded(fields)

    def _leaf(self, fields: list[bytes], body: bytes, typed: _Typed, coding: bytes) -> bytes:
        if not needs_mending(body):
            return body
        if coding == b"":
            return self._plain(fields, body, typed)
        if coding not in {b"base64", b"quoted-printable"}:
            return self._opaque(body)
        # Base64 decoders pass over NUL, and over line ends wherever they are.
        based = coding == b"base64"
        if b"\0" in body:
            self._nuls()
            body = (
                body.replace(b"\0", b"")
                if based
                else body.replace(b"=\0", b"=3D\0").replace(b"\0", b"=00")
            )
        lined = self._opaque(body, long=False)
        if not TOO_LONG.search(lined):
            return lined
        self._longs()
        return (
            b"\r\n".join(_chopped(line) for line in lined.split(b"\r\n"))
            if based
            else softly_broken(lined)
        )

    def _plain(self, fields: list[bytes], body: bytes, typed: _Typed) -> bytes:
        """Mend what is not coded: text by its lines, any other file to the octet."""
        wide = typed.wide or body.startswith(_BYTE_ORDER)
        text = typed.kind.startswith(b"text/") and b"\0" not in body
        lined = crlf(body) if (text or self._unix) and not wide else body
        if not needs_mending(lined):
            self._ends()
            return lined
        if lined != body:
            self._ends()
        coding = b"quoted-printable" if typed.kind.startswith(b"text/") else b"base64"
        self._changes.append(
            f"the text was coded as {coding.decode()}, which changes nothing of what it says"
        )
        fields[:] = [field for field in fields if name_of(field) != b"content-transfer-encoding"]
        fields.append(b"Content-Transfer-Encoding: %s\r\n" % coding)
        if coding == b"base64":
            return b"\r\n".join(
                binascii.b2a_base64(lined[at : at + 57], newline=False)
                for at in range(0, len(lined), 57)
            )
        lines = (
            binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n")
            for line in lined.split(b"\r\n")
        )
        return b"\r\n".join(lines).replace(b"=\r\n--", b"=\r\n=2D-")

    def _opaque(self, text: bytes, *, long: bool = True) -> bytes:
        """Mend what has no octets of its own to keep."""
        if b"\0" in text:
            self._nuls()
            text = text.replace(b"\0", b"\x80")  # as Dovecot shows it
        lined = crlf(text)
        if lined != text:
            self._ends()
        if long and TOO_LONG.search(lined):
            self._longs()
            lined = broken(lined)
        return lined

    def _longs(self) -> None:
        self._changes.append(f"lines of more than {LINE_LIMIT} characters were broken")

    def _ends(self) -> None:
        self._changes.append("line ends were made CRLF")

    def _nuls(self) -> None:
        self._changes.append("NUL octets were replaced")


def _typed(value: bytes, default: bytes) -> _Typed:
    """Read a Content-Type field however it is spelled: with comments, capital messages, folded,
    white space around the slash.
    """
    if not value:
        return _Typed(default, [], wide=False)
    raw = " ".join(value[:_VALUE_LIMIT].decode("latin-1").split())
    bare = _COMMENT.sub(r"\1", raw)
    kind = (
        re.sub(r"\s*/\s*", "/", bare.partition(";")[0])
        .strip(" \"'")
        .lower()
        .encode("latin-1", "replace")
    )
    if kind.count(b"/") != 1:
        kind = b"multipart/mixed" if kind == b"multipart" else _PLAIN
    boundaries = [found for text in (raw, bare) if (found := _parameter(text, "boundary"))]
    charset = _parameter(bare, "charset").lower()
    return _Typed(
        kind,
        [one for one in dict.fromkeys(boundaries) if len(one) <= _BOUNDARY_LIMIT],
        charset.startswith((b"utf-16", b"utf-32", b"ucs", b"unicode-", b"iso-10646")),
    )


def _parameter(text: str, name: str) -> bytes:
    message = Message()
    message["Content-Type"] = text
    try:
        value = message.get_param(name) or ""
        if isinstance(value, tuple):
            value = value[2]
    except (ValueError, LookupError):  # parameters in parts numbered beyond reason
        return b""
    return value.rstrip().encode("latin-1", "replace")


def _coding(value: bytes) -> bytes:
    """Return a transfer encoding, empty for those that change nothing and for those that nobody
    knows.
    """
    token = (
        re.sub(rb"\([^()]*\)", b"", value[:_VALUE_LIMIT])
        .strip()
        .lower()
        .partition(b";")[0]
        .strip(b" \t\"'")
    )
    known = token in {b"base64", b"quoted-printable"} or _UUENCODED.match(token)
    return token if known else b""


def _marks(boundary: bytes, body: bytes) -> Iterator[re.Match[bytes]]:
    """Find the boundary lines up to the closing one (RFC 2046 section 5.1.1); the header may have
    lost its 8-bit octets and NULs.
    """
    spelled = re.escape(boundary).replace(rb"\?", rb"[?\0]").replace(b"X", rb"[X\x80-\xff]")
    pattern = re.compile(rb"--" + spelled + rb"(?P<end>--)?(?P<line>[ \t]*(?:\r*\n|\r|\Z))")
    before = -1
    for mark in pattern.finditer(body):
        if mark.start() == 0 or body[mark.start() - 1] in b"\r\n":
            yield mark
            if _closes(mark, before):
                return
            before = mark.end()


def _closes(mark: re.Match[bytes], before: int) -> bool:
    """Return whether a boundary is the last one; some readers take one right after another for the
    same.
    """
    return mark["end"] is not None and mark.start() != before


def _headed(raw: bytes) -> tuple[list[bytes], bytes, bytes]:
    """Split a part into header fields, the blank line, if there is one, and the body: as readers
    do, at the first line that is no field.
    """
    fields: list[bytes] = []
    for found in _LINE.finditer(raw):
        line = found[0]
        if not line.strip(b"\r\n"):
            return fields, line, raw[found.end() :]
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1] += line
        elif line[:1] in {b" ", b"\t"} or _FIELD.match(line):
            fields.append(line)
        else:
            return fields, b"", raw[found.start() :]
    return fields, b"", b""


def _chopped(line: bytes) -> bytes:
    """Break a base64 line anywhere."""
    return (
        b"\r\n".join(line[at : at + 76] for at in range(0, len(line), 76))
        if len(line) > LINE_LIMIT
        else line
    )
