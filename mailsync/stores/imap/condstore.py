"""Only what changed since a scan: when it can be asked for, how, and which UIDs went (CONDSTORE and
QRESYNC, RFC 7162).
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Final

from mailsync.model import SyncState
from mailsync.stores.imap.session import Session

LAST_KNOWN: Final = 10
"""Messages looked at again with each question for changes."""


def keeps_changes(session: Session) -> bool:
    """Return whether the server can tell what changed."""
    return session.has(b"CONDSTORE") or session.has(b"QRESYNC")


def changed_since(session: Session, since: SyncState) -> bytes:
    """Write the modifier of a UID FETCH that asks only for changes; with QRESYNC also for the UIDs
    that vanished.
    """
    vanished = b" VANISHED)" if b"QRESYNC" in session.enabled else b")"
    return b" (CHANGEDSINCE %d" % (since.highestmodseq or 0) + vanished


def continues(since: SyncState | None, now: SyncState) -> bool:
    """Return whether changes since then can be asked for: same UIDs, mod-sequences kept, and
    nothing set back by a restored backup.
    """
    return (
        since is not None
        and since.uidvalidity == now.uidvalidity
        and (since.highestmodseq or 0) <= (now.highestmodseq or -1)
        and not 0 < now.uidnext < since.uidnext
    )


def last_known(since: SyncState) -> list[bytes]:
    """Name the last UIDs that were given by then. What they name tells whether the server went back
    to a backup and gave them to other messages since, under mod-sequences that it had given before.
    """
    last = since.uidnext - 1
    return [b"%d:%d" % (max(1, last - LAST_KNOWN + 1), last)] if last > 0 else []


def covered(existing: list[range], start: int, uids: Collection[int]) -> bool:
    """Return whether `uids` holds all those from `start` on."""
    return all(
        uid in uids
        for span in existing
        for uid in islice(range(max(start, span.start), span.stop), len(uids) + 1)
    )


def gaps(existing: list[range], end: int) -> tuple[range, ...]:
    """Name the UIDs below `end` that do not exist."""
    gaps = []
    expected = 1
    for span in sorted(existing, key=lambda span: span.start):
        if span.start > expected:
            gaps.append(range(expected, min(span.start, end)))
        expected = max(expected, span.stop)
        if expected >= end:
            break
    if expected < end:
        gaps.append(range(expected, end))
    return tuple(gap for gap in gaps if gap)
