"""What is in one mailbox of a destination, found by what the ledger knows of it, else by headers;
contents are compared by others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mailsync.archive import Archive
from mailsync.engine.matching import forms_of, matched_by_bodies, sighting_of
from mailsync.errors import IntegrityError
from mailsync.identity import StoredForm
from mailsync.model import (
    ArchivedMessage,
    Entry,
    LedgerKey,
    LedgerLine,
    MailboxPath,
    Message,
    Scan,
    UidRef,
)
from mailsync.plan import Likeness, Sighting, compare, sizes, unlocated
from mailsync.stores.base import HeaderSource, Source


@dataclass(slots=True)
class Sorted:
    """Messages by what a listing says of them.

    `found` are there, and have a size that ours may have; the bodies of the `proven` were compared;
    of the `doubtful` only the content can tell. `removed` ones are known to have been taken away.
    Of the `absent` nothing is there, of the `supplanted` their header over another body; the
    `unsent` ones did not arrive as far as the ledger tells.
    """

    proven: set[LedgerKey] = field(default_factory=set)
    found: dict[LedgerKey, Entry] = field(default_factory=dict)
    doubtful: dict[LedgerKey, Entry] = field(default_factory=dict)
    removed: set[LedgerKey] = field(default_factory=set)
    absent: list[ArchivedMessage] = field(default_factory=list)
    supplanted: list[ArchivedMessage] = field(default_factory=list)
    unsent: list[ArchivedMessage] = field(default_factory=list)


class MailboxSearch:
    """One mailbox of a destination as a full listing shows it; without one it is empty."""

    def __init__(
        self,
        archive: Archive,
        source: Source,
        likeness: Likeness,
        path: MailboxPath,
        *,
        ledger: Mapping[LedgerKey, LedgerLine],
        scan: Scan | None,
    ) -> None:
        self._archive = archive
        self._source = source
        self._likeness = likeness
        self._path = path
        self._ledger = ledger
        self.uidvalidity = scan.state.uidvalidity if scan else 0
        self._entries = {
            entry.ref.uid: entry
            for entry in (scan.entries if scan else ())
            if isinstance(entry.ref, UidRef)
        }
        self._is_full = scan is None or scan.since is None
        self._counted = scan.state.messages if scan else 0
        self._claimed: dict[int, LedgerKey] = {}
        self._sightings: list[Sighting] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether what the listing does not show is not there."""
        return not self._is_full or len(self._entries) >= self._counted

    def sort(self, messages: Iterable[ArchivedMessage]) -> Sorted:
        """Look for these messages; each UID serves one."""
        result, rest = Sorted(), list[ArchivedMessage]()
        for message in messages:
            line = self._ledger.get(message.key)
            if line is None or line.pending:
                result.unsent.append(message)
            elif line.removed:
                result.removed.add(message.key)
            elif unlocated(line, self.uidvalidity) or line.uid is None:
                rest.append(message)
            else:
                self._place(message, line, line.uid, result)
        if rest:
            self._locate(rest, result)
        return result

    def _place(self, message: ArchivedMessage, line: LedgerLine, uid: int, result: Sorted) -> None:
        """Sort a message whose UID was told; where it was told for two, both are doubtful."""
        entry = self._entry(uid)
        first = self._claimed.setdefault(uid, message.key)
        if first in result.found and first != message.key:
            result.doubtful[first] = result.found.pop(first)
        sure = first == message.key and not line.mangled and self._fits(message, entry.size)
        (result.found if sure else result.doubtful)[message.key] = entry

    def _fits(self, message: ArchivedMessage, size: int | None) -> bool:
        if size == message.size or size is None:
            return size is not None
        try:
            return size in sizes(self._archive.content(message.digest))
        except IntegrityError:
            return False

    def _entry(self, uid: int) -> Entry:
        """Return what is listed under a UID; what is not is asked for all the same, since a listing
        may be short.
        """
        ref = UidRef(self._path, self.uidvalidity, uid)
        return self._entries.get(uid) or Entry(ref, None)

    def _locate(self, messages: Sequence[ArchivedMessage], result: Sorted) -> None:
        """Find messages whose UIDs nobody told, by headers, and bodies where these do not tell."""
        used = {
            entry.ref.uid
            for entry in (*result.found.values(), *result.doubtful.values())
            if isinstance(entry.ref, UidRef)
        }
        outcome = compare(messages, self._seen(), self._likeness, used)
        used |= {uid for _, uid in outcome.found}
        result.found |= {message.key: self._entries[uid] for message, uid in outcome.found}
        forms = self._forms(uid for _, uids in outcome.ambiguous for uid in uids)
        matched = matched_by_bodies(self._archive, outcome.ambiguous, forms, used)
        for message, uid in matched:
            used.add(uid)
            result.proven.add(message.key)
        result.absent += outcome.missing
        headers = {one.uid: (one.presence, one.original) for one in self._seen()}
        for message, uids in outcome.ambiguous:
            if message.key in result.proven:
                continue
            if not self._is_sound(message):
                result.doubtful[message.key] = self._entries[uids[0]]
            else:
                ours = {message.presence, message.digest}
                over = any(ours.intersection(headers[uid]) for uid in uids if uid not in used)
                (result.supplanted if over else result.absent).append(message)

    def _is_sound(self, message: ArchivedMessage) -> bool:
        try:
            self._archive.content(message.digest)
        except IntegrityError:
            return False
        return True

    def _forms(self, uids: Iterable[int]) -> dict[int, StoredForm]:
        """Bring bodies in one flight; returns what recognises them."""
        entries = (self._entries[uid] for uid in dict.fromkeys(uids))
        return forms_of(
            (got.entry.ref.uid, got.content)
            for got in self._source.fetch(entries)
            if isinstance(got, Message) and isinstance(got.entry.ref, UidRef)
        )

    def _seen(self) -> Sequence[Sighting]:
        if self._sightings is None:
            source, entries = self._source, list(self._entries.values())
            parts = source.headers(entries) if isinstance(source, HeaderSource) else ()
            self._sightings = [sighting_of(part.entry, part.content) for part in parts]
        return self._sightings
