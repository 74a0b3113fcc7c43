"""Foreign text made safe for a terminal, and fitted into its columns."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import combining, east_asian_width

_UNSAFE: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 (with the escape that begins an ANSI sequence), DEL, C1
    "\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069"  # direction, and what has no width
    "\u2028\u2029\u2060-\u2065\ufeff\ufffe\uffff"  # lines, joiners, byte order, no characters
    "\ud800-\udfff"  # lone surrogates, which no encoding can write
    "]+"
)


def plain(text: str, instead: str = "�") -> str:
    """Return a text with `instead` for every run of what could steer a terminal or deceive a
    reader: control characters, escapes, direction marks, lone surrogates.
    """
    return _UNSAFE.sub(instead, text)


def short(text: str, width: int) -> str:
    """Make one line of at most `width` characters."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters two, combining ones
    none.
    """
    if text.isascii():
        return len(text)
    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)


def padded(text: str, width: int) -> str:
    """Fill up with spaces to `width` columns of a terminal."""
    return text + " " * (width - columns(text))
