"""What a server says to people, fit for their terminal and for a line of a report."""

from __future__ import annotations

from typing import Final

from mailsync.formats.redaction import Redactor
from mailsync.formats.terminal import plain

_LONGEST: Final = 300
_JUDGED: Final = 4 * _LONGEST


def shown(words: bytes, redactor: Redactor) -> str:
    """Return a server's words without what `redactor` hides, control characters, escapes and hidden
    direction changes, and cut where they never end.
    """
    text = plain(redactor.hide(words).decode("utf-8", "replace").strip(), "?").strip()
    # Once more: a secret may hold what stands for a control character now, or for the cut.
    return redactor.hidden(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")


def judged(words: bytes) -> str:
    """Return a server's words as they are, for whoever judges what they mean; never for people."""
    return words[:_JUDGED].decode("utf-8", "replace").strip()
