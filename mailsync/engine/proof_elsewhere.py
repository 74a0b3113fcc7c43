"""Where messages are that a destination took for one mailbox and has not in it: a rule of its own,
or a mail program with filters, may have put them into another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mailsync.archive import PushRun
from mailsync.engine.matching import Sceptic, forms_of, matched_by_bodies, sighting_of
from mailsync.engine.proof_outcome import Unseen
from mailsync.engine.targets import Targets
from mailsync.model import (
    Entry,
    Mailbox,
    MailboxPath,
    Message,
    Scan,
    ScanRequest,
    SyncState,
    UidRef,
)
from mailsync.plan import compare
from mailsync.stores.base import HeaderSource, Source


def elsewhere(
    targets: Targets, run: PushRun, source: Source, unseen: Sequence[Unseen]
) -> Iterator[tuple[Unseen, MailboxPath]]:
    """Yield which of these messages are among what came into other mailboxes since the push began,
    and in which; their bodies tell. Raises StoreUnavailable.
    """
    if not unseen:
        return
    rest = list(unseen)
    for path, entries in _arrived(targets, run, source):
        wanted = [one for one in rest if one.aim != path]
        found = _among(targets, source, wanted, entries)
        yield from ((one, path) for one in found)
        rest = [one for one in rest if one not in found]
        if not rest:
            return


def _arrived(
    targets: Targets, run: PushRun, source: Source
) -> Iterator[tuple[MailboxPath, Sequence[Entry]]]:
    """Yield what came into each mailbox since the push began and is none of what was sent to it."""
    before = {one.path: one.state for one in targets.listed}
    grown = [
        one
        for one in source.mailboxes()
        if one.selectable and not one.is_view and _has_grown(one, before.get(one.path))
    ]
    for scan in source.scan(ScanRequest(one) for one in grown):
        if not isinstance(scan, Scan):
            continue
        path = scan.mailbox.path
        state, ours = before.get(path), {line.uid for line in run.ledger(path).values()}
        first = state.uidnext if state and state.uidvalidity == scan.state.uidvalidity else 1
        entries = [
            entry
            for entry in scan.entries
            if isinstance(entry.ref, UidRef) and first <= entry.ref.uid not in ours
        ]
        if entries:
            yield path, entries


def _has_grown(mailbox: Mailbox, state: SyncState | None) -> bool:
    return mailbox.state is None or state is None or mailbox.state.uidnext != state.uidnext


def _among(
    targets: Targets, source: Source, unseen: Iterable[Unseen], entries: Sequence[Entry]
) -> list[Unseen]:
    messages = {one.message.key: one for one in unseen}
    parts = source.headers(entries) if isinstance(source, HeaderSource) else ()
    sightings = [sighting_of(part.entry, part.content) for part in parts]
    outcome = compare(
        [one.message for one in messages.values()], sightings, Sceptic(targets.archive)
    )
    asked = {uid for _, uids in outcome.ambiguous for uid in uids}
    forms = forms_of(
        (got.entry.ref.uid, got.content)
        for got in source.fetch(
            entry for entry in entries if isinstance(entry.ref, UidRef) and entry.ref.uid in asked
        )
        if isinstance(got, Message) and isinstance(got.entry.ref, UidRef)
    )
    matched = matched_by_bodies(targets.archive, outcome.ambiguous, forms)
    return [messages[message.key] for message, _ in matched]
