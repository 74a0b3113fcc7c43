"""What a server says to people, fit for their terminal and for a line of a report."""

from __future__ import annotations

from typing import Final

from mailsync.formats.terminal import plain

_LONGEST: Final = 300


def shown(words: bytes | str) -> str:
    """Return a server's words without control characters, escapes and hidden direction changes,
    and cut where they never end.
    """
    if isinstance(words, bytes):
        words = words[: 4 * _LONGEST].decode("utf-8", "replace")
    words = plain(words.strip(), "?").strip()
    return words if len(words) <= _LONGEST else words[:_LONGEST] + "…"
