"""What the size a message was listed with says of the content that came. Pure.

RFC 9051 section 2.3.4 wants it to the octet, and some servers only estimate it; so what does not
fit is asked for alone once more, and is believed when its header is the one the server shows by
itself; where far less came than was announced, it is kept as a part.
"""

from __future__ import annotations

from typing import Final

from mailsync.formats import header
from mailsync.model import Entry

_TELLING: Final = 8
"""So many messages whose headers, and not their sizes, are right: this server's are estimates."""

_FIELDS: Final = (b"message-id", b"date", b"from", b"subject")


class BodySizes:
    """Judges the contents of one pass, in the order they come."""

    def __init__(self) -> None:
        self._estimates = 0

    def doubt(self, entry: Entry, content: bytes, *, alone: bool) -> str:
        """Return why a content cannot be taken, or for a part only, as told to a person; empty when
        it can be, or when its header must speak for it (`needs_header`). `alone`: it was asked for
        again.
        """
        size, octets = entry.size or 0, len(content)
        if 4 * octets < 3 * size:
            return f"only {octets:,} of the {size:,} octets that the server announced came"
        if alone or not self.needs_header(entry, content):
            return ""
        return f"{octets:,} octets came, and the server announced {size:,}"

    def needs_header(self, entry: Entry, content: bytes) -> bool:
        """Return whether the size does not say that this is the message that was asked for."""
        return bool(entry.size) and entry.size != len(content) and self._estimates < _TELLING

    def is_shown(self, content: bytes, head: bytes, *, whole: bool = True) -> bool:
        """Return whether a content has the header that the server shows by itself, and learn of the
        sizes of those that are `whole`.
        """
        same = (not whole and head.startswith(content)) or all(
            header.all_(head, name) == header.all_(content, name) for name in _FIELDS
        )
        self._estimates += same and whole
        return same

    def is_end(self, end: bytes, shown: bytes) -> bool:
        """Return whether a content that came short ends as the message does, by what the server
        shows from there on, and learn that its sizes are estimates.
        """
        self._estimates += end == shown
        return end == shown
