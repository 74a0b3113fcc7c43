"""Whether the archive has what the server has: every message of a complete listing against the
places the catalogue knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mailsync.engine.memory import MailboxMemory
from mailsync.errors import MailboxError, MailboxMissing
from mailsync.model import Entry, Known, Mailbox, MailboxPath, Scan, ScanRequest, UidlRef
from mailsync.plan import plan_pull
from mailsync.stores.base import Source


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a listing of one mailbox found.

    `on_server` messages are there. `missing` ones the archive does not have; of `damaged` ones no
    file is sound; `reflagged` have other flags by now. `nameless` have no name of their own on the
    server, so that only their number can be compared: by `short` of them the archive has too few.
    `gone` are only in the archive. `renumbered`: the server's UIDs mean other messages than at the
    last pull, so that only the next one can tell. `trouble`: why the mailbox, or a part of it,
    could not be listed.
    """

    mailbox: MailboxPath
    on_server: int = 0
    missing: tuple[Entry, ...] = ()
    damaged: tuple[Entry, ...] = ()
    reflagged: int = 0
    nameless: int = 0
    short: int = 0
    gone: int = 0
    renumbered: bool = False
    trouble: str = ""

    @property
    def covered(self) -> int:
        """How many messages of the server the archive has, soundly."""
        return self.on_server - len(self.missing) - len(self.damaged) - self.short

    @property
    def complete(self) -> bool:
        """Whether the archive has them all."""
        return not self.trouble and self.covered == self.on_server


def cover(
    source: Source,
    memory: MailboxMemory,
    live: Mapping[MailboxPath, int],
    mailboxes: Iterable[Mailbox],
) -> Iterator[Coverage]:
    """List these mailboxes in full and compare; no message is fetched, and nothing changes
    anywhere. Raises StoreUnavailable.

    `live` returns how many messages of each mailbox the archive takes to be on the server.
    """
    for scan in source.scan(ScanRequest(mailbox) for mailbox in mailboxes):
        if isinstance(scan, MailboxMissing):
            continue
        if isinstance(scan, MailboxError):
            yield Coverage(scan.mailbox, trouble=str(scan))
        else:
            yield compare(scan, memory.known(scan), live.get(scan.mailbox.path, 0))


def compare(scan: Scan, known: Known, live: int) -> Coverage:
    """Compare a full listing with what is known of the mailbox; `live` as for `cover`."""
    plan = plan_pull(scan, known)
    nameless = sum(_is_nameless(entry) for entry in scan.entries)
    missing = tuple(entry for entry in plan.new if not _is_nameless(entry))
    named = len(scan.entries) - nameless - len(missing)
    return Coverage(
        scan.mailbox.path,
        on_server=len(scan.entries),
        missing=missing,
        damaged=plan.damaged,
        reflagged=len(plan.reflag),
        nameless=nameless,
        short=max(0, nameless - max(0, live - named)),
        gone=len(plan.gone),
        renumbered=plan.renewed,
        trouble="; ".join(scan.unlisted),
    )


def _is_nameless(entry: Entry) -> bool:
    return isinstance(entry.ref, UidlRef) and entry.ref.uidl is None
