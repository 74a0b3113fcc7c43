"""Which names our mailboxes get on a server that cannot have them as they are: delimiters inside,
names that meet, refused names. Pure.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from mailsync.model import MailboxPath
from mailsync.stores.imap.command_queue import Result
from mailsync.stores.imap.mailbox_names import Names

_LONGEST: Final = 60
"""Messages of a name no server finds too long."""

_ODD: Final = re.compile(r"[^A-Za-z0-9 _-]+")
_OF_THE_NAME: Final = frozenset({b"", b"CANNOT", b"CLIENTBUG", b"BADCHARSET", b"PARSE"})
"""Codes of a refusal that another name may help against (RFC 5530); none is what most servers send.
"""

_NOT_OF_THE_NAME: Final = re.compile(
    r"permission|denied|read-?only|quota|limit|not allowed to", re.IGNORECASE
)


def fitted(names: Names, paths: Iterable[MailboxPath]) -> dict[MailboxPath, MailboxPath]:
    """Return each path the one that the server will list it under: no two the same, and every one
    that can stay stays.

    What the server cannot write (its delimiter inside a name) becomes `_`; of several that would
    meet then, those that need no change keep the place, and the others get a mark made of their own
    name, so that they get the same one in every run.
    """
    found: dict[MailboxPath, MailboxPath] = {}
    taken: set[bytes] = set()

    def order(path: MailboxPath) -> tuple[int, bool, MailboxPath]:
        return len(path), names.settled(path) != path, path

    whole = list(paths)
    for path in sorted(
        {one[:depth] for one in whole for depth in range(1, len(one) + 1)}, key=order
    ):
        above = found.get(path[:-1], ())
        place = names.settled((*above, path[-1]))
        if names.written(place) in taken:
            place = names.settled((*above, f"{path[-1]}-{_mark(path)}"))
        taken.add(names.written(place))
        found[path] = place
    return {one: found[one] for one in whole if one}


def proposals(path: MailboxPath) -> Iterator[MailboxPath]:
    """Yield plainer names for a mailbox whose name was refused, the nearest first; the same in
    every run, different for each path.
    """
    plainer = tuple(map(_plainer, path))
    if plainer != path:
        yield plainer
    yield (f"{'-'.join(map(_bare, path))[:_LONGEST]}-{_mark(path)}",)


def is_about_the_name(refusal: Result) -> bool:
    """Return whether another name may help where a mailbox could not be made."""
    return refusal.code in _OF_THE_NAME and not _NOT_OF_THE_NAME.search(refusal.text)


def _plainer(part: str) -> str:
    bare = _bare(part)
    return (
        part if bare == part or part.upper() == "INBOX" else f"{bare[:_LONGEST]}-{_mark((part,))}"
    )


def _bare(part: str) -> str:
    """Leave only what every server takes in a name."""
    messages = "".join(
        char for char in unicodedata.normalize("NFKD", part) if not unicodedata.combining(char)
    )
    return _ODD.sub("_", messages).strip(" ")


def _mark(path: MailboxPath) -> str:
    return hashlib.sha256("\0".join(path).encode("utf-8", "surrogatepass")).hexdigest()[:6]
