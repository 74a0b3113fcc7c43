"""Bring everything a source has and the archive lacks; change nothing on the source."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailsync.archive import PullRun
from mailsync.engine.budget import Budget, unlimited
from mailsync.engine.report import Report, Tally
from mailsync.errors import (
    ArchiveError,
    ConfigError,
    MailboxError,
    MailboxMissing,
    StoreUnavailable,
)
from mailsync.formats import header
from mailsync.mapping import matches, show
from mailsync.model import (
    INBOX,
    Entry,
    Kind,
    Known,
    Mailbox,
    MailboxPath,
    Message,
    Scan,
    ScanRequest,
    Stored,
    SyncState,
    UidlRef,
    UidRef,
    Unfetched,
)
from mailsync.plan import ALARM_COUNT, plan_pull, stands_still
from mailsync.progress import Progress
from mailsync.stores.base import HeaderSource, Source, TailSource

TAIL = 4096
"""Octets of a message's end that must be equal before its content is believed to be here already.
"""


@dataclass(slots=True)
class _Open:
    """A scanned mailbox whose messages are still on their way."""

    scan: Scan
    pending: int
    failed: int = 0


def pull(
    source: Source,
    run: PullRun,
    report: Report,
    progress: Progress,
    *,
    only: Sequence[str] = (),
    among: Sequence[str] = (),
    budget: Budget | None = None,
    listed: Sequence[Mailbox] | None = None,
) -> Report:
    """Pull into `run` and fill `report`; a server that gives up ends the run early, with everything
    that came kept.

    `among` are the account's own globs, `only` those of this run; a mailbox must match both.
    `\\All` comes last, so that a message it merely shows is recognised instead of fetched;
    `\\Flagged` and `\\Important` are left out unless a glob names them. `listed` is the source's
    list of mailboxes, where it was asked for just now.
    """
    work = _Pull(source, run, report, progress, budget or unlimited())
    chosen: Sequence[Mailbox] = ()
    progress.begin(f"pulling from {report.account}")
    try:
        listed = source.mailboxes() if listed is None else listed
        chosen = choose(listed, among, only)
        _demand(chosen, only, report.account, choose(listed, among, ()))
        work.bring([mailbox for mailbox in chosen if not mailbox.is_view])
        work.bring([mailbox for mailbox in chosen if mailbox.is_view])
        _note_absent(
            run, report, [mailbox for mailbox in listed if mailbox.path not in work.missing]
        )
    except (ConfigError, StoreUnavailable) as error:
        report.error = error
    except ArchiveError:
        work.take_back()
        raise
    finally:
        progress.end()
    for mailbox in chosen:
        if mailbox.path not in work.missing:
            run.mailbox(mailbox)
    for path in work.unfinished():
        report.of(path).incomplete = True
        run.incomplete(path)
    try:
        run.flush()
    except ArchiveError:
        work.take_back()
        raise
    return report


def _demand(
    chosen: Sequence[Mailbox], only: Sequence[str], account: str, there: Iterable[Mailbox]
) -> None:
    """Raise ConfigError when a person named mailboxes and none of them is there: doing nothing is
    not what was asked.
    """
    if only and not chosen:
        names = ", ".join(show(mailbox.path) for mailbox in there) or "none"
        raise ConfigError(f"no mailbox of {account} matches {' '.join(only)}; there is: {names}")


class Memory(Protocol):
    """The part of a pull's archive that only remembers."""

    def state(self, mailbox: MailboxPath) -> SyncState | None:
        """Return the last complete state of a mailbox."""

    def known(self, scan: Scan) -> Known:
        """Return what the catalogue holds of the mailbox of `scan`."""


def rehearse(
    source: Source,
    memory: Memory,
    report: Report,
    *,
    only: Sequence[str] = (),
    among: Sequence[str] = (),
) -> list[Mailbox]:
    """Fill `report` with what a pull would do now; fetch no content and write nothing.

    Returns the mailboxes it is about.

    Messages that would be recognised instead of fetched are counted as new: telling them apart
    takes their headers.
    """
    chosen: list[Mailbox] = []
    try:
        listed = source.mailboxes()
        chosen = choose(listed, among, only)
        _demand(chosen, only, report.account, choose(listed, among, ()))
        requests = [ScanRequest(mailbox, memory.state(mailbox.path)) for mailbox in chosen]
        moved = [
            request for request in requests if not stands_still(request.mailbox, request.since)
        ]
        report.unchanged = len(requests) - len(moved)
        for scan in source.scan(ScanRequest(request.mailbox) for request in moved):
            if isinstance(scan, MailboxMissing):
                continue
            if isinstance(scan, MailboxError):
                report.trouble_with("mailbox", scan.mailbox, "", str(scan))
                continue
            plan = plan_pull(scan, memory.known(scan))
            wanted = (*plan.new, *plan.damaged)
            tally = report.of(scan.mailbox.path)
            tally.seen += scan.state.messages
            tally.new += len(wanted)
            tally.octets += sum(entry.size or 0 for entry in wanted)
            tally.flags += len(plan.reflag)
            tally.gone += len(plan.gone)
    except (ConfigError, StoreUnavailable) as error:
        report.error = error
    return chosen


def choose(listed: Iterable[Mailbox], among: Sequence[str], only: Sequence[str]) -> list[Mailbox]:
    """Pick the mailboxes to pull; a view other than `\\All` only when a glob without wildcards
    names it.
    """

    def wanted(mailbox: Mailbox) -> bool:
        if not mailbox.selectable or not (
            matches(mailbox.path, among or ("*",)) and matches(mailbox.path, only or ("*",))
        ):
            return False
        if mailbox.is_view and "\\All" not in mailbox.attributes:
            named = [glob for glob in (*among, *only) if not set(glob) & set("*?[!")]
            return bool(named) and matches(mailbox.path, named)
        return True

    return [mailbox for mailbox in listed if wanted(mailbox)]


def _note_absent(run: PullRun, report: Report, listed: Collection[Mailbox]) -> None:
    """Record what the complete list of mailboxes no longer names; the messages stay in the archive.

    Every account has an INBOX (RFC 9051 section 5.1), so a list without one is no list to conclude
    anything from.
    """
    if not any(mailbox.path == INBOX for mailbox in listed):
        text = (
            "the server's list of mailboxes does not name INBOX, so it is not believed, and nothing"
            " is marked as gone"
        )
        report.trouble_with("mailbox", INBOX, "", text)
        return
    for path, messages in run.absent(
        [mailbox.path for mailbox in listed if mailbox.selectable]
    ).items():
        if messages > ALARM_COUNT:
            text = (
                f"is no longer on the server, and {messages} messages vanished with it; the archive"
                f" keeps every one of them. To bring them back: mailsync restore {report.account}"
                f" --mailbox '{show(path)}' --include-gone"
            )
            report.trouble_with("mass-vanishing", path, "", text)
        else:
            report.note(
                "mailbox-gone",
                path,
                "",
                "is no longer on the server; its messages stay in the archive",
            )


class _Pull:
    """One pull on its way: which mailboxes are open, which messages wait to be recognised."""

    def __init__(
        self, source: Source, run: PullRun, report: Report, progress: Progress, budget: Budget
    ) -> None:
        self._budget = budget
        self._source = source
        self._run = run
        self._report = report
        self._progress = progress
        self._open: dict[MailboxPath, _Open] = {}
        self._candidates: list[Entry] = []
        self._twins: dict[str, list[Entry]] = {}
        self._twins_found = 0
        self._again: list[Mailbox] = []
        self._broken: set[MailboxPath] = set()
        self.missing: set[MailboxPath] = set()
        self._counted: deque[tuple[int, Tally, Stored, int]] = deque()

    def take_back(self) -> None:
        """Count nothing that was not durable when the archive failed."""
        self._forget_durable()
        for _, tally, stored, octets in self._counted:
            tally.count(stored, octets, times=-1)
        self._counted.clear()

    def _forget_durable(self) -> None:
        """Keep in mind only what may still have to be taken back."""
        while self._counted and self._counted[0][0] <= self._run.durable:
            self._counted.popleft()

    def bring(self, mailboxes: Sequence[Mailbox]) -> None:
        """Scan these mailboxes and bring what is new in them; what does not add up is scanned once
        more, in full.
        """
        requests = [ScanRequest(mailbox, self._run.state(mailbox.path)) for mailbox in mailboxes]
        moved = [
            request for request in requests if not stands_still(request.mailbox, request.since)
        ]
        self._report.unchanged += len(requests) - len(moved)
        self._bring(moved)
        again, self._again = self._again, []
        self._bring([ScanRequest(mailbox) for mailbox in again])

    def unfinished(self) -> list[MailboxPath]:
        """Name the mailboxes that must be looked at again because something in them is missing."""
        return [*self._open, *self._broken]

    def _bring(self, requests: Sequence[ScanRequest]) -> None:
        if not requests:
            return
        self._fetch(self._wanted(requests))
        while self._candidates:
            self._fetch(self._unrecognised())

    def _fetch(self, wanted: Iterable[Entry]) -> None:
        for got in self._source.fetch(self._budget.within(wanted, lambda entry: entry.size or 0)):
            self._take(got)
            if isinstance(got, Message):
                self._budget.spend(len(got.content))
        self._budget.raise_if_exhausted(self._report.account)

    def _wanted(self, requests: Sequence[ScanRequest]) -> Iterator[Entry]:
        """Scan ahead and name the messages to fetch, as the source asks for them."""
        for scan in self._source.scan(requests):
            if isinstance(scan, MailboxMissing):
                self.missing.add(scan.mailbox)
                self._report.note("mailbox-missing", scan.mailbox, "", str(scan))
            elif isinstance(scan, MailboxError):
                self._report.of(scan.mailbox).incomplete = True
                self._report.trouble_with("mailbox", scan.mailbox, "", str(scan))
                self._broken.add(scan.mailbox)
            else:
                yield from self._look(scan)

    def _look(self, scan: Scan) -> Iterator[Entry]:
        path = scan.mailbox.path
        plan = plan_pull(scan, self._run.known(scan))
        if plan.doubtful:
            self._again.append(scan.mailbox)
            return
        tally = self._report.of(path)
        tally.seen += scan.state.messages
        if plan.renewed:
            self._run.retire(path)
        tally.flags += self._run.reflag(plan.reflag)
        tally.gone += self._run.mark_gone(path, scan.state.uidvalidity, plan.gone)
        if plan.alarming:
            self._report.trouble_with(
                "mass-vanishing",
                path,
                "",
                f"{len(plan.gone)} messages vanished from the server at once; the archive keeps"
                " every one of them",
            )
        waiting = len(self._candidates) + self._twins_found
        fetch = [*plan.damaged, *self._unknown(plan.new)]
        self._open[path] = _Open(
            scan, len(fetch) + len(self._candidates) + self._twins_found - waiting
        )
        self._progress.expect(len(fetch), sum(entry.size or 0 for entry in fetch))
        self._settle(path)
        yield from fetch

    def _unknown(self, entries: Sequence[Entry]) -> Iterator[Entry]:
        """Leave out what the archive has: by the server's own ids at once; what merely may be here
        waits to be recognised.

        A message that this run is already fetching from another mailbox, by the server's id (every
        Gmail label shows it), waits for that.
        """
        maybe: set[Entry] = set()
        if isinstance(self._source, HeaderSource):
            maybe = {
                entry for entry in self._run.candidates(entries) if "\\Draft" not in entry.flags
            }
        for entry in entries:
            digest = self._run.same_object(entry) if entry.object_id else None
            if digest is not None and self._matched(entry, digest):
                continue
            if entry.object_id in self._twins:
                self._twins[entry.object_id].append(entry)
                self._twins_found += 1
            elif entry in maybe:
                self._candidates.append(entry)
            else:
                if entry.object_id:
                    self._twins[entry.object_id] = []
                yield entry

    def _unrecognised(self) -> Iterator[Entry]:
        """Recognise candidates by header and tail, all in one flight each; name those that must be
        fetched after all.
        """
        candidates, self._candidates = self._candidates, []
        believed = self._recognise(candidates)
        for entry in candidates:
            digest = believed.get(_key(entry))
            if digest is not None and self._matched(entry, digest):
                self._arrived(entry)
            else:
                self._progress.expect(1, entry.size or 0)
                yield entry

    def _matched(self, entry: Entry, digest: bytes) -> bool:
        """Record a message without fetching it; False when the archive cannot vouch for that
        content and it must be fetched.
        """
        stored = self._run.match(entry, digest)
        if stored is None:
            return False
        self._count(entry, stored, 0)
        return True

    def _recognise(self, candidates: Sequence[Entry]) -> dict[Hashable, bytes]:
        source = self._source
        if not isinstance(source, HeaderSource):
            return {}
        alike: dict[Hashable, tuple[Entry, bytes]] = {}
        delivered: set[Hashable] = set()
        for part in source.headers(candidates):
            digest = self._run.recognise(part)
            if digest is not None:
                alike[_key(part.entry)] = part.entry, digest
                if header.first(part.content, b"received") is not None:
                    delivered.add(_key(part.entry))
        if not isinstance(source, TailSource):
            # Without the tail only a delivered message is believed: its Received lines carry a
            # queue id no other message has.
            return {key: digest for key, (_, digest) in alike.items() if key in delivered}
        tails = [
            (_key(part.entry), part)
            for part in source.tails([entry for entry, _ in alike.values()], TAIL)
        ]
        return {
            key: alike[key][1] for key, part in tails if self._run.tail_equals(alike[key][1], part)
        }

    def _take(self, got: Message | Unfetched) -> None:
        entry = got.entry
        twins = self._twins.pop(entry.object_id, []) if entry.object_id else []
        if isinstance(got, Message):
            stored = self._run.add(got)
            self._count(entry, stored, len(got.content))
            self._progress.advance(1, entry.size or 0)
            for twin in twins:
                if self._matched(twin, stored.digest):
                    self._arrived(twin)
                else:
                    self._candidates.append(twin)
        elif got.expunged:
            self._report.of(entry.ref.mailbox).skipped += 1
            self._report.note("expunged", entry.ref.mailbox, name_of(entry), got.why)
        else:
            self._report.of(entry.ref.mailbox).failed += 1
            self._report.trouble_with("failed", entry.ref.mailbox, name_of(entry), got.why)
            self._open[entry.ref.mailbox].failed += 1
        if isinstance(got, Unfetched):
            self._candidates += twins
        self._arrived(entry)

    def _count(self, entry: Entry, stored: Stored, octets: int) -> None:
        path = entry.ref.mailbox
        tally = self._report.of(path)
        tally.count(stored, octets)
        self._counted.append((self._run.taken, tally, stored, octets))
        self._forget_durable()
        if stored.collides is not None and stored.kind is Kind.NEW:
            self._report.note(
                "collision",
                path,
                name_of(entry),
                f"bears the Message-ID of another message ({stored.collides.hex()[:12]}) but"
                f" differs from it; both are kept (this one is {stored.digest.hex()[:12]})",
            )

    def _arrived(self, entry: Entry) -> None:
        path = entry.ref.mailbox
        self._open[path].pending -= 1
        self._settle(path)

    def _settle(self, path: MailboxPath) -> None:
        """Advance a mailbox's state once every message of its scan is in the archive, and only
        then.
        """
        mailbox = self._open[path]
        if mailbox.pending or mailbox.failed:
            return
        lost = self._run.complete(mailbox.scan)
        self._report.of(path).gone += lost
        del self._open[path]


def name_of(entry: Entry) -> str:
    """Name a message on its server for a person."""
    if isinstance(entry.ref, UidRef):
        return f"UID {entry.ref.uid}"
    return (
        f"UIDL {entry.ref.uidl.decode('ascii', 'replace')}"
        if entry.ref.uidl
        else f"number {entry.ref.number}"
    )


def _key(entry: Entry) -> Hashable:
    """Tell messages of one session apart: those of a POP3 server without UIDLs are equal to each
    other if only their sizes are.
    """
    return entry, (
        entry.ref.number if isinstance(entry.ref, UidlRef) and entry.ref.uidl is None else None
    )
