"""What a pull takes in: counts it, and closes a mailbox once all that its scan showed is there."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from mailsync.archive import PullRun
from mailsync.engine.names import name_of_entry
from mailsync.engine.report import Report, Tally
from mailsync.formats import header
from mailsync.formats.boundary import is_closed
from mailsync.formats.quantities import messages
from mailsync.model import Entry, Kind, MailboxPath, Message, Scan, Stored, UidRef, Unfetched
from mailsync.progress import Progress

_ESTIMATED: Final = 0.95
"""The part of a listed size that comes at least where a server estimates well."""


@dataclass(slots=True)
class _Open:
    """A scanned mailbox whose messages are still on their way."""

    scan: Scan
    pending: int
    failed: int = 0


class Intake:
    """The mailboxes that are open, and what came of their messages so far."""

    def __init__(self, run: PullRun, report: Report, progress: Progress) -> None:
        self._run = run
        self._report = report
        self._progress = progress
        self._open: dict[MailboxPath, _Open] = {}
        self._shorter: dict[MailboxPath, list[tuple[int, int]]] = {}
        self._counted: deque[tuple[int, Tally, Stored, int]] = deque()

    def open(self, scan: Scan, pending: int) -> None:
        """Wait for that many messages of a mailbox; one that was not listed whole stays open."""
        self._open[scan.mailbox.path] = _Open(scan, pending, len(scan.unlisted))
        self._close_if_complete(scan.mailbox.path)

    def expect(self, scan: Scan, more: int) -> None:
        """Wait for that many messages of a mailbox too, which may be closed already."""
        self._open.setdefault(scan.mailbox.path, _Open(scan, 0)).pending += more

    def still_open(self) -> list[MailboxPath]:
        """Return the mailboxes of which something is missing."""
        return list(self._open)

    def take(self, message: Message) -> Stored:
        """Put a message into the archive; `arrived` is the caller's to say."""
        message = self._weighed(message)
        stored = self._run.add(self._dated(message))
        self._count(message.entry, stored, len(message.content))
        if message.lacking:
            self._lacks(message)
        self._progress.advance(1, message.entry.size or 0)
        return stored

    def note_shorter(self) -> None:
        """Say of which mailboxes messages came that are much shorter than they were listed."""
        for path, sizes in self._shorter.items():
            listed, came = (sum(numbers) for numbers in zip(*sizes, strict=True))
            text = (
                f"{messages(len(sizes))} came shorter than listed, {came:,} octets instead of"
                f" {listed:,}, and the server says that there is no more: either it only"
                " estimates sizes, or it lost the ends of these messages"
            )
            self._report.note("shorter", path, "", text)
        self._shorter.clear()

    def _weighed(self, message: Message) -> Message:
        """Note a message of IMAP that is much shorter than it was listed, which is all there is of
        it: some servers estimate. One that ends in the midst of its parts was cut.
        """
        entry, content = message.entry, message.content
        octets = len(content) + content.count(b"\n") - content.count(b"\r\n")
        far = octets < (entry.size or 0) * _ESTIMATED
        if message.lacking or not far or not isinstance(entry.ref, UidRef):
            return message
        if is_closed(content) is False:
            why = f"only {len(content):,} of the {entry.size:,} octets that were listed came"
            return replace(message, lacking=f"{why}, and the last of its parts does not end")
        self._shorter.setdefault(entry.ref.mailbox, []).append((entry.size or 0, len(content)))
        return message

    def _dated(self, message: Message) -> Message:
        """Give a message the time of its arrival by its header where the server does not tell
        it.
        """
        if message.entry.internaldate is not None:
            return message
        entry = message.entry
        date = header.received_or_date(message.content, self._run.started)
        if date is None:
            text = "bears no date that can be true: it is kept under the day of this run"
            self._report.note("undated", entry.ref.mailbox, name_of_entry(entry), text)
        return replace(message, entry=replace(entry, internaldate=date))

    def _lacks(self, message: Message) -> None:
        """Report a message that came in part; its mailbox stays open."""
        path = message.entry.ref.mailbox
        text = f"{message.lacking}; what came is kept, and the next run asks again"
        self._report.trouble_with("short", path, name_of_entry(message.entry), text)
        self._open[path].failed += 1

    def match(self, entry: Entry, digest: bytes) -> bool:
        """Record a message without fetching it; False when the archive cannot vouch for that
        content and it must be fetched.
        """
        stored = self._run.match(entry, digest)
        if stored is None:
            return False
        self._count(entry, stored, 0)
        return True

    def report_unfetched(self, got: Unfetched) -> None:
        """Report a message that did not come; its mailbox stays open unless the server no longer
        has it.
        """
        path, name = got.entry.ref.mailbox, name_of_entry(got.entry)
        if got.expunged:
            self._report.of(path).skipped += 1
            self._report.note("expunged", path, name, got.why)
        else:
            self._report.of(path).failed += 1
            self._report.trouble_with("failed", path, name, got.why)
            self._open[path].failed += 1

    def arrived(self, entry: Entry) -> None:
        """Wait for this message no longer."""
        self._open[entry.ref.mailbox].pending -= 1
        self._close_if_complete(entry.ref.mailbox)

    def take_back(self) -> None:
        """Count nothing that was not durable when the archive failed."""
        self._drop_durable()
        for _, tally, stored, octets in self._counted:
            tally.count(stored, octets, times=-1)
        self._counted.clear()

    def _close_if_complete(self, path: MailboxPath) -> None:
        """Advance a mailbox's state once every message of its scan is in the archive, and only
        then.
        """
        mailbox = self._open[path]
        if mailbox.pending or mailbox.failed:
            return
        self._report.of(path).gone += self._run.complete(mailbox.scan)
        del self._open[path]

    def _count(self, entry: Entry, stored: Stored, octets: int) -> None:
        path = entry.ref.mailbox
        tally = self._report.of(path)
        tally.count(stored, octets)
        self._counted.append((self._run.taken, tally, stored, octets))
        self._drop_durable()
        if stored.collides is not None and stored.kind is Kind.NEW:
            self._report.note(
                "collision",
                path,
                name_of_entry(entry),
                f"bears the Message-ID of another message ({stored.collides.hex()[:12]}) but"
                f" differs from it; both are kept (this one is {stored.digest.hex()[:12]})",
            )

    def _drop_durable(self) -> None:
        """Keep in mind only what may still have to be taken back."""
        while self._counted and self._counted[0][0] <= self._run.durable:
            self._counted.popleft()
