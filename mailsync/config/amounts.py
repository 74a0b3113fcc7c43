"""Spans of time as people write them."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
DURATION_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,3})? ?[smhdw]$"


def duration(text: str) -> float:
    """Read `90s`, `10m`, `26h`, `30d`, `2w` as seconds. Raises ValueError, with words for the person who wrote it."""
    written = text.strip().lower()
    if not re.fullmatch(DURATION_PATTERN, written):
        raise ValueError("must be a number with a unit: 90s, 10m, 26h, 30d or 2w")
    return float(written[:-1]) * _UNITS[written[-1]]
