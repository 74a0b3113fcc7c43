"""Listings in, actions out: what a pull and a push have to do.

Pure: no I/O, no clock, no logging.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailsync.model import (
    ArchivedMessage,
    Entry,
    Known,
    KnownMessage,
    LedgerLine,
    Mailbox,
    Scan,
    SyncState,
    UidRef,
)

ALARM_SHARE = 0.2
ALARM_COUNT = 20
"""More than this share and more than this many messages gone at once is said loudly: rarely what
the owner meant.
"""


def stands_still(mailbox: Mailbox, last: SyncState | None) -> bool:
    """Return whether nothing happened in a mailbox since `last`, by the server's own counters (RFC
    7162, RFC 5819).

    Without HIGHESTMODSEQ a flag may have changed unseen, and without a STATUS line anything may
    have: both mean no.
    """
    now = mailbox.state
    return now is not None and last is not None and now.highestmodseq is not None and now == last


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What one scan asks of a pull.

    `new` was never seen: to be recognised or fetched. `damaged` must be fetched again whatever is
    recognised. `reflag` has other flags now, or was gone and is back. `gone` are UIDs that were
    live and are not there. `renewed`: the mailbox's UIDs mean other messages than before, so what
    is known of it must be retired first. `doubtful`: a delta does not add up with the number of
    messages there; only a full scan can be believed. `alarming`: very many vanished at once.
    """

    new: tuple[Entry, ...] = ()
    damaged: tuple[Entry, ...] = ()
    reflag: tuple[Entry, ...] = ()
    gone: tuple[int, ...] = ()
    renewed: bool = False
    doubtful: bool = False
    alarming: bool = False


def plan_pull(scan: Scan, known: Known) -> PullPlan:
    """Compare what the server shows with what the catalogue holds of the same mailbox.

    A known UID with another size, or UIDNEXT below ours, under an unchanged UIDVALIDITY means that
    the server reuses UIDs: it counts as a UIDVALIDITY change (RFC 9051 section 2.3.1.1 forbids it;
    restored backups do it).
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
        elif message.damaged:
            damaged.append(entry)
            returned += message.gone
        elif message.gone or (isinstance(entry.ref, UidRef) and message.flags != entry.flags):
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
        alarming=len(gone) > ALARM_COUNT and len(gone) > ALARM_SHARE * known.live,
    )


def _key(entry: Entry) -> int | bytes | None:
    return entry.ref.uid if isinstance(entry.ref, UidRef) else entry.ref.uidl


def _other_size(entry: Entry, message: KnownMessage) -> bool:
    return entry.size is not None and message.size is not None and entry.size != message.size


def _reuses_uids(scan: Scan, known: Known) -> bool:
    last = known.state
    if not scan.state.uidvalidity:
        return False
    if (
        last is not None
        and last.uidvalidity == scan.state.uidvalidity
        and 0 < scan.state.uidnext < last.uidnext
    ):
        return True
    return any(
        (message := known.messages.get(entry.ref.uid)) is not None and _other_size(entry, message)
        for entry in scan.entries
        if isinstance(entry.ref, UidRef)
    )


def _gone(scan: Scan, known: Known) -> tuple[int, ...]:
    """Name the live UIDs that are not there; a POP3 server's silence never means gone."""
    if not scan.state.uidvalidity:
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


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message seen on a destination: where, its presence key, and its Message-ID as
    `identity.message_id_key` gives it.

    `original` is the digest of the message that it is a repaired copy of, empty for any other.
    """

    uid: int
    presence: bytes
    message_id: str
    original: bytes = b""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which messages are on a destination already.

    `ambiguous` ones may be one of the named UIDs: only the body can tell.
    """

    there: tuple[tuple[ArchivedMessage, int], ...]
    ambiguous: tuple[tuple[ArchivedMessage, tuple[int, ...]], ...]
    missing: tuple[ArchivedMessage, ...]


def compare(
    messages: Sequence[ArchivedMessage], sightings: Iterable[Sighting], taken: Iterable[int] = ()
) -> Comparison:
    """Match messages with what a destination mailbox holds, as multisets of presence keys; each
    sighting serves one message.

    `taken` are UIDs the ledger knows to be other messages. Ambiguous are messages that share a
    presence key while being different ones (one device, one Message-ID, many bodies), messages
    without a Message-ID, whose header may be anybody's, and messages whose Message-ID is there
    under another header.
    """
    used = set(taken)
    by_digest: dict[bytes, list[int]] = {}
    by_key: dict[bytes, list[int]] = {}
    by_id: dict[str, list[int]] = {}
    for sighting in sightings:
        if sighting.uid in used:
            continue
        if sighting.original:
            by_digest.setdefault(sighting.original, []).append(sighting.uid)
        else:
            by_key.setdefault(sighting.presence, []).append(sighting.uid)
            if sighting.message_id:
                by_id.setdefault(sighting.message_id, []).append(sighting.uid)
    different = Counter(
        presence for presence, _ in {(message.presence, message.identity) for message in messages}
    )
    there: list[tuple[ArchivedMessage, int]] = []
    rest: list[ArchivedMessage] = []
    for message in messages:
        telling = message.message_id and different[message.presence] == 1
        uids = by_digest.get(message.digest) or (by_key.get(message.presence) if telling else None)
        if uids:
            uid = uids.pop(0)
            used.add(uid)
            there.append((message, uid))
        else:
            rest.append(message)
    ambiguous: list[tuple[ArchivedMessage, tuple[int, ...]]] = []
    missing: list[ArchivedMessage] = []
    for message in rest:
        uids = by_key.get(message.presence, []) + by_id.get(message.message_id, [])
        candidates = tuple(dict.fromkeys(uid for uid in uids if uid not in used))
        if candidates:
            ambiguous.append((message, candidates))
        else:
            missing.append(message)
    return Comparison(tuple(there), tuple(ambiguous), tuple(missing))


@dataclass(frozen=True, slots=True)
class FlagChange:
    """Flags to add and remove on a destination, and the flags the ledger shall hold then."""

    uid: int
    message: ArchivedMessage
    add: frozenset[str]
    remove: frozenset[str]


def flag_change(message: ArchivedMessage, line: LedgerLine, uidvalidity: int) -> FlagChange | None:
    """Return what changed at the source since the flags were last sent; what the user changed on
    the destination stays.
    """
    if (
        line.pending
        or line.removed
        or line.uid is None
        or line.uidvalidity != uidvalidity
        or line.flags == message.flags
    ):
        return None
    return FlagChange(line.uid, message, message.flags - line.flags, line.flags - message.flags)


def unlocated(line: LedgerLine, uidvalidity: int) -> bool:
    """Return whether a message that arrived may be there under a UID that is not known: never told,
    or renumbered since.
    """
    return not (line.pending or line.removed) and (
        line.uid is None or line.uidvalidity != uidvalidity
    )


def unsettled(
    messages: Iterable[ArchivedMessage], ledger: Mapping[tuple[bytes, int], LedgerLine]
) -> Iterator[ArchivedMessage]:
    """Yield the messages the ledger does not know to have arrived."""
    for message in messages:
        line = ledger.get((message.identity, message.copy))
        if line is None or line.pending:
            yield message
