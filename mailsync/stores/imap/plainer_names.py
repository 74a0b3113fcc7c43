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
from mailsync.stores.imap.mailbox_names import Names

_LONGEST: Final = 60
"""Characters of a name no server finds too long."""

_ODD: Final = re.compile(r"[^A-Za-z0-9 _-]+")


def fitted(names: Names, paths: Iterable[MailboxPath]) -> dict[MailboxPath, MailboxPath]:
    """Return each path the one that the server will list it under: no two the same, and every one
    that can stay stays.

    What the server cannot write (its delimiter inside a name) becomes `_`; of several that would
    meet then, those that need no change keep the place, and the others get a mark made of their own
    name, so that they get the same one in every run.
    """
    whole = list(paths)
    # What is listed as it is stays, whatever its levels (some are empty) would be written as alone.
    found = {one: one for one in whole if names.is_listed(one)}
    taken = {names.written(one) for one in found}

    def order(path: MailboxPath) -> tuple[int, bool, MailboxPath]:
        return len(path), names.listed_as(path) != path, path

    levels = {one[:depth] for one in whole for depth in range(1, len(one) + 1)}
    for path in sorted(levels - found.keys(), key=order):
        above = found.get(path[:-1], ())
        place = names.listed_as((*above, path[-1]))
        if names.written(place) in taken:
            place = names.listed_as((*above, f"{path[-1]}-{_mark(path)}"))
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


def _plainer(part: str) -> str:
    bare = _bare(part)
    return (
        part if bare == part or part.upper() == "INBOX" else f"{bare[:_LONGEST]}-{_mark((part,))}"
    )


def _bare(part: str) -> str:
    """Leave only what every server takes in a name."""
    characters = "".join(
        char for char in unicodedata.normalize("NFKD", part) if not unicodedata.combining(char)
    )
    return _ODD.sub("_", characters).strip(" ")


def _mark(path: MailboxPath) -> str:
    return hashlib.sha256("\0".join(path).encode("utf-8", "surrogatepass")).hexdigest()[:6]
