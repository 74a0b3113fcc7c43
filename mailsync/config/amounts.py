"""Spans of time and amounts of octets as people write them."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
DURATION_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,3})? ?[smhdw]$"


_SIZES: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
SIZE_PATTERN: Final = r"^[0-9]{1,12}(\.[0-9]{1,3})? ?([kKmMgGtT]?[bB])$"


def size(text: str) -> int:
    """Read `500MB`, `2 GB`, `1.5gb` as octets, in powers of ten.

    Raises ValueError, with words for the person who wrote it.
    """
    written = text.strip()
    found = re.fullmatch(SIZE_PATTERN, written)
    if not found:
        raise ValueError("must be a number with a unit: 500kB, 20MB or 2GB")
    unit = found[2].lower().removesuffix("b")
    return int(float(written.removesuffix(found[2])) * _SIZES[unit])


def duration(text: str) -> float:
    """Read `90s`, `10m`, `26h`, `30d`, `2w` as seconds.

    Raises ValueError, with words for the person who wrote it.
    """
    written = text.strip().lower()
    if not re.fullmatch(DURATION_PATTERN, written):
        raise ValueError("must be a number with a unit: 90s, 10m, 26h, 30d or 2w")
    return float(written[:-1]) * _UNITS[written[-1]]
