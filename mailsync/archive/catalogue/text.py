"""How the catalogue writes mailbox paths and flags: as people do, and reversibly even where a name
is no proper text.
"""

from __future__ import annotations

import re
from typing import Final

from mailsync.mapping import parse_name, show
from mailsync.model import MailboxPath

_MARK: Final = "\ufdd0"
"""A code point that is no character, so that no name needs it for itself; four hexadecimal digits
follow.
"""

_UNWRITABLE: Final = re.compile(f"[\ud800-\udfff{_MARK}]")
_WRITTEN: Final = re.compile(f"{_MARK}([0-9a-f]{{4}})")


def write_path(path: MailboxPath) -> str:
    """Return the text of a path; a lone surrogate, which SQLite refuses, is spelled out."""
    return _UNWRITABLE.sub(lambda found: f"{_MARK}{ord(found[0]):04x}", show(path))


def read_path(text: str) -> MailboxPath:
    """Return the path that `write_path` wrote as this text."""
    return parse_name(_WRITTEN.sub(lambda found: chr(int(found[1], 16)), text))


def write_flags(flags: frozenset[str]) -> str:
    """Return the text of a set of flags."""
    return " ".join(sorted(flags))


def storable(text: str) -> str:
    """Return text that SQLite can hold: half a surrogate pair is no character."""
    return text.encode("utf-8", "replace").decode("utf-8")


class FlagSets:
    """Reads flags; equal sets are one object, so that a hundred thousand messages stay small."""

    def __init__(self) -> None:
        self._sets: dict[str, frozenset[str]] = {}

    def read(self, text: str) -> frozenset[str]:
        """Return the set that `write_flags` wrote as this text."""
        found = self._sets.get(text)
        if found is None:
            found = self._sets[text] = frozenset(text.split())
        return found
