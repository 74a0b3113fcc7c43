"""How messages of the archive are known again among those of a destination: by ledger lines, by
header, by body.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

from mailsync import identity
from mailsync.engine.targets import Targets
from mailsync.errors import IntegrityError
from mailsync.model import ArchivedMessage, LedgerLine, MailboxPath, Present, SyncState, UidRef
from mailsync.plan import Sighting, unlocated
from mailsync.stores.base import Destination

Key: TypeAlias = "tuple[bytes, int]"


def key_of(message: ArchivedMessage) -> Key:
    """Return what the ledger knows a message by."""
    return message.identity, message.copy


def must_be_found(message: ArchivedMessage, line: LedgerLine, state: SyncState) -> bool:
    """Return whether its flags changed while nobody knows under which UID it is there."""
    return unlocated(line, state.uidvalidity) and line.flags != message.flags


def sighting_of(present: Present) -> Sighting:
    """Give what a header on the destination tells of its message."""
    ref, head = present.entry.ref, present.header
    uid = ref.uid if isinstance(ref, UidRef) else 0
    return Sighting(
        uid, identity.presence_key(head), identity.message_id_key(head), identity.original_of(head)
    )


def held_by(targets: Targets, theirs: MailboxPath, keys: Collection[Key]) -> list[ArchivedMessage]:
    """Return the messages behind these lines of one mailbox's ledger, also when they left the
    source meanwhile.
    """
    found: dict[Key, ArchivedMessage] = {}
    for target in targets.by_theirs.get(theirs, ()) if keys else ():
        for message in targets.archive.messages(
            targets.account, target.ours.path, include_gone=True
        ):
            if key_of(message) in keys:
                found.setdefault(key_of(message), message)
    return list(found.values())


def told_by_bodies(
    targets: Targets,
    destination: Destination,
    theirs: MailboxPath,
    ambiguous: Iterable[tuple[ArchivedMessage, tuple[int, ...]]],
) -> Iterator[tuple[ArchivedMessage, int]]:
    """Tell by their bodies which of the named UIDs messages are; each body is brought once, each
    UID serves one message.
    """
    bodies: dict[int, bytes] = {}
    used: set[int] = set()
    for message, uids in ambiguous:
        try:
            ours = identity.stored_key(targets.archive.content(message.digest))
        except IntegrityError:
            continue  # told when it comes to sending it
        for uid in uids:
            if uid not in bodies:
                body = destination.body(theirs, uid)
                bodies[uid] = b"" if body is None else identity.stored_key(body)
            if uid not in used and bodies[uid] == ours:
                used.add(uid)
                yield message, uid
                break
