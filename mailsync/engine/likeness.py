"""How letters of the archive are known again among those of a destination: by ledger lines, by header, by body."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

from mailsync import identity
from mailsync.engine.targets import Targets
from mailsync.errors import IntegrityError
from mailsync.model import LedgerLine, Letter, MailboxPath, Present, SyncState, UidRef
from mailsync.plan import Sighting, unlocated
from mailsync.stores.base import Destination

Key: TypeAlias = "tuple[bytes, int]"


def key_of(letter: Letter) -> Key:
    """Give what the ledger knows a letter by."""
    return letter.identity, letter.copy


def must_be_found(letter: Letter, line: LedgerLine, state: SyncState) -> bool:
    """Tell whether its flags changed while nobody knows under which UID it is there."""
    return unlocated(line, state.uidvalidity) and line.flags != letter.flags


def sighting_of(present: Present) -> Sighting:
    """Give what a header on the destination tells of its letter."""
    ref, head = present.entry.ref, present.header
    uid = ref.uid if isinstance(ref, UidRef) else 0
    return Sighting(uid, identity.presence_key(head), identity.message_id_key(head), identity.original_of(head))


def held_by(targets: Targets, theirs: MailboxPath, keys: Collection[Key]) -> list[Letter]:
    """Give the letters behind these lines of one mailbox's ledger, also when they left the source meanwhile."""
    found: dict[Key, Letter] = {}
    for target in targets.by_theirs.get(theirs, ()) if keys else ():
        for letter in targets.archive.letters(targets.account, target.ours.path, include_gone=True):
            if key_of(letter) in keys:
                found.setdefault(key_of(letter), letter)
    return list(found.values())


def told_by_bodies(
    targets: Targets, destination: Destination, theirs: MailboxPath, ambiguous: Iterable[tuple[Letter, tuple[int, ...]]]
) -> Iterator[tuple[Letter, int]]:
    """Tell by their bodies which of the named UIDs letters are; each body is brought once, each UID serves one letter."""
    bodies: dict[int, bytes] = {}
    used: set[int] = set()
    for letter, uids in ambiguous:
        try:
            ours = identity.stored_key(targets.archive.content(letter.digest))
        except IntegrityError:
            continue  # told when it comes to sending it
        for uid in uids:
            if uid not in bodies:
                body = destination.body(theirs, uid)
                bodies[uid] = b"" if body is None else identity.stored_key(body)
            if uid not in used and bodies[uid] == ours:
                used.add(uid)
                yield letter, uid
                break
