"""Gmail's labels, as Google Takeout writes them in front of each message: which are mailboxes, and
which say what became of the message.

Pure; takes any bytes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mailsync.formats import header
from mailsync.formats.client_marks import keywords
from mailsync.model import INBOX, MailboxPath

ARCHIVE: Final[MailboxPath] = ("Archive",)
"""Where messages are that bear no label of a mailbox."""

_SYSTEM: Final[Mapping[str, MailboxPath]] = {
    "Inbox": INBOX,
    "Sent": ("Sent",),
    "Drafts": ("Drafts",),
    "Trash": ("Trash",),
    "Bin": ("Trash",),
    "Spam": ("Spam",),
}
_NO_MAILBOXES: Final = frozenset({"Archived", "Opened", "Important", "Unread", "Starred"})
_CATEGORY: Final = re.compile(r"Category [A-Z][a-z]+")
_KEYWORD: Final = "IMAP_"
KNOWN: Final = frozenset(_SYSTEM) | _NO_MAILBOXES
"""Google's own labels, in English; in other languages they have other names."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What the labels of one message say."""

    mailboxes: tuple[MailboxPath, ...]
    flags: frozenset[str]


def parse(written: bytes) -> list[str]:
    """Return the labels of a message: folded, encoded (RFC 2047), then parted by commas, those with
    commas in them in quotation marks.
    """
    try:
        rows = list(csv.reader([header.text(written)], skipinitialspace=True))
    except csv.Error:
        return []
    return [label.strip() for row in rows for label in row if label.strip()]


def read(labels: list[str], own: Mapping[str, str]) -> Labels:
    """Return what labels say; `own` gives Google's own ones in another language by their English
    names.
    """
    english = [own.get(label, label) for label in labels]
    mailboxes: dict[MailboxPath, None] = {}
    flags = set() if "Unread" in english else {"\\Seen"}
    flags |= {"\\Flagged"} if "Starred" in english else set()
    flags |= {"\\Draft"} if "Drafts" in english else set()
    for label in english:
        if label.startswith(_KEYWORD):
            flags |= set(keywords(label.removeprefix(_KEYWORD).encode()))
        elif label in _SYSTEM:
            mailboxes[_SYSTEM[label]] = None
        elif label not in _NO_MAILBOXES and not _CATEGORY.fullmatch(label):
            path = tuple(part for part in label.split("/") if part)
            mailboxes[path if len(path) != 1 or path[0].upper() != "INBOX" else INBOX] = None
    return Labels(tuple(path for path in mailboxes if path) or (ARCHIVE,), frozenset(flags))
