"""Find messages in one mailbox of a destination by what it shows of its headers, and by bodies
where headers do not tell.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailsync.archive import Archive
from mailsync.engine.matching import (
    ArchiveLikeness,
    Sceptic,
    disproved,
    forms_of,
    matched_by_bodies,
    messages_of,
    sample_of,
    sighting_of,
)
from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets
from mailsync.errors import MailboxError
from mailsync.formats.header import block
from mailsync.identity import StoredForm, presence_key
from mailsync.mapping import show
from mailsync.model import ArchivedMessage, LedgerKey, LedgerLine, MailboxPath, SyncState
from mailsync.plan import Located, Search, Sighting, compare, first_uid, rivals, sizes, unlocated
from mailsync.stores.base import Destination

PROBES: Final = 5
"""Messages that no header shows, and whose bodies are looked for all the same."""


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
    unknown = {message.key for message in search.unknown}
    others = _lines_of_others(targets, mailbox, unknown)
    arrived = {key for key, line in others.items() if unlocated(line, validity)}
    first = first_uid(search, ledger, validity)
    also = rivals(messages_of(targets, path, arrived), search, first)
    identities = {identity for identity, _ in unknown}
    taken = {
        line.uid
        for key, line in others.items()
        if line.uid
        and line.uidvalidity == validity
        # A body that is compared tells better than the ledger whose it is.
        and (not session.sceptical or key[0] in identities)
    }
    sightings = _sightings(session.destination, mailbox, 1 if also else first)
    matches = Matches(session, targets.archive, mailbox, taken)
    located = tuple(
        Located(
            message.key,
            uid,
            ledger[message.key].flags if message.key in ledger else message.flags,
        )
        for message, uid in matches.among([*also, *search.unknown], sightings)
    )
    located += tuple(_mangled(mailbox, search, located, sightings))
    return Found(located, tuple(one for one in search.unlocated if one.key in matches.missing))


def _lines_of_others(
    targets: Targets, mailbox: DestinationMailbox, unknown: Collection[LedgerKey]
) -> Mapping[LedgerKey, LedgerLine]:
    """Return the ledger's lines of other messages than the `unknown` ones; but for those that were
    restored and pulled since, which are other copies now.
    """
    stale = {
        key
        for target in targets.by_destination.get(mailbox.path, ())
        for key in targets.chosen.superseded(target.source.path).values()
    }
    known = {*unknown, *stale}
    return {key: line for key, line in mailbox.ledger.items() if key not in known}


def _mangled(
    mailbox: DestinationMailbox,
    search: Search,
    located: Iterable[Located],
    sightings: Iterable[Sighting],
) -> Iterator[Located]:
    """Yield those that were not found because the server changed them: they are still there, and
    another copy would be no better.
    """
    found, there = {one.key for one in located}, {one.uid for one in sightings}
    for message in search.unknown:
        line = mailbox.ledger.get(message.key)
        if line is None or not line.mangled or message.key in found:
            continue
        if line.uid in there and line.uidvalidity == mailbox.state.uidvalidity:
            yield Located(message.key, line.uid or 0, line.flags, mangled=True)


def _sightings(
    destination: Destination, mailbox: DestinationMailbox, first: int
) -> Sequence[Sighting]:
    """Return what a mailbox shows from a UID on. Raises MailboxError where it shows less than it
    says it holds: what is not seen would be sent again.
    """
    path = mailbox.path
    seen = [sighting_of(one.entry, one.header) for one in destination.presence(path, first)]
    if first == 1 and len(seen) < mailbox.state.messages:
        many = destination.state(path).messages
        if len(seen) < many:
            raise MailboxError(
                destination.account,
                path,
                f"the server shows {len(seen):,} of the {many:,} messages it says are in"
                f" {show(path)}; nothing is sent there, since it may be there already",
            )
    return seen


class Matches:
    """Which messages of the archive sightings of one mailbox are; `taken` UIDs serve none.

    `missing` are then the keys of those that nothing there can be.
    """

    def __init__(
        self,
        session: PushSession,
        archive: Archive,
        mailbox: DestinationMailbox,
        taken: Collection[int],
    ) -> None:
        self.missing: Collection[LedgerKey] = ()
        self._contradicted: set[int] = set()
        self._session = session
        self._archive = archive
        self._path = mailbox.path
        self._taken = taken
        self._told = {
            key: line.uid
            for key, line in mailbox.ledger.items()
            if line.uid is not None and line.uidvalidity == mailbox.state.uidvalidity
        }

    def among(
        self, messages: Sequence[ArchivedMessage], sightings: Sequence[Sighting]
    ) -> Sequence[tuple[ArchivedMessage, int]]:
        """Return the messages that are there, with their UIDs. Where the body of one of those that
        headers vouched for is another, all bodies are compared.
        """
        likeness = (Sceptic if self._session.sceptical else ArchiveLikeness)(self._archive)
        outcome = compare(messages, sightings, likeness, self._taken, self._told)
        sample = sample_of(outcome.found, self._session.run.id)
        seen = {one.uid: one for one in sightings}
        forms = self._forms(outcome.ambiguous, sample, seen)
        wrong = {uid for _, uid in disproved(self._archive, sample, forms)}
        if wrong & self._contradicted:
            raise MailboxError(
                self._session.destination.account,
                self._path,
                f"the server lists messages in {show(self._path)} that it does not send as it lists"
                " them; nothing is sent there, since it may be there already",
            )
        if wrong:
            sceptic = Sceptic(self._archive)
            outcome = compare(messages, sightings, sceptic, self._taken, self._told)
            forms |= self._forms(outcome.ambiguous, (), seen)
        found = [*outcome.found, *matched_by_bodies(self._archive, outcome.ambiguous, forms)]
        found += self._by_sizes(outcome.missing, seen, {uid for _, uid in found})
        self.missing = {message.key for message in outcome.missing}
        self.missing -= {message.key for message, _ in found}
        return found

    def _by_sizes(
        self,
        missing: Sequence[ArchivedMessage],
        seen: Mapping[int, Sighting],
        used: Collection[int],
    ) -> Sequence[tuple[ArchivedMessage, int]]:
        """Return which of the messages that no header shows are there all the same, by the bodies
        of what has their size; a few are tried first, and tell whether headers there tell nothing.
        """
        sized: dict[int, list[int]] = {}
        for one in seen.values():
            if one.size is not None and one.uid not in used and one.uid not in self._taken:
                sized.setdefault(one.size, []).append(one.uid)
        alike = [(one, tuple(sized[one.size])) for one in missing if one.size in sized]
        probes = heapq.nsmallest(PROBES, alike, key=lambda pair: len(pair[1]))
        probes = [(one, uids[:PROBES]) for one, uids in probes]
        forms = self._forms(probes, (), seen)
        if not any(matched_by_bodies(self._archive, probes, forms)):
            return []
        return list(matched_by_bodies(self._archive, alike, self._forms(alike, (), seen)))

    def _forms(
        self,
        ambiguous: Iterable[tuple[ArchivedMessage, tuple[int, ...]]],
        sample: Iterable[tuple[ArchivedMessage, int]],
        seen: Mapping[int, Sighting],
    ) -> dict[int, StoredForm]:
        """Bring bodies in one flight; returns what recognises them. What has another size and
        header than was listed is `contradicted`.
        """
        asked = {uid for _, uids in ambiguous for uid in uids} | {uid for _, uid in sample}
        if not asked:
            return {}
        bodies = self._session.destination.bodies(self._path, sorted(asked))
        return forms_of(self._weighed(bodies, seen))

    def _weighed(
        self, bodies: Iterable[tuple[int, bytes]], seen: Mapping[int, Sighting]
    ) -> Iterator[tuple[int, bytes]]:
        for uid, content in bodies:
            size = seen[uid].size
            listed = size is None or size in sizes(content)
            if not listed or presence_key(block(content)) != seen[uid].presence:
                self._contradicted.add(uid)
            yield uid, content
