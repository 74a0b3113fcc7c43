"""Mailbox paths as the catalogue writes them: as people do, and reversibly even where a name is no
proper text.
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
    """Read what `write_path` wrote."""
    return parse_name(_WRITTEN.sub(lambda found: chr(int(found[1], 16)), text))
