"""Which letters of an archive go to which mailbox of a destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mailsync.archive import Archive
from mailsync.model import Letter, Mailbox, MailboxPath


@dataclass(frozen=True, slots=True)
class Target:
    """A mailbox of ours, where it goes, and, for a view, that only letters living nowhere else go there."""

    ours: MailboxPath
    theirs: MailboxPath
    only_here: bool = False


@dataclass(slots=True)
class Targets:
    """All of a push's targets by destination mailbox, over the letters of one account."""

    archive: Archive
    account: str
    theirs: Sequence[Mailbox]
    by_theirs: dict[MailboxPath, list[Target]] = field(default_factory=dict)
    subscribed: frozenset[MailboxPath] = frozenset()
