"""Header fields with 8-bit octets written as ASCII, so that every reader decodes what was meant (RFC 2047, RFC 2231). Pure.

What is free text becomes encoded words; file names become extended parameters; where neither is allowed (addresses, Message-ID),
8-bit octets become `X`, which is what Cyrus makes of them, and what a presence key counts them as.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote_from_bytes

HIGH: Final = re.compile(rb"[\x80-\xff]")

_WORD_OCTETS: Final = 42
"""Octets of UTF-8 in one encoded word, which may have 75 characters in all."""

_ADDRESSES: Final = frozenset(
    b"from to cc bcc sender reply-to resent-from resent-to resent-cc resent-bcc resent-sender mail-followup-to errors-to "
    b"disposition-notification-to delivered-to x-original-to".split()
)
_PARAMETERS: Final = frozenset({b"content-type", b"content-disposition"})
_RIGID: Final = frozenset(
    b"message-id in-reply-to references resent-message-id content-id date resent-date received return-path mime-version "
    b"content-transfer-encoding list-id dkim-signature domainkey-signature".split()
)
_FREE: Final = re.compile(rb"\s+|\S+")
_STRUCTURED: Final = re.compile(rb'\s+|"(?:[^"\\]|\\.)*"|<[^<>]*>|[^"<>,;:()\s]+|.', re.DOTALL)
_PARAMETER: Final = re.compile(rb'([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]+)', re.DOTALL)
_ENCODED: Final = re.compile(rb"=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=\Z")


def ascii_field(raw: bytes) -> bytes:
    """Write a field, folded lines and all, in ASCII; `raw` has no last line end, and neither has the result."""
    name, colon, value = raw.partition(b":")
    kind = name.strip().lower()
    if kind in _RIGID:
        coded = value
    elif kind in _PARAMETERS:
        coded = _PARAMETER.sub(_extended, value)
    else:
        addresses = kind in _ADDRESSES
        coded = b"".join(_coded((_STRUCTURED if addresses else _FREE).findall(value), addresses=addresses))
    return HIGH.sub(b"X", name + colon + coded)


def _coded(pieces: list[bytes], *, addresses: bool) -> Iterator[bytes]:
    """Write pieces, those that need it as encoded words; words next to each other together, for the blanks between them count."""
    run: list[bytes] = []
    blank = b""
    before = b""
    for piece in pieces:
        if piece.isspace():
            blank += piece
            continue
        text = _text(piece, addresses=addresses)
        if text is not None:
            if run:
                run.append(b" " if blank else b"")
            else:
                yield blank or (b" " if before else b"")
                # A reader drops the blank between two encoded words.
                run.append(b" " if _ENCODED.match(before) else b"")
            run.append(text)
            blank = b""
            continue
        if run:
            yield _words(b"".join(run) + (b" " if blank and _ENCODED.match(piece) else b""))
            run.clear()
            blank = blank or (b"" if piece in b",;:)" else b" ")
        yield blank + piece
        before, blank = piece, b""
    if run:
        yield _words(b"".join(run))


def _text(piece: bytes, *, addresses: bool) -> bytes | None:
    """Give what a piece says if it must become encoded words, None when it stays as it is."""
    if not HIGH.search(piece) or (addresses and (piece.startswith(b"<") or b"@" in piece.strip(b'"'))):
        return None
    if addresses and len(piece) >= 2 and piece.startswith(b'"'):
        return re.sub(rb"\\(.)", rb"\1", piece[1:-1], flags=re.DOTALL)
    return piece


def _words(raw: bytes) -> bytes:
    """Write octets as encoded words, one a line; what is no UTF-8 is taken for Latin-1."""
    coded: list[bytes] = []
    word = b""
    for character in _decoded(raw):
        octets = character.encode("utf-8")
        if len(word) + len(octets) > _WORD_OCTETS:
            coded.append(word)
            word = b""
        word += octets
    coded.append(word)
    return b"\r\n ".join(b"=?utf-8?B?" + binascii.b2a_base64(word, newline=False) + b"?=" for word in coded)


def _extended(found: re.Match[bytes]) -> bytes:
    """Write a parameter whose value has 8-bit octets in the extended form (RFC 2231 section 4)."""
    name, value = found[1], found[2]
    if not HIGH.search(value) or name.endswith(b"*"):
        return found[0]
    if value.startswith(b'"'):
        value = re.sub(rb"\\(.)", rb"\1", value[1:-1], flags=re.DOTALL)
    return name + b"*=utf-8''" + quote_from_bytes(_decoded(value).encode("utf-8"), safe="").encode("ascii")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
