"""How messages of the archive are known again among those of a destination: by header and size, by
body.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from mailsync import identity
from mailsync.archive import Archive
from mailsync.engine.targets import Targets
from mailsync.errors import IntegrityError
from mailsync.identity import StoredForm
from mailsync.model import ArchivedMessage, Entry, LedgerKey, MailboxPath, UidRef
from mailsync.plan import Sighting, same_way, size_fits, traits_of

SAMPLE: Final = 20
"""Messages whose bodies are compared although headers and sizes tell."""


def sighting_of(entry: Entry, block: bytes) -> Sighting:
    """Return what a header on a destination tells of its message."""
    uid = entry.ref.uid if isinstance(entry.ref, UidRef) else 0
    return Sighting(
        uid,
        identity.presence_key(block),
        identity.message_id_key(block),
        identity.original_of(block),
        entry.size,
        traits_of(block),
    )


class ArchiveLikeness:
    """A `plan.Likeness` that reads messages of an archive; one that is damaged is like nothing."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def vouches(self, message: ArchivedMessage, seen: Sighting) -> bool:
        """See `plan.Likeness`."""
        try:
            block = self._archive.header(message.digest)
        except IntegrityError:
            return False
        if not same_way(traits_of(block), seen.traits):
            return False
        # The size that was sent, under a header of the same length, needs no reading of the body.
        same = seen.size == message.size and seen.traits.octets == len(block) < message.size
        return same or self.may_be(message, seen)

    def may_be(self, message: ArchivedMessage, seen: Sighting) -> bool:
        """See `plan.Likeness`."""
        if seen.size is None:
            return False
        try:
            content = self._archive.content(message.digest)
        except IntegrityError:
            return False
        if seen.original == message.digest:
            content = _repaired(content) or content
        return size_fits(content, seen.size, seen.traits)

    def stays(self, message: ArchivedMessage, seen: Sighting) -> bool:
        """See `plan.Likeness`."""
        return self.may_be(message, seen)

    def clue(self, message: ArchivedMessage) -> bytes:
        """See `plan.Likeness`."""
        try:
            traits = traits_of(self._archive.header(message.digest))
        except IntegrityError:
            return b""
        return traits.date or traits.subject


class Sceptic(ArchiveLikeness):
    """A `plan.Likeness` that lets no header and no UID vouch for a body."""

    def vouches(self, message: ArchivedMessage, seen: Sighting) -> bool:  # noqa: ARG002
        """Return that it does not."""
        return False

    stays = vouches


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


def sample_of(
    found: Iterable[tuple[ArchivedMessage, int]], seed: int, most: int = SAMPLE
) -> Sequence[tuple[ArchivedMessage, int]]:
    """Return some of these, others for another seed."""
    salt = b"%d" % seed
    return heapq.nsmallest(
        most, found, key=lambda one: hashlib.sha256(salt + one[0].digest).digest()
    )


def forms_of(brought: Iterable[tuple[int, bytes]]) -> dict[int, StoredForm]:
    """Return what recognises messages of a destination, by UID; one message is held at a time."""
    return {uid: identity.stored_form(content) for uid, content in brought}


def disproved(
    archive: Archive, pairs: Iterable[tuple[ArchivedMessage, int]], forms: Mapping[int, StoredForm]
) -> Iterator[tuple[ArchivedMessage, int]]:
    """Yield those of the messages believed to be under UIDs whose bodies there are others."""
    for message, uid in pairs:
        try:
            content = archive.content(message.digest)
        except IntegrityError:
            continue  # reported when it comes to sending it
        if uid in forms and not any(identity.is_copy(one, forms[uid]) for one in ways(content)):
            yield message, uid


def ways(content: bytes) -> Iterator[StoredForm]:
    """Yield what recognises a message of the archive where it was sent: as it is, then as the
    repaired copy that is sent where it is refused.
    """
    yield identity.stored_form(content)
    copy = _repaired(content)
    if copy is not None:
        yield identity.stored_form(copy)


def _repaired(content: bytes) -> bytes | None:
    # Most accounts never meet such a copy, and a POP3 account needs nothing else of IMAP.
    from mailsync.stores.imap.repair import repaired  # noqa: PLC0415

    copy = repaired(content)
    return None if copy is None else copy[0]


def matched_by_bodies(
    archive: Archive,
    ambiguous: Iterable[tuple[ArchivedMessage, tuple[int, ...]]],
    forms: Mapping[int, StoredForm],
    used: Iterable[int] = (),
) -> Iterator[tuple[ArchivedMessage, int]]:
    """Yield which of the UIDs named for them messages are, by their bodies: their repaired copies
    and the same messages first, then those to whose headers something was added; a message that
    was put together again is the only one that it may be.

    A UID serves one message, and those `used` serve none.
    """
    taken = set(used)
    rest: list[tuple[ArchivedMessage, tuple[int, ...]]] = []
    for message, uids in ambiguous:
        try:
            content = archive.content(message.digest)
        except IntegrityError:
            continue  # reported when it comes to sending it
        free = [uid for uid in uids if uid in forms and uid not in taken]
        marked = [uid for uid in free if forms[uid].original == message.digest]
        uid = _copy_among(content, marked, forms)
        if uid is None:
            key = identity.stored_form(content).key
            uid = next((uid for uid in free if forms[uid].key == key), None)
        if uid is None:
            rest.append((message, uids))
        else:
            taken.add(uid)
            yield message, uid
    for message, uids in rest:
        left = [uid for uid in uids if uid in forms and uid not in taken]
        content = archive.content(message.digest)
        uid = _copy_among(content, left, forms)
        if uid is None and left and archive.is_rebuilt(message.digest):
            uid = _rebuilt_among(content, left, forms)
        if uid is not None:
            taken.add(uid)
            yield message, uid


def _rebuilt_among(
    content: bytes, uids: Collection[int], forms: Mapping[int, StoredForm]
) -> int | None:
    """Return the UID of the message that a rebuilt one stands for, if it is the only one of its
    Message-ID.
    """
    ours = identity.stored_form(content)
    alike = [uid for uid in uids if forms[uid].message_id == ours.message_id]
    return alike[0] if len(alike) == 1 and identity.is_rebuilt_of(ours, forms[alike[0]]) else None


def _copy_among(
    content: bytes, uids: Collection[int], forms: Mapping[int, StoredForm]
) -> int | None:
    """Return the first of these UIDs under which there is a copy of a message."""
    if not uids:
        return None
    found = (uid for one in ways(content) for uid in uids if identity.is_copy(one, forms[uid]))
    return next(found, None)
