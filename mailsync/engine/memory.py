"""What the engine may ask an archive of the mailboxes of a server; it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mailsync.model import Entry, Known, MailboxPath, Scan, SyncState


class MailboxMemory(Protocol):
    """What a pull goes by: which messages the archive knows, and when it last had them all."""

    def state(self, mailbox: MailboxPath) -> SyncState | None:
        """Return the last complete state of a mailbox."""

    def known(self, scan: Scan) -> Known:
        """Return what the catalogue holds of the mailbox of `scan`."""


class HeldMessages(Protocol):
    """What a deletion on a POP3 server goes by."""

    def held(self, entries: Sequence[Entry], before: int) -> Mapping[Entry, bytes]:
        """Return the messages, with their digests, that were fetched before that time and are
        stored as they were.
        """
