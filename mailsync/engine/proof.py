"""The end of a migration: every message of the source is in the archive and on the destination, or
it is named.

The destination is listed over a connection of its own that only reads, so that nothing a push
believed can vouch for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailsync import identity
from mailsync.archive import Archive, PushRun
from mailsync.engine.likeness import Key, key_of
from mailsync.engine.push import name_of
from mailsync.engine.report import Proved, Report
from mailsync.engine.targets import Targets
from mailsync.errors import IntegrityError, MailboxError
from mailsync.mapping import show
from mailsync.model import (
    ArchivedMessage,
    Entry,
    LedgerLine,
    MailboxPath,
    Message,
    Scan,
    ScanRequest,
    UidRef,
)
from mailsync.plan import Sighting, compare
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
    downloaded and compared. `seen` returns how many messages of a mailbox the source showed in this
    run; of the others its last state tells it. Raises StoreUnavailable.
    """
    told = {(note.mailbox, note.message) for note in report.notes}
    listed = {mailbox.path: mailbox for mailbox in source.mailboxes()}
    there: dict[MailboxPath, Scan] = {}
    for scan in source.scan(
        [ScanRequest(listed[theirs]) for theirs in targets.by_theirs if theirs in listed]
    ):
        if not isinstance(scan, MailboxError):
            there[scan.mailbox.path] = scan
    boxes = {box.path: box for box in targets.archive.mailboxes(targets.account)}
    memory = targets.archive.memory(targets.account)
    for theirs, aims in targets.by_theirs.items():
        search = _Search(targets.archive, source, run.ledger(theirs), there.get(theirs))
        for aim in aims:
            messages = {key_of(message): message for message in targets.messages(aim)}
            found, removed = search.look_for(messages.values())
            for message in messages.values():
                missing = key_of(message) not in found and key_of(message) not in removed
                if missing and (show(aim.ours.path), name_of(message)) not in told:
                    text = f"is not in {show(theirs)} on the destination; the next run looks again"
                    report.trouble_with("not-there", aim.ours.path, name_of(message), text)
            compared = search.compare(found, messages, report) if content else 0
            state, box = memory.state(aim.ours.path), boxes.get(aim.ours.path)
            held = box.live if box else 0
            at_source = seen.get(aim.ours.path) or (state.messages if state else held)
            report.proof.append(
                Proved(
                    aim.ours.path,
                    theirs,
                    at_source,
                    held,
                    len(messages),
                    len(found),
                    len(removed),
                    compared,
                )
            )
            if held < at_source:
                text = f"the source has {at_source:,} messages, and the archive {held:,} of them"
                report.trouble_with("not-pulled", aim.ours.path, "", text)


class _Search:
    """What is in one mailbox of the destination, found by what is known of it."""

    def __init__(
        self, archive: Archive, source: Source, ledger: Mapping[Key, LedgerLine], scan: Scan | None
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

    def look_for(self, messages: Iterable[ArchivedMessage]) -> tuple[dict[Key, int], set[Key]]:
        """Return the UIDs of the messages that are there, and those that were taken away there
        since they were sent.
        """
        found: dict[Key, int] = {}
        removed: set[Key] = set()
        rest: list[ArchivedMessage] = []
        for message in messages:
            line = self._ledger.get(key_of(message))
            if line is not None and line.removed:
                removed.add(key_of(message))
            elif (
                line is not None
                and line.uid in self._entries
                and line.uidvalidity == self._validity
            ):
                found[key_of(message)] = line.uid or 0
            elif (
                line is not None
                and not line.pending
                and (line.uid is None or line.uidvalidity != self._validity)
            ):
                rest.append(message)
        if rest:
            outcome = compare(rest, self._seen(), found.values())
            found |= {key_of(message): uid for message, uid in outcome.there}
            found |= self._told_by_bodies(outcome.ambiguous, set(found.values()))
        return found, removed

    def compare(
        self, found: Mapping[Key, int], messages: Mapping[Key, ArchivedMessage], report: Report
    ) -> int:
        """Download these messages and compare them with ours; returns how many are the same, what
        differs goes to the report.
        """
        by_uid = {uid: messages[key] for key, uid in found.items()}
        same = 0
        for entry, theirs in self._fetched(self._entries[uid] for uid in by_uid):
            message = by_uid[entry.ref.uid] if isinstance(entry.ref, UidRef) else None
            if message is None:
                continue
            try:
                ours = self._archive.content(message.digest)
            except IntegrityError as error:
                report.trouble_with("damaged", message.mailbox, name_of(message), str(error))
                continue
            if ours == theirs:
                same += 1
            elif identity.original_of(theirs) == message.digest:
                same += 1
                report.note(
                    "repaired",
                    message.mailbox,
                    name_of(message),
                    "is there as the repaired copy that was sent",
                )
            elif identity.same_message(ours, theirs):
                same += 1
                report.note(
                    "rewritten",
                    message.mailbox,
                    name_of(message),
                    "the server changed line ends or 8-bit octets in it",
                )
            else:
                report.trouble_with(
                    "differs",
                    message.mailbox,
                    name_of(message),
                    "is there with another content than was sent",
                )
        return same

    def _seen(self) -> list[Sighting]:
        if self._sightings is None:
            parts = (
                self._source.headers(list(self._entries.values()))
                if isinstance(self._source, HeaderSource)
                else ()
            )
            self._sightings = [
                Sighting(
                    part.entry.ref.uid if isinstance(part.entry.ref, UidRef) else 0,
                    identity.presence_key(part.content),
                    identity.message_id_key(part.content),
                    identity.original_of(part.content),
                )
                for part in parts
            ]
        return self._sightings

    def _told_by_bodies(
        self, ambiguous: Iterable[tuple[ArchivedMessage, tuple[int, ...]]], used: set[int]
    ) -> dict[Key, int]:
        """Tell by their bodies which of the named UIDs messages are; each UID serves one
        message.
        """
        doubts = list(ambiguous)
        uids = dict.fromkeys(uid for _, candidates in doubts for uid in candidates)
        keys = {
            entry.ref.uid: identity.stored_key(content)
            for entry, content in self._fetched(self._entries[uid] for uid in uids)
            if isinstance(entry.ref, UidRef)
        }
        found: dict[Key, int] = {}
        for message, candidates in doubts:
            try:
                ours = identity.stored_key(self._archive.content(message.digest))
            except IntegrityError:
                continue
            uid = next(
                (uid for uid in candidates if uid not in used and keys.get(uid) == ours), None
            )
            if uid is not None:
                used.add(uid)
                found[key_of(message)] = uid
        return found

    def _fetched(self, entries: Iterable[Entry]) -> Iterable[tuple[Entry, bytes]]:
        for got in self._source.fetch(entries):
            if isinstance(got, Message):
                yield got.entry, got.content
