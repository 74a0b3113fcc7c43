"""Whether a message of several parts is whole: its last boundary tells (RFC 2046 section 5.1)."""

from __future__ import annotations

import re
from typing import Final

from mailsync.formats import header

_BOUNDARY: Final = re.compile(rb"""boundary\s*=\s*(?:"([^"]+)"|([^\s";]+))""", re.IGNORECASE)


def is_closed(content: bytes) -> bool | None:
    """Return whether a message has the last boundary of its parts; None where its header names no
    boundary.
    """
    found = _BOUNDARY.search(header.first(content, b"content-type") or b"")
    if found is None:
        return None
    return b"\n--" + (found[1] or found[2]) + b"--" in content
