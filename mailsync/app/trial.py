"""A first login: whether it works, and what there is to fetch; and where it could be kept."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mailsync.app import stores
from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.mapping import show
from mailsync.model import Scan, ScanRequest


@dataclass(frozen=True, slots=True)
class Holds:
    """A mailbox, and how many messages are in it, None where the server does not tell; a `view`
    shows messages of other mailboxes once more.
    """

    name: str
    messages: int | None
    view: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What a login found; `octets` are known over POP3 only."""

    mailboxes: tuple[Holds, ...]
    octets: int | None = None

    @property
    def messages(self) -> int | None:
        """How many there are without views, None where a mailbox does not tell."""
        counts = [mailbox.messages for mailbox in self.mailboxes if not mailbox.view]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None


def try_login(name: str, settings: Pop3Account | ImapAccount, password: str) -> Trial:
    """Log in once and look what there is; nothing is changed. Raises StoreError."""
    with closing(stores.trial(name, settings, password)) as source:
        listed = [mailbox for mailbox in source.mailboxes() if mailbox.selectable]
        if isinstance(settings, ImapAccount):
            return Trial(
                tuple(
                    Holds(
                        show(mailbox.path),
                        mailbox.state.messages if mailbox.state else None,
                        mailbox.is_view,
                    )
                    for mailbox in listed
                )
            )
        found, octets = [], 0
        for scan in source.scan([ScanRequest(mailbox) for mailbox in listed]):
            if isinstance(scan, Scan):
                found.append(Holds(show(scan.mailbox.path), len(scan.entries)))
                octets += sum(entry.size or 0 for entry in scan.entries)
        return Trial(tuple(found), octets)


def room(root: Path) -> int:
    """Return how many octets are free where `root` is, or would be made.

    Raises ValueError, with words, where nothing can be written there.
    """
    there = next(place for place in (root, *root.parents) if place.exists())
    if not there.is_dir():
        raise ValueError(f"cannot be made: {there} is no directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"cannot be made: {there} is not yours to write in")
    return shutil.disk_usage(there).free
