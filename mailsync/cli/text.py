"""Numbers, times and foreign text as people read them."""

from __future__ import annotations

import re
import time
from typing import Final
from unicodedata import combining, east_asian_width

_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Replace what could steer a terminal or deceive a reader: control characters, escapes,
    direction marks, lone surrogates.
    """
    return _UNSAFE.sub("�", text)


def short(text: str, width: int) -> str:
    """Make one line of at most `width` characters."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def padded(text: str, width: int) -> str:
    """Fill up with spaces to `width` columns of a terminal, on which wide characters take two and
    combining ones none.
    """
    columns = sum(
        0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text
    )
    return text + " " * (width - columns)


def octets(count: float) -> str:
    """Write a size with three digits that matter: `63.1 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def messages(count: int) -> str:
    """Count messages: `1 message`, `2,000 messages`."""
    return f"{count:,} message{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """Write a length of time roughly: `45 s`, `3 min`, `26 h`, `12 days`."""
    for limit, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"


def moment(epoch: int) -> str:
    """Write a time in the reader's own time zone: `2026-11-23 03:17`."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch))
    except (OverflowError, ValueError, OSError):
        return "?"
