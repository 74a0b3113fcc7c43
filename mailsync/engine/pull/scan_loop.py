"""Scans mailboxes ahead, plans each scan, and fetches what the plan asks for.

The source pulls the loop: it reads the entries to fetch lazily, and each one it asks for may make
the loop scan the next mailbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mailsync.archive import PullRun
from mailsync.engine.budget import Budget
from mailsync.engine.pull.doubles import Doubles
from mailsync.engine.pull.intake import Intake
from mailsync.engine.pull.recognition import Recognition
from mailsync.engine.pull.reuse import Reuse
from mailsync.engine.report import Report
from mailsync.errors import MailboxError, MailboxMissing
from mailsync.model import Entry, Mailbox, MailboxPath, Message, Ref, Scan, ScanRequest
from mailsync.plan import is_due, plan_pull, stands_still
from mailsync.progress import Progress
from mailsync.stores.base import PortioningSource, Source


class ScanLoop:
    """The mailboxes of one pull on their way into the archive."""

    def __init__(  # noqa: PLR0917  what a pull works with
        self,
        source: Source,
        run: PullRun,
        report: Report,
        progress: Progress,
        budget: Budget,
        intake: Intake,
    ) -> None:
        self._source = source
        self._run = run
        self._report = report
        self._progress = progress
        self._budget = budget
        self._intake = intake
        self._recognition = Recognition(source, run, intake, progress)
        self._again: list[Mailbox] = []
        self._broken: set[MailboxPath] = set()
        self.missing: dict[MailboxPath, str] = {}
        self._listings: dict[MailboxPath, Scan] = {}
        self._brought: set[bytes] = set()
        self._shown: dict[MailboxPath, set[Ref]] = {}
        self._reuse = Reuse(source, run, report, self._fetch_again)
        self._doubles = Doubles(source, run, report)

    def bring(self, mailboxes: Sequence[Mailbox]) -> None:
        """Scan these mailboxes and bring what is new in them; what does not add up is scanned once
        more, in full. Raises StoreUnavailable.
        """
        requests = [ScanRequest(mailbox, self._run.state(mailbox.path)) for mailbox in mailboxes]
        changed, due, rest = [], [], []
        for one in requests:
            if not stands_still(one.mailbox, one.since):
                changed.append(one)
            elif one.since and one.since.uidvalidity and is_due(one.mailbox.path, self._run.id):
                # Of what a store of files goes by nothing is stale.
                due.append(one)
            else:
                rest.append(one)
        self._bring([*changed, *due])
        if any(self._is_changed(one.mailbox) for one in due):
            # What the list says of mailboxes is not what opening them shows: open them all.
            self._bring(rest)
            rest = []
        self._report.unchanged += len(rest)
        self._run.still(one.mailbox.path for one in rest)
        again, self._again = self._again, []
        self._bring([ScanRequest(mailbox) for mailbox in again])

    def bring_all(self, mailboxes: Sequence[Mailbox], *, thorough: bool) -> None:
        """Bring what is new, views last. Where a server may show one portion a session, scan in new
        sessions until nothing new is shown; `thorough` does so where nothing points to portions
        too. Raises StoreUnavailable.
        """
        self.bring([mailbox for mailbox in mailboxes if not mailbox.is_view])
        self.bring([mailbox for mailbox in mailboxes if mailbox.is_view])
        source, brought = self._source, 0
        while isinstance(source, PortioningSource) and len(self._brought) > brought:
            if not (thorough or source.shows_portions()):
                return
            brought = len(self._brought)
            source.renew()
            self.bring(mailboxes)

    def bring_changed(self, mailboxes: Sequence[Mailbox]) -> None:
        """Bring what is new in those that are not as they were scanned, by a new list. Raises
        StoreUnavailable.
        """
        changed = [mailbox for mailbox in mailboxes if self._is_changed(mailbox)]
        self._run.flush()
        self._bring([ScanRequest(mailbox) for mailbox in changed])

    def _is_changed(self, mailbox: Mailbox) -> bool:
        scan, now = self._listings.get(mailbox.path), mailbox.state
        if scan is None:
            return not stands_still(mailbox, self._run.state(mailbox.path))
        if now is not None and not now.uidvalidity:
            return now.highestmodseq != scan.state.highestmodseq
        return now is not None and (now.uidvalidity, now.uidnext, now.messages) != (
            scan.state.uidvalidity,
            scan.state.uidnext,
            scan.state.messages,
        )

    def report_unlisted(self) -> None:
        """Report what the last look at each mailbox could not list."""
        for path, scan in self._listings.items():
            for text in scan.unlisted:
                self._report.trouble_with("unlisted", path, "", text)
            if scan.unlisted and not scan.absence_means_gone:
                self._report.of(path).seen += scan.state.messages - len(scan.entries)

    def still_there(self, listed: Iterable[Mailbox]) -> list[Mailbox]:
        """Return the mailboxes that can be looked into: those the server calls so, but for those
        that were gone when they were scanned, and those that were scanned.
        """
        return [
            mailbox
            for mailbox in listed
            if mailbox.path in self._listings
            or (mailbox.selectable and mailbox.path not in self.missing)
        ]

    def unfinished(self) -> list[MailboxPath]:
        """Return the mailboxes that must be looked at again because something in them is
        missing.
        """
        return [*self._intake.still_open(), *self._broken]

    def _bring(self, requests: Sequence[ScanRequest]) -> None:
        if not requests:
            return
        self._fetch(self._wanted(requests))
        while self._recognition.has_candidates:
            self._fetch(self._recognition.unrecognised())
        self._broken.update(self._doubles.check())
        self._reuse.check()

    def _fetch_again(self, scan: Scan, entries: Sequence[Entry]) -> None:
        self._intake.expect(scan, len(entries))
        self._progress.expect(len(entries), sum(entry.size or 0 for entry in entries))
        self._fetch(entries)

    def _fetch(self, wanted: Iterable[Entry]) -> None:
        affordable = self._budget.within(wanted, lambda entry: entry.size or 0)
        for got in self._source.fetch(affordable):
            if isinstance(got, Message):
                stored = self._intake.take(got)
                self._note_brought(stored.digest)
                self._doubles.note(stored)
                self._recognition.match_twins(got.entry, stored)
            else:
                self._intake.report_unfetched(got)
                self._recognition.match_twins(got.entry, None)
            self._intake.arrived(got.entry)
            if isinstance(got, Message):
                self._budget.spend(len(got.content))
        self._budget.raise_if_exhausted(self._report.account)

    def _note_brought(self, digest: bytes) -> None:
        """Remember a content that came, the same only once: a server may show it under new names in
        every session.
        """
        if isinstance(self._source, PortioningSource):
            self._brought.add(digest[:8])

    def _wanted(self, requests: Sequence[ScanRequest]) -> Iterator[Entry]:
        """Scan ahead and yield the messages to fetch, as the source asks for them."""
        selectable = {one.mailbox.path for one in requests if one.mailbox.selectable}
        for scan in self._source.scan(requests):
            if isinstance(scan, MailboxMissing):
                if scan.mailbox in selectable:
                    self.missing[scan.mailbox] = str(scan)
            elif isinstance(scan, MailboxError):
                self._report.of(scan.mailbox).incomplete = True
                self._report.trouble_with("mailbox", scan.mailbox, "", str(scan))
                self._broken.add(scan.mailbox)
            else:
                yield from self._planned(scan)

    def _planned(self, scan: Scan) -> Iterator[Entry]:
        """Carry out what the plan of a scan asks of the catalogue, and yield what it asks to
        fetch.
        """
        path = scan.mailbox.path
        self.missing.pop(path, None)
        known = self._run.known(scan)
        plan = plan_pull(scan, known)
        if plan.doubtful:
            self._again.append(scan.mailbox)
            return
        tally = self._report.of(path)
        again = path in self._listings
        if not again:
            self._reuse.remember(scan, known)
        shown = self._shown.setdefault(path, set())
        fresh = sum(entry.ref not in shown for entry in plan.new) if again else 0
        tally.seen += fresh if again else scan.state.messages
        if isinstance(self._source, PortioningSource):
            shown.update(entry.ref for entry in scan.entries)
        if scan.unlisted and not scan.absence_means_gone:
            # The next session may show the rest.
            tally.seen -= 0 if again else scan.state.messages - len(scan.entries)
        self._listings[path] = scan
        if plan.renewed:
            self._run.retire(path)
        tally.flags += self._run.reflag(plan.reflag)
        tally.gone += self._run.mark_gone(path, scan.state.uidvalidity, plan.gone)
        waiting = self._recognition.waiting
        fetch = [*plan.damaged, *self._recognition.unknown(plan.new, len(scan.entries))]
        self._progress.expect(len(fetch), sum(entry.size or 0 for entry in fetch))
        self._intake.open(scan, len(fetch) + self._recognition.waiting - waiting)
        yield from fetch
