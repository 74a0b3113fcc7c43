"""Numbers, sizes and times as people read them."""

from __future__ import annotations

import time


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


def moment(epoch: int, *, seconds: bool = False) -> str:
    """Write a time in the reader's own time zone: `2026-11-23 03:17`, to the second `:05`."""
    try:
        return time.strftime(f"%Y-%m-%d %H:%M{':%S' * seconds}", time.localtime(epoch))
    except (OverflowError, ValueError, OSError):
        return "?"
