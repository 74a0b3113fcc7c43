"""Header fields with 8-bit octets written as ASCII, so that every reader decodes what was meant
(RFC 2047, RFC 2231). Pure.

What is free text becomes encoded words; file names become extended parameters; where neither is
allowed (addresses, Message-ID), 8-bit octets become `X`, which is what Cyrus makes of them, and
what a presence key counts them as.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote_from_bytes

HIGH: Final = re.compile(rb"[\x80-\xff]")

_WORD_OCTETS: Final = 42
"""Octets of UTF-8 in one encoded word, which may have 75 characters in all."""

_WORD_LIMIT: Final = 900
"""No line holds a longer word."""

_ADDRESSES: Final = frozenset(
    b"list-id from to cc bcc sender reply-to resent-from resent-to resent-cc resent-bcc"
    b" resent-sender mail-followup-to errors-to disposition-notification-to delivered-to"
    b" x-original-to".split()
)
_PARAMETERS: Final = frozenset({b"content-type", b"content-disposition"})
_TOKENS: Final = frozenset({b"boundary", b"charset", b"type"})
_RIGID: Final = frozenset(
    b"message-id in-reply-to references resent-message-id content-id date resent-date received"
    b" return-path mime-version content-transfer-encoding dkim-signature"
    b" domainkey-signature".split()
)
_PROSE: Final = frozenset({b"subject", b"comments", b"thread-topic"})
_FREE: Final = re.compile(
    rb"\s+|=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=|(?:(?!=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=)\S)+"
)
_STRUCTURED: Final = re.compile(
    rb'\s+|(?<!\\)"(?:[^"\\]|\\.){0,998}"(?:@[^<>,;\s]*)?|<[^<>]*>|[^"<>,;:()\s]+|.', re.DOTALL
)
_PARAMETER: Final = re.compile(
    rb'(?<![^\s;"])([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.){0,998}"|[^;"\r\n]*[^;"\s])',
    re.DOTALL,
)
_ENCODED: Final = re.compile(rb"=\?([^?\s]+)\?([bBqQ])\?([^?\s]*)\?=\Z")
_CHARSET: Final = re.compile(rb'charset\s*=\s*"?([A-Za-z0-9._-]+)', re.IGNORECASE)
_EIGHT_BIT: Final = re.compile(
    "iso8859-[0-9]+|cp[0-9]+|koi8-[rut]|gb2312|gbk|gb18030|big5|big5hkscs|euc_jp|euc_kr|shift_jis|tis-620"
)
"""Python's names of the charsets in which people wrote headers as they were."""


def charset_of(text: bytes) -> str:
    """Return the first charset named in a text if headers were ever written in it; empty for any
    other.
    """
    found = _CHARSET.search(text)
    try:
        name = codecs.lookup(found[1].decode("ascii")).name if found else ""
    except (LookupError, ValueError):
        return ""
    return name if _EIGHT_BIT.fullmatch(name) else ""


def ascii_field(raw: bytes, charset: str = "") -> bytes:
    """Write a field, folded lines and all, in ASCII; `raw` has no last line end, and neither has
    the result.

    Octets that are no UTF-8 are read in `charset`, else as Windows does in the West. Words too long
    for a line are parted.
    """
    name, colon, value = raw.partition(b":")
    kind = name.strip().lower()
    if kind in _RIGID:
        coded = value
    elif kind in _PARAMETERS:
        names = frozenset(found[1].lower() for found in _PARAMETER.finditer(value))
        coded = _PARAMETER.sub(lambda found: _extended(found, names, charset), value)
    elif kind in _ADDRESSES:
        coded = b"".join(
            _coded(((piece, _phrase(piece)) for piece in _STRUCTURED.findall(value)), charset)
        )
    else:
        limit = _WORD_LIMIT if kind in _PROSE else len(value)
        coded = b"".join(
            _coded(((piece, _word(piece, limit)) for piece in _FREE.findall(value)), charset)
        )
    return HIGH.sub(b"X", name + colon + coded)


def _coded(pieces: Iterable[tuple[bytes, bytes | None]], charset: str) -> Iterator[bytes]:
    """Write pieces, those with a text as encoded words; words next to each other together, for the
    blanks between them count.
    """
    run: list[bytes] = []
    blank = b""
    before = b""
    for piece, text in pieces:
        if piece.isspace():
            blank += piece
            continue
        if text is not None:
            if run:
                run.append(_unfolded(blank))
            else:
                yield blank or (b"" if before in {b"", b"("} else b" ")
                # A reader drops the blank between two encoded words.
                run.append(b" " if blank and _ENCODED.match(before) else b"")
            run.append(text)
            blank = b""
            continue
        if run:
            yield _words(
                b"".join(run) + (b" " if blank and _ENCODED.match(piece) else b""), charset
            )
            run.clear()
            blank = blank or (b"" if piece in b",;:)" else b" ")
        yield blank + piece
        before, blank = piece, b""
    if run:
        yield _words(b"".join(run), charset)
    yield blank


def _phrase(piece: bytes) -> bytes | None:
    """Return what a piece of an address field says if it must become encoded words, None when it
    stays as it is.
    """
    quoted = len(piece) >= 2 and piece.startswith(b'"') and piece.endswith(b'"')
    if not HIGH.search(piece) or piece.startswith(b"<") or (b"@" in piece and not quoted):
        return None
    return _unquoted(piece) if quoted else piece


def _word(piece: bytes, limit: int) -> bytes | None:
    """Return what a word of a text says if it must become encoded words, None when it stays as
    it is.
    """
    if len(piece) <= limit and not HIGH.search(piece):
        return None
    encoded = _ENCODED.match(piece)
    if encoded is None:
        return piece
    # Octets that are in a word already say what its charset makes of them.
    text = (
        binascii.a2b_qp(encoded[3], header=True)
        if encoded[2] in b"qQ"
        else _from_base64(encoded[3])
    )
    try:
        return text.decode(encoded[1].decode("ascii").partition("*")[0]).encode("utf-8")
    except (LookupError, ValueError):
        return piece


def _from_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        return b"\xff"


def _words(raw: bytes, charset: str) -> bytes:
    """Write octets as encoded words, one a line."""
    coded: list[bytes] = []
    word = b""
    for character in _decoded(raw, charset):
        octets = character.encode("utf-8")
        if len(word) + len(octets) > _WORD_OCTETS:
            coded.append(word)
            word = b""
        word += octets
    coded.append(word)
    return b"\r\n ".join(
        b"=?utf-8?B?" + binascii.b2a_base64(word, newline=False) + b"?=" for word in coded
    )


def _extended(found: re.Match[bytes], names: frozenset[bytes], charset: str) -> bytes:
    """Write a parameter whose value has 8-bit octets in the extended form (RFC 2231 section 4)."""
    name, value = found[1], found[2]
    if not HIGH.search(value) or name.lower() in _TOKENS:
        return found[0]
    if name.endswith(b"*"):
        return HIGH.sub(lambda octet: b"%%%02X" % octet[0][0], found[0])
    # A reader would join the plain and the extended one.
    if b"*" in name or name.lower() + b"*" in names or name.lower() + b"*0*" in names:
        return found[0]
    value = _unquoted(value) if value.startswith(b'"') else value
    return (
        name
        + b"*=utf-8''"
        + quote_from_bytes(_decoded(value, charset).encode("utf-8"), safe="").encode("ascii")
    )


def _unquoted(quoted: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", _unfolded(quoted[1:-1]), flags=re.DOTALL)


def _unfolded(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"")


def _decoded(raw: bytes, charset: str) -> str:
    for name in ("utf-8", charset or "cp1252", "cp1252"):
        try:
            return raw.decode(name)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")
