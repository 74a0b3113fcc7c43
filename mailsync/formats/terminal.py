"""Foreign text made safe for a terminal, and fitted into its columns."""

from __future__ import annotations

import re
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
