"""What Proton Mail's export tool writes beside each message (`.metadata.json`), and of the folders
and labels of an account (`labels.json`).

Pure; takes any bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mailsync.model import INBOX, NO_FLAGS, MailboxPath

ARCHIVE: Final[MailboxPath] = ("Archive",)
_LABEL: Final = 1
_FOLDER: Final = 3
_SYSTEM: Final[Mapping[str, MailboxPath]] = {
    "0": INBOX,
    "3": ("Trash",),
    "4": ("Spam",),
    "6": ARCHIVE,
    "7": ("Sent",),
    "8": ("Drafts",),
}
"""Proton's own folders; the other numbers are views of all mail, all that was sent and the like."""
_STARRED: Final = "10"
_DRAFT: Final = "8"
_LABELS: Final = "Labels"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a message is, what was said of it, and when it came, in epoch seconds."""

    mailboxes: tuple[MailboxPath, ...] = (ARCHIVE,)
    flags: frozenset[str] = NO_FLAGS
    received: int | None = None


def labels(written: bytes) -> dict[str, MailboxPath]:
    """Return the mailboxes of an account by their numbers: folders by their names, labels below one
    of their own. Empty for anything else.
    """
    found: dict[str, MailboxPath] = {}
    listed = _payload(written)
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, dict) or one.get("Type") not in {_LABEL, _FOLDER}:
            continue
        path = _parts(one.get("Path")) or _parts(one.get("Name"))
        if path and isinstance(one.get("ID"), str):
            found[one["ID"]] = path if one["Type"] == _FOLDER else (_LABELS, *path)
    return found


def _parts(written: object) -> MailboxPath:
    names = written.split("/") if isinstance(written, str) else written
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(name for name in names if name)


def placed(written: bytes, known: Mapping[str, MailboxPath]) -> Placed | None:
    """Return what the list beside a message says; None for anything else."""
    told = _payload(written)
    numbers = told.get("LabelIDs") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(numbers, list):
        return None
    ids = [one for one in numbers if isinstance(one, str)]
    paths = [path for one in ids if (path := _SYSTEM.get(one) or known.get(one))]
    flags = set() if told.get("Unread") else {"\\Seen"}
    flags |= {"\\Flagged"} if _STARRED in ids else set()
    flags |= {"\\Draft"} if _DRAFT in ids else set()
    flags |= {"\\Answered"} if told.get("IsReplied") or told.get("IsRepliedAll") else set()
    flags |= {"$Forwarded"} if told.get("IsForwarded") else set()
    time = told.get("Time")
    received = time if isinstance(time, int) and 0 < time < 2**40 else None
    return Placed(tuple(dict.fromkeys(paths)) or (ARCHIVE,), frozenset(flags), received)


def _payload(written: bytes) -> Any:  # noqa: ANN401  JSON of strangers
    try:
        read = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return read.get("Payload") if isinstance(read, dict) else None
