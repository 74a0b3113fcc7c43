"""Find messages in one mailbox of a destination by what it shows of its headers, and by bodies
where headers do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from mailsync import identity
from mailsync.engine.matching import matched_by_bodies, messages_of, sighting_of
from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets
from mailsync.model import ArchivedMessage, LedgerKey, LedgerLine, MailboxPath, SyncState
from mailsync.plan import Located, Search, compare, first_uid, rivals, unlocated
from mailsync.stores.base import Destination


@dataclass(frozen=True, slots=True)
class DestinationMailbox:
    """A mailbox of the destination as it is now, and what the ledger knows of it."""

    path: MailboxPath
    state: SyncState
    ledger: Mapping[LedgerKey, LedgerLine]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and which of its `unlocated` messages are surely not there any more."""

    located: tuple[Located, ...]
    removed: tuple[ArchivedMessage, ...]


def locate(
    session: PushSession,
    targets: Targets,
    mailbox: DestinationMailbox,
    search: Search,
) -> Found:
    """Look for messages from the first UID any of them can have. Raises MailboxError.

    Messages that arrived, but nobody knows under which UIDs, are looked for too: one that is
    `unknown` must not be taken for one of them.
    """
    path, ledger, validity = mailbox.path, mailbox.ledger, mailbox.state.uidvalidity
    destination = session.destination
    unknown = {message.key for message in search.unknown}
    others = {key: line for key, line in ledger.items() if key not in unknown}
    arrived = {key for key, line in others.items() if unlocated(line, validity)}
    first = first_uid(search, ledger, validity)
    also = rivals(messages_of(targets, path, arrived), search, first)
    taken = [line.uid for line in others.values() if line.uid and line.uidvalidity == validity]
    outcome = compare(
        [*also, *search.unknown],
        (
            sighting_of(present.entry, present.header)
            for present in destination.presence(path, 1 if also else first)
        ),
        taken,
    )
    by_bodies = matched_by_bodies(
        targets.archive, outcome.ambiguous, partial(_body_key, destination, path)
    )
    located = tuple(
        Located(
            message.key,
            uid,
            ledger[message.key].flags if message.key in ledger else message.flags,
        )
        for message, uid in (*outcome.found, *by_bodies)
    )
    missing = {message.key for message in outcome.missing}
    return Found(located, tuple(one for one in search.unlocated if one.key in missing))


def _body_key(destination: Destination, path: MailboxPath, uid: int) -> bytes:
    body = destination.body(path, uid)
    return b"" if body is None else identity.stored_key(body)
