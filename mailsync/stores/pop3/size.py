"""What the size in LIST says of the octets that came. Pure.

It counts CRLF line ends (RFC 1939 section 11), but servers also count the bare LF on their disk,
dots that are doubled on the way, or a missing last line end that they add (Dovecot: LIST 37, RETR
39); some only estimate (Exchange, by default).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

_LAST_LINE_END: Final = 2


class Fit(Enum):
    """How a content fits the size that was announced for it."""

    EXACT = "exact"
    """To the octet: another message would hardly fit."""
    NEAR = "near"
    """Within what line ends and dots account for; or no size was announced."""
    SHORT = "short"
    """Less came than was announced."""
    LONG = "long"
    """More came than was announced; nothing is missing at least."""


def fit(announced: int | None, content: bytes) -> Fit:
    """Compare an announced size with what came."""
    if announced is None:
        return Fit.NEAR
    if fits_exactly(announced, content):
        return Fit.EXACT
    dots = content.count(b"\n.") + content.startswith(b".")
    if announced > len(content) + dots + _LAST_LINE_END:
        return Fit.SHORT
    if announced < len(content) - content.count(b"\n") - _LAST_LINE_END:
        return Fit.LONG
    return Fit.NEAR


def fits_exactly(announced: int | None, content: bytes) -> bool:
    """Return whether a content has just this size, but for a last line end that was added."""
    return announced is not None and len(content) - announced in {0, _LAST_LINE_END}


def is_most(announced: int | None, content: bytes) -> bool:
    """Return whether so much came that the rest may be an error in the size: an estimate."""
    return 4 * len(content) >= 3 * (announced or 0)
