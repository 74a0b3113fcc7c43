"""What a file holds, by how it begins: mail of some kind, or something else.

Pure; takes any bytes.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from typing import Final

_LINE: Final = re.compile(rb"([!-9;-~]{1,76})[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*")
_OTHERS: Final = (
    (b"\1\1\1\1\n", "an MMDF mailbox"),
    (b"BABYL OPTIONS", "a Babyl mailbox of Emacs"),
    (b"!BDN", "an Outlook data file (.pst, .ost)"),
    (b"\xcf\xad\x12\xfe", "an Outlook Express folder (.dbx)"),
)
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SENDER: Final = b"from"
_ONE_OF: Final = frozenset({b"date", b"received", b"message-id", b"subject"})
_MOST_LINES: Final = 200
_UNPACKED: Final = 4096


def is_message(head: bytes) -> bool:
    """Return whether a file that begins so holds a message: a header with a sender, and one more of
    the fields that every message has.
    """
    names: set[bytes] = set()
    at = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    for _ in range(_MOST_LINES):
        line = _LINE.match(head, at)
        if line is None or line.end() == at:
            break
        names.add(line[1].lower())
        at = line.end()
    return _SENDER in names and not names.isdisjoint(_ONE_OF)


def other_kind(name: str, head: bytes) -> str:
    """Return what kind of mail a file holds that cannot be read; empty for one that holds none."""
    for magic, words in _OTHERS:
        if head.startswith(magic):
            return words
    lower = name.lower()
    if head.startswith(_OLE) and lower.endswith(".msg"):
        return "an Outlook message (.msg)"
    if lower.endswith(".olm") and head.startswith(b"PK"):
        return "an export of Outlook for Mac (.olm)"
    return ""


def unpacked_head(head: bytes) -> bytes:
    """Return how a compressed file begins, as far as these octets tell; empty for any other."""
    try:
        if head.startswith(b"\x1f\x8b\x08"):
            return zlib.decompressobj(wbits=31).decompress(head, _UNPACKED)
        if head.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(head, _UNPACKED)
        if head.startswith(b"\xfd7zXZ\0"):
            return lzma.LZMADecompressor().decompress(head, _UNPACKED)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError):
        pass
    return b""
