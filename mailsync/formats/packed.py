"""Single files that a server compressed: recognised by how they begin, and unpacked to a limit.

Pure; takes any bytes.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Final

_GZIP: Final = b"\x1f\x8b\x08"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\0"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class Unpackable(Exception):
    """A file cannot be unpacked; its text tells a person why."""


def unpacked(content: bytes, most: int) -> bytes:
    """Return what a file holds, unpacked if it is compressed; no message begins as such files do.

    Raises Unpackable where that is broken, or larger than `most` octets.
    """
    try:
        plain = _unpacked(content, most)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
        raise Unpackable(f"is compressed, and broken: {error}") from None
    if len(plain) > most:
        raise Unpackable("is larger than any message when it is unpacked")
    return plain


def _unpacked(content: bytes, most: int) -> bytes:
    if content.startswith(_GZIP):
        unpacker = zlib.decompressobj(wbits=31)
        plain = unpacker.decompress(content, most + 1)
        if len(plain) <= most and not unpacker.eof:
            raise EOFError("its end is missing")
        return plain
    for magic, decompressor in ((_BZIP2, bz2.BZ2Decompressor), (_XZ, lzma.LZMADecompressor)):
        if content.startswith(magic):
            one = decompressor()
            plain = one.decompress(content, most + 1)
            if len(plain) <= most and not one.eof:
                raise EOFError("its end is missing")
            return plain
    return _zstd(content, most) if content.startswith(_ZSTD) else content


def _zstd(content: bytes, most: int) -> bytes:
    try:
        import zstandard  # noqa: PLC0415  an extra, and rarely needed
    except ImportError:
        raise Unpackable(
            "is compressed with zstd: install mailsync with the extra [zstd] to read it"
        ) from None
    try:
        with zstandard.ZstdDecompressor().stream_reader(content) as reader:
            pieces = []
            left = most + 1
            while left > 0 and (piece := reader.read(min(left, 1 << 20))):
                pieces.append(piece)
                left -= len(piece)
            plain = b"".join(pieces)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    if not plain:
        raise EOFError("its end is missing")
    return plain
