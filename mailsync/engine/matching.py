"""How messages of the archive are known again among those of a destination: by header, by body."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from mailsync import identity
from mailsync.archive import Archive
from mailsync.engine.targets import Targets
from mailsync.errors import IntegrityError
from mailsync.model import ArchivedMessage, Entry, LedgerKey, MailboxPath, UidRef
from mailsync.plan import Sighting


def sighting_of(entry: Entry, header: bytes) -> Sighting:
    """Return what a header on a destination tells of its message."""
    uid = entry.ref.uid if isinstance(entry.ref, UidRef) else 0
    return Sighting(
        uid,
        identity.presence_key(header),
        identity.message_id_key(header),
        identity.original_of(header),
    )


def messages_of(
    targets: Targets, path: MailboxPath, keys: Collection[LedgerKey]
) -> list[ArchivedMessage]:
    """Return the messages behind these lines of one mailbox's ledger, also when they left the
    source meanwhile.
    """
    found: dict[LedgerKey, ArchivedMessage] = {}
    for target in targets.by_destination.get(path, ()) if keys else ():
        for message in targets.archive.messages(
            targets.account, target.source.path, include_gone=True
        ):
            if message.key in keys:
                found.setdefault(message.key, message)
    return list(found.values())


def matched_by_bodies(
    archive: Archive,
    ambiguous: Iterable[tuple[ArchivedMessage, tuple[int, ...]]],
    body_key: Callable[[int], bytes],
    used: Iterable[int] = (),
) -> Iterator[tuple[ArchivedMessage, int]]:
    """Yield which of the UIDs named for them messages are, by their bodies.

    `body_key` returns what `identity.stored_key` makes of a message of the destination, nothing for
    one that is gone; each is asked for once. A UID serves one message, and those `used` serve none.
    """
    keys: dict[int, bytes] = {}
    taken = set(used)
    for message, uids in ambiguous:
        try:
            wanted = identity.stored_key(archive.content(message.digest))
        except IntegrityError:
            continue  # reported when it comes to sending it
        for uid in uids:
            if uid not in keys:
                keys[uid] = body_key(uid)
            if uid not in taken and keys[uid] == wanted:
                taken.add(uid)
                yield message, uid
                break
