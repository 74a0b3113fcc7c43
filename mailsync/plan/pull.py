"""What a pull has to do in one mailbox: a scan against what the catalogue holds of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zlib import crc32

from mailsync.model import (
    Entry,
    Known,
    KnownMessage,
    Mailbox,
    MailboxPath,
    Scan,
    SyncState,
    UidlRef,
    UidRef,
)

ALARM_SHARE = 0.2
ALARM_COUNT = 20
"""More than this share and more than this many messages gone at once is said loudly: rarely what
the owner meant.
"""

LOOKED_AT_EVERY: Final = 7
"""Runs within which every mailbox is opened, whatever the server's counters say."""

_QUARTER = 900
_MOST_ZONES = 26 * 3600
"""Time zones are quarters of an hour apart, and no two of them more than this."""


def alarming(vanished: int, left: int) -> bool:
    """Return whether so many messages vanished from a mailbox, in which so many are left, that a
    person must know.
    """
    return vanished > ALARM_COUNT and vanished > ALARM_SHARE * (vanished + left)


def stands_still(mailbox: Mailbox, last: SyncState | None) -> bool:
    """Return whether nothing happened in a mailbox since `last`, by the server's own counters (RFC
    7162, RFC 5819).

    Without HIGHESTMODSEQ a flag may have changed unseen, and without a STATUS line anything may
    have: both mean no. Of files nobody knows how many messages they hold before they are read.
    """
    now = mailbox.state
    if now is None or last is None or now.highestmodseq is None:
        return False
    if not now.uidvalidity:
        return now.highestmodseq == last.highestmodseq
    return now == last


def is_due(path: MailboxPath, run: int) -> bool:
    """Return whether a mailbox is opened in this run although the server's counters stand still.

    Counters may be stale (a proxy, a replica, a broken index). Each mailbox is opened once in
    LOOKED_AT_EVERY runs, by its name, so that not all of them are in one night.
    """
    return (run + crc32("/".join(path).encode("utf-8", "surrogatepass"))) % LOOKED_AT_EVERY == 0


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What one scan asks of a pull.

    `new` was never seen: to be recognised or fetched. `damaged`, or come in part only, must be
    fetched again whatever is recognised. `reflag` has other flags now, or was gone and is back.
    `gone` are UIDs that were live and are not there. `renewed`: the mailbox's UIDs mean other
    messages than before, so what is known of it must be retired first. `doubtful`: a delta does not
    add up with the number of messages there; only a full scan can be believed.
    """

    new: tuple[Entry, ...] = ()
    damaged: tuple[Entry, ...] = ()
    reflag: tuple[Entry, ...] = ()
    gone: tuple[int, ...] = ()
    renewed: bool = False
    doubtful: bool = False


def plan_pull(scan: Scan, known: Known) -> PullPlan:
    """Compare what the server shows with what the catalogue holds of the same mailbox.

    A known UID with another size or date, or UIDNEXT below the last one, under an unchanged
    UIDVALIDITY means that the server reuses UIDs: it counts as a UIDVALIDITY change (RFC 9051
    section 2.3.1.1 forbids it; restored backups do it).
    """
    if scan.since is None and _reuses_uids(scan, known):
        return PullPlan(new=scan.entries, renewed=True)
    if scan.since is not None and _reuses_uids(scan, known):
        return PullPlan(doubtful=True)
    new: list[Entry] = []
    damaged: list[Entry] = []
    reflag: list[Entry] = []
    returned = 0
    for entry in scan.entries:
        key = _key(entry)
        message = None if key is None else known.messages.get(key)
        if message is None or _other_size(entry, message):
            new.append(entry)
        elif message.damaged or _came_in_part(message):
            damaged.append(entry)
            returned += message.gone
        elif message.gone or (not isinstance(entry.ref, UidlRef) and message.flags != entry.flags):
            reflag.append(entry)
            returned += message.gone
    gone = _gone(scan, known)
    live_after = known.live + len(new) + returned - len(gone)
    return PullPlan(
        new=tuple(new),
        damaged=tuple(damaged),
        reflag=tuple(reflag),
        gone=gone,
        doubtful=scan.since is not None and live_after != scan.state.messages,
    )


def _key(entry: Entry) -> int | bytes | None:
    return entry.ref.uid if isinstance(entry.ref, UidRef) else entry.ref.uidl


def _other_size(entry: Entry, message: KnownMessage) -> bool:
    if isinstance(entry.ref, UidRef) and _came_in_part(message):
        return False
    return entry.size is not None and message.size is not None and entry.size != message.size


def _other_date(entry: Entry, message: KnownMessage) -> bool:
    """Return whether a message arrived at another time; some servers tell it in another time zone
    in summer.
    """
    if entry.internaldate is None or message.internaldate is None:
        return False
    apart = abs(entry.internaldate - message.internaldate)
    return apart > _MOST_ZONES or apart % _QUARTER != 0


def _came_in_part(message: KnownMessage) -> bool:
    return message.size is not None and message.size < 0


def _reuses_uids(scan: Scan, known: Known) -> bool:
    last = known.state
    if (
        last is not None
        and last.uidvalidity == scan.state.uidvalidity
        and 0 < scan.state.uidnext < last.uidnext
    ):
        return True
    pairs = [
        (entry, message)
        for entry in scan.entries
        if isinstance(entry.ref, UidRef)
        and (message := known.messages.get(entry.ref.uid)) is not None
    ]
    if any(_other_size(entry, message) for entry, message in pairs):
        return True
    others = sum(_other_date(entry, message) for entry, message in pairs)
    # A server that dates all messages otherwise than before has no dates of their arrival.
    return others > 0 and (scan.since is not None or others < len(pairs))


def _gone(scan: Scan, known: Known) -> tuple[int, ...]:
    """Name the live UIDs that are not there; a POP3 server's silence never means gone, nor does
    that of a listing with gaps.
    """
    if not scan.absence_means_gone or scan.unlisted:
        return ()
    live = (
        key for key, message in known.messages.items() if isinstance(key, int) and not message.gone
    )
    if scan.since is None:
        there = {entry.ref.uid for entry in scan.entries if isinstance(entry.ref, UidRef)}
        return tuple(uid for uid in live if uid not in there)
    there = {entry.ref.uid for entry in scan.entries if isinstance(entry.ref, UidRef)}
    return tuple(
        uid for uid in live if uid not in there and any(uid in span for span in scan.vanished)
    )
