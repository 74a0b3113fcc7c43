"""The end of a migration: every message of the source is in the archive and on the destination, or
it is named.

The destination is listed over a connection of its own that only reads, so that nothing a push
believed can vouch for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mailsync import identity
from mailsync.archive import Archive, PushRun
from mailsync.engine.matching import ArchiveLikeness, forms_of, matched_by_bodies, sighting_of
from mailsync.engine.names import name_of_message
from mailsync.engine.report import Proved, Report
from mailsync.engine.targets import Target, Targets
from mailsync.errors import IntegrityError, MailboxError
from mailsync.mapping import show
from mailsync.model import (
    ArchivedMessage,
    Entry,
    LedgerKey,
    LedgerLine,
    MailboxPath,
    Message,
    Scan,
    ScanRequest,
    UidRef,
)
from mailsync.plan import Sighting, compare, has_moved, unlocated
from mailsync.stores.base import HeaderSource, Source


def prove(
    targets: Targets,
    run: PushRun,
    source: Source,
    report: Report,
    *,
    seen: Mapping[MailboxPath, int],
    content: bool = False,
) -> None:
    """Look for every message of these targets on the destination, whose `source` this is; what is
    missing goes to the report.

    A message is found by the UID the ledger has for it, else by its header; with `content` each is
    downloaded and compared. `seen` says how many messages of a mailbox the source showed in this
    run; of the others its last state tells it. Raises StoreUnavailable.
    """
    noted = {(note.mailbox, note.message) for note in report.notes}
    scans = _scans(source, targets.by_destination)
    boxes = {box.path: box for box in targets.archive.mailboxes(targets.account)}
    memory = targets.archive.last_known(targets.account)
    for path, aims in targets.by_destination.items():
        search = _Search(targets.archive, source, run.ledger(path), scans.get(path))
        for aim in aims:
            origin = aim.source.path
            state, box = memory.state(origin), boxes.get(origin)
            held = box.live if box else 0
            at_source = seen.get(origin) or (state.messages if state else held)
            here = (one for one in targets.messages(aim) if not has_moved(one, targets.alive))
            messages = {message.key: message for message in here}
            found, removed = search.look_for(messages.values())
            for key, message in messages.items():
                if key not in found and key not in removed:
                    _report_missing(aim, message, report, noted)
            compared = search.compare(found, messages, report) if content else 0
            counts = at_source, held, len(messages), len(found), len(removed), compared
            report.proof.append(Proved(origin, path, *counts))
            if held < at_source:
                text = f"the source has {at_source:,} messages, and the archive {held:,} of them"
                report.trouble_with("not-pulled", origin, "", text)


def _scans(source: Source, paths: Iterable[MailboxPath]) -> dict[MailboxPath, Scan]:
    """List these mailboxes of the destination in full; those that are not there are left out."""
    listed = {mailbox.path: mailbox for mailbox in source.mailboxes()}
    requests = [ScanRequest(listed[path]) for path in paths if path in listed]
    return {
        scan.mailbox.path: scan
        for scan in source.scan(requests)
        if not isinstance(scan, MailboxError)
    }


def _report_missing(
    aim: Target, message: ArchivedMessage, report: Report, noted: set[tuple[str, str]]
) -> None:
    """Report a message that was not found, unless something was said of it before."""
    name = name_of_message(message)
    if (show(aim.source.path), name) not in noted:
        text = f"is not in {show(aim.destination)} on the destination; the next run looks again"
        report.trouble_with("not-there", aim.source.path, name, text)


class _Search:
    """What is in one mailbox of the destination, found by what is known of it."""

    def __init__(
        self,
        archive: Archive,
        source: Source,
        ledger: Mapping[LedgerKey, LedgerLine],
        scan: Scan | None,
    ) -> None:
        self._archive = archive
        self._source = source
        self._ledger = ledger
        self._validity = scan.state.uidvalidity if scan else 0
        self._entries = (
            {entry.ref.uid: entry for entry in scan.entries if isinstance(entry.ref, UidRef)}
            if scan
            else {}
        )
        self._sightings: list[Sighting] | None = None

    def look_for(
        self, messages: Iterable[ArchivedMessage]
    ) -> tuple[dict[LedgerKey, int], set[LedgerKey]]:
        """Return the UIDs of the messages that are there, and those that were taken away there
        since they were sent.
        """
        found: dict[LedgerKey, int] = {}
        removed: set[LedgerKey] = set()
        rest: list[ArchivedMessage] = []
        for message in messages:
            line = self._ledger.get(message.key)
            if line is None or line.pending:
                continue
            if line.removed:
                removed.add(message.key)
            elif line.uid in self._entries and line.uidvalidity == self._validity:
                found[message.key] = line.uid or 0
            elif unlocated(line, self._validity):
                rest.append(message)
        if rest:
            outcome = compare(rest, self._seen(), ArchiveLikeness(self._archive), found.values())
            found |= {message.key: uid for message, uid in outcome.found}
            found |= self._matched(outcome.ambiguous, set(found.values()))
        return found, removed

    def compare(
        self,
        found: Mapping[LedgerKey, int],
        messages: Mapping[LedgerKey, ArchivedMessage],
        report: Report,
    ) -> int:
        """Download these messages and compare them with the archive's; returns how many are the
        same, what differs goes to the report.
        """
        by_uid = {uid: messages[key] for key, uid in found.items()}
        same = 0
        for entry, brought in self._fetched(self._entries[uid] for uid in by_uid):
            message = by_uid[entry.ref.uid] if isinstance(entry.ref, UidRef) else None
            if message is not None:
                same += self._is_same(message, brought, report)
        return same

    def _is_same(self, message: ArchivedMessage, brought: bytes, report: Report) -> bool:
        """Return whether a message of the destination is this one, as far as a server may change
        it; what changed is reported.
        """
        path, name = message.mailbox, name_of_message(message)
        try:
            held = self._archive.content(message.digest)
        except IntegrityError as error:
            report.trouble_with("damaged", path, name, str(error))
            return False
        if held == brought:
            return True
        if identity.original_of(brought) == message.digest:
            report.note("repaired", path, name, "is there as the repaired copy that was sent")
        elif identity.same_message(held, brought):
            text = "the server changed line ends or 8-bit octets in it"
            report.note("rewritten", path, name, text)
        else:
            text = "is there with another content than was sent"
            report.trouble_with("differs", path, name, text)
            return False
        return True

    def _seen(self) -> Sequence[Sighting]:
        if self._sightings is None:
            source, entries = self._source, list(self._entries.values())
            parts = source.headers(entries) if isinstance(source, HeaderSource) else ()
            self._sightings = [sighting_of(part.entry, part.content) for part in parts]
        return self._sightings

    def _matched(
        self, ambiguous: Sequence[tuple[ArchivedMessage, tuple[int, ...]]], used: set[int]
    ) -> dict[LedgerKey, int]:
        """Return which of the UIDs named for them messages are, by bodies that are brought in one
        flight.
        """
        uids = dict.fromkeys(uid for _, candidates in ambiguous for uid in candidates)
        forms = forms_of(
            (entry.ref.uid, content)
            for entry, content in self._fetched(self._entries[uid] for uid in uids)
            if isinstance(entry.ref, UidRef)
        )
        by_bodies = matched_by_bodies(self._archive, ambiguous, forms, used)
        return {message.key: uid for message, uid in by_bodies}

    def _fetched(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes]]:
        for got in self._source.fetch(entries):
            if isinstance(got, Message):
                yield got.entry, got.content
