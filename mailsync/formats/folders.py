"""Mailbox paths as Maildir++ folder names, and back: `.Archive.2024`, the empty name for the inbox.

Parts are joined by dots, non-ASCII is modified UTF-7, and what has a meaning to any disk (FAT and
network shares too) or to the format is escaped as `%2e`, a dot inside a name, which Dovecot reads
with % as the escape character of its listescape. No name can leave the tree: none holds a slash,
none is `.` or `..`, none ends in a blank.

Earlier versions wrote `\\2e` for that, where disks allow it; such names are read for ever, and an
archive keeps the folders that it has. Of their names those that hold `%2e` (or another escape) and
no backslash are ambiguous; there the catalogue tells.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from mailsync.formats import mutf7
from mailsync.model import INBOX, MailboxPath

NAME_LIMIT: Final = 255
"""Octets a folder name may have on every disk worth trusting."""

_KEPT: Final = 120
_SPECIAL: Final = re.compile(r'[%./\\:*?"<>|]| \Z')
_ESCAPED: Final = re.compile("%(25|2e|2f|5c|3a|2a|3f|22|3c|3e|7c|20)")
_EMPTY: Final = "%_"
_ESCAPED_BEFORE: Final = re.compile(r"\\([0-9a-f]{2})")
_EMPTY_BEFORE: Final = "\\_"
_SHORTENED: Final = re.compile(r"[%\\]~[0-9a-f]{32}\Z")


def folder_name(path: MailboxPath, *, hashed: bool = False) -> str:
    """Name the folder of a mailbox.

    A name over NAME_LIMIT is cut and ends in `%~` and a hash of the whole; so does any name with
    `hashed`, for disks on which it would clash with another one in all but case. The archive keeps
    the whole path of such a folder in a file.
    """
    if path == INBOX:
        return ""
    full = "." + ".".join(_escape(part) for part in path or ("",))
    if not hashed and len(full) <= NAME_LIMIT:
        return full
    whole = sha256(full.encode("ascii")).hexdigest()[:32]
    return f"{full[:_KEPT].rstrip('.')}%~{whole}"


def is_shortened(name: str) -> bool:
    """Return whether a folder's name is only the beginning of its mailbox's path."""
    return bool(_SHORTENED.search(name))


def path_of(name: str) -> MailboxPath:
    """Read a folder name that is not shortened."""
    if not name:
        return INBOX
    read = _unescape_before if "\\" in name else _unescape
    return tuple(read(part) for part in name.removeprefix(".").split("."))


def _escape(part: str) -> str:
    if not part:
        return _EMPTY
    return _SPECIAL.sub(lambda found: f"%{ord(found[0]):02x}", mutf7.encode(part))


def _unescape(part: str) -> str:
    if part == _EMPTY:
        return ""
    return mutf7.decode(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), part))


def _unescape_before(part: str) -> str:
    if part == _EMPTY_BEFORE:
        return ""
    return mutf7.decode(_ESCAPED_BEFORE.sub(lambda found: chr(int(found[1], 16)), part))
