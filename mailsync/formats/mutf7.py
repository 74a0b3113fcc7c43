"""Modified UTF-7, as mailbox names were written before IMAP learned UTF-8 (RFC 3501 section 5.1.3).

The one codec for names on servers and on disk. Any string comes back as it was, halves of surrogate
pairs too, although no character is written so.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final

_SHIFTED: Final = re.compile(r"[^\x20-\x7e]+|&")
_ENCODED: Final = re.compile(r"&([A-Za-z0-9+,]*)-")
_BETWEEN_HALVES: Final = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")
"""Where two halves that stand side by side would be read as one character."""


def encode(name: str) -> str:
    """Write a name in ASCII."""
    return _SHIFTED.sub(lambda found: _shift(found[0]), name)


def decode(name: str) -> str:
    """Read a name; one that is no valid encoding stays whole as it is, so that no server's slip
    makes a mailbox unreadable. Never raises.
    """
    try:
        return _ENCODED.sub(lambda found: _unshift(found[1]), name)
    except ValueError:
        return name


def _shift(text: str) -> str:
    if text == "&":
        return "&-"
    return "".join(f"&{_base64(part)}-" for part in _BETWEEN_HALVES.split(text))


def _base64(text: str) -> str:
    octets = text.encode("utf-16-be", "surrogatepass")
    return b64encode(octets).rstrip(b"=").replace(b"/", b",").decode("ascii")


def _unshift(coded: str) -> str:
    """Read what stands between `&` and `-`. Raises ValueError."""
    if not coded:
        return "&"
    padded = coded.replace(",", "/") + "=" * (-len(coded) % 4)
    return b64decode(padded, validate=True).decode("utf-16-be", "surrogatepass")
