"""Modified UTF-7, as mailbox names were written before IMAP learned UTF-8 (RFC 3501 section 5.1.3).

Any string comes back as it was.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final

_SHIFTED: Final = re.compile(r"[^\x20-\x7e]+")
_ENCODED: Final = re.compile(r"&([A-Za-z0-9+,]*)-")


def encode(name: str) -> str:
    """Write a name in ASCII."""
    return _SHIFTED.sub(lambda found: _shift(found[0]), name.replace("&", "&-"))


def decode(name: str) -> str:
    """Read a name; what is no valid encoding stays as it is, so that no server's slip makes a
    mailbox unreadable.
    """
    return _ENCODED.sub(lambda found: _unshift(found[1]) if found[1] else "&", name)


def _shift(text: str) -> str:
    return (
        "&"
        + b64encode(text.encode("utf-16-be", "surrogatepass"))
        .rstrip(b"=")
        .replace(b"/", b",")
        .decode("ascii")
        + "-"
    )


def _unshift(encoded: str) -> str:
    padded = encoded.replace(",", "/") + "=" * (-len(encoded) % 4)
    try:
        return b64decode(padded, validate=True).decode("utf-16-be", "surrogatepass")
    except ValueError:
        return f"&{encoded}-"
