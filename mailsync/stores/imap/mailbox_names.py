"""Mailbox names: between what a server writes (namespace prefix, delimiter, modified UTF-7) and the
model's paths (RFC 9051 section 5.1, RFC 2342).

Sends nothing. A name that was listed is asked for in exactly the octets it was listed in, so
no codec can lose a mailbox.
"""

from __future__ import annotations

import re
from typing import Final

from mailsync.formats import mutf7
from mailsync.model import INBOX, MailboxPath

_HALF: Final = re.compile("[\ud800-\udfff]")


class Names:
    """The mailbox names of one server.

    Paths begin below the first personal namespace's prefix (`INBOX.` is not seen).
    """

    def __init__(
        self,
        personal: list[tuple[bytes, bytes | None]] | None = None,
        foreign: list[tuple[bytes, bytes | None]] | None = None,
        *,
        delimiter: bytes | None = b"/",
    ) -> None:
        spaces = personal or [(b"", delimiter)]
        self.prefix, self.delimiter = spaces[0]
        self._others = [prefix for prefix, _ in spaces[1:]]
        self._foreign = [prefix for prefix, _ in foreign or []]
        self._written: dict[MailboxPath, bytes] = {}
        self._listed: dict[bytes, MailboxPath] = {}

    def learn(self, name: bytes, delimiter: bytes | None) -> MailboxPath | None:
        """Take in a listed name and give its path; None when it is not the user's own (another
        user's, shared).
        """
        if not self._own(name):
            return None
        path = self._listed.get(name) or self._path(name, delimiter)
        if self._written.get(path, name) != name:
            # Two names the prefix alone tells apart: the later one keeps its whole name.
            path = tuple(_read(part) for part in _split(name, delimiter))
        if self._written.get(path, name) != name:
            # Two spellings of one text: the later one keeps its octets.
            path = tuple(part.decode("latin-1") for part in _split(name, delimiter))
        self._written[path] = name
        self._listed[name] = path
        return path

    def is_listed(self, path: MailboxPath) -> bool:
        """Return whether the server listed a mailbox that has this very path."""
        return path in self._written

    def written(self, path: MailboxPath) -> bytes:
        """Write a path as the server wants it: as it was listed, or composed; the delimiter inside
        a part becomes `_`.
        """
        known = self._written.get(path)
        if known is not None:
            return known
        if not path or (len(path) == 1 and path[0].upper() == "INBOX"):
            return b"INBOX"
        delimiter = self.delimiter or b""
        parts = [mutf7.encode(part).encode("ascii") for part in path]
        if delimiter:
            parts = [part.replace(delimiter, b"_") for part in parts]
        joined = (delimiter or b"_").join(parts)
        if path[0].upper() == "INBOX" and self.prefix.upper().startswith(b"INBOX"):
            return joined  # children of the inbox live under this prefix anyway
        return self.prefix + joined

    def listed_as(self, path: MailboxPath) -> MailboxPath:
        """Return the path a mailbox has once it is written and listed again: another one where the
        server cannot write this one.
        """
        for _ in range(len(path) + 1):  # an inbox below an inbox reads as one less each time
            name = self.written(path)
            path = self._listed.get(name) or self._path(name, self.delimiter)
        return path

    def _own(self, name: bytes) -> bool:
        """Whether the longest namespace prefix that fits is a personal one."""
        if name.upper() == b"INBOX":
            return True
        own = max(
            (len(prefix) for prefix in (self.prefix, *self._others) if _under(name, prefix)),
            default=-1,
        )
        foreign = max((len(prefix) for prefix in self._foreign if _under(name, prefix)), default=-1)
        return own >= foreign

    def _path(self, name: bytes, delimiter: bytes | None) -> MailboxPath:
        if name.upper() == b"INBOX":
            return INBOX
        inner = name
        if self.prefix and _under(name, self.prefix) and len(name) > len(self.prefix):
            inner = name[len(self.prefix) :]
        if inner.upper() == b"INBOX":
            inner = name  # `INBOX.INBOX` is not the inbox
        parts = [_read(part) for part in _split(inner, delimiter)]
        if parts[0].upper() == "INBOX":
            parts[0] = "INBOX"
        return tuple(parts)


def _read(name: bytes) -> str:
    """Read a name or a part of one: modified UTF-7, else UTF-8 or, failing that, octet by octet.

    What no text is written as (half a surrogate pair) stays as the server wrote it.
    """
    if not name.isascii():
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError:
            return name.decode("latin-1")
    written = name.decode("ascii")
    text = mutf7.decode(written)
    return written if _HALF.search(text) else text


def _under(name: bytes, prefix: bytes) -> bool:
    """Whether `name` is below `prefix`, or is the prefix less its delimiter; the INBOX part in any
    case.
    """
    head = name[: len(prefix)]
    if head == prefix or name == prefix[:-1]:
        return True
    return (
        prefix[:5].upper() == b"INBOX" and head[:5].upper() == b"INBOX" and head[5:] == prefix[5:]
    )


def _split(name: bytes, delimiter: bytes | None) -> list[bytes]:
    if not delimiter:
        return [name]
    return (name.removesuffix(delimiter) or name).split(delimiter)
