"""Delete from a POP3 server what its owner wants kept there for some days only, and only what the
archive provably holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from mailsync.archive import PullRun
from mailsync.engine.memory import HeldMessages
from mailsync.engine.names import name_of_entry
from mailsync.engine.pull.reuse import LINES
from mailsync.engine.report import Report
from mailsync.errors import MailboxError, StoreUnavailable
from mailsync.formats import header
from mailsync.model import INBOX, Entry, Kind, Mailbox, Message, Ref, Scan, ScanRequest
from mailsync.progress import Progress
from mailsync.stores.base import DeletingSource, Source


def delete_from_server(
    source: DeletingSource,
    run: PullRun,
    report: Report,
    progress: Progress,
    *,
    after: float,
    whole: bool,
) -> None:
    """Delete messages that the archive has held for `after` seconds; count only what the server
    confirmed.

    A message goes only when, in this very session, its content equals that of the message in the
    archive, whose file was just read and hashed. Unless `whole`, its announced size, its header and
    its first lines are enough where it has a Received line, whose queue id no other message has.
    The server deletes at the end of the session, so a lost goodbye deletes nothing, and the next
    run finds that out.
    """
    run.flush()
    progress.begin(f"tidying {report.account}")
    try:
        for scan in source.scan([ScanRequest(Mailbox(INBOX))]):
            if isinstance(scan, Scan) and not _clock_is_wrong(run, report, after):
                held = run.held(scan.entries, before=int(run.started - after))
                proven = _Proof(source, run, report, held).run(whole=whole)
                run.flush()
                report.of(INBOX).removed += len(source.delete(proven))
    except StoreUnavailable as error:
        report.note("kept", INBOX, "", f"nothing was deleted on the server: {error}")
    finally:
        progress.end()


def rehearse_deletion(
    source: Source, memory: HeldMessages, report: Report, *, after: float, now: float
) -> None:
    """Return how many messages a pull that ends well would delete on the server by now at most;
    asks for no header and deletes nothing.
    """
    for scan in source.scan([ScanRequest(Mailbox(INBOX))]):
        if isinstance(scan, MailboxError):
            continue
        held = memory.held(scan.entries, before=int(now - after))
        if held:
            octets = sum(entry.size or 0 for entry in held)
            text = (
                f"up to {len(held):,} messages ({octets:,} octets) would be deleted on the server,"
                " as `keep: delete_after` says"
            )
            report.note("would-delete", INBOX, "", text)


def _clock_is_wrong(run: PullRun, report: Report, after: float) -> bool:
    """Say that nothing is deleted where nobody knows for how long anything has been held."""
    doubt = run.clock_doubt(after)
    if doubt:
        report.note("kept", INBOX, "", f"nothing was deleted on the server: {doubt}")
    return bool(doubt)


class _Proof:
    """Compares what the server shows with what the archive holds, in one session."""

    def __init__(
        self, source: DeletingSource, run: PullRun, report: Report, held: Mapping[Entry, bytes]
    ) -> None:
        self._source = source
        self._run = run
        self._report = report
        self._held = held
        self._entries = {entry.ref: entry for entry in held}
        self._other_header: set[Ref] = set()

    def run(self, *, whole: bool) -> list[Entry]:
        """Return the entries that are surely the messages the archive holds."""
        proven = [] if whole else self._by_header()
        done = set(proven)
        rest = [entry for entry in self._held if entry not in done]
        return proven + (self._by_content(rest) if rest else [])

    def _by_header(self) -> list[Entry]:
        proven = []
        for part in self._source.beginnings(list(self._held), LINES):
            if not self._run.proves(self._held[part.entry], part):
                self._other_header.add(part.entry.ref)
            elif header.first(part.content, b"received") is not None:
                proven.append(part.entry)
        return proven

    def _by_content(self, entries: list[Entry]) -> list[Entry]:
        """Fetch messages and compare them; one that turns out to be another is kept like any that
        is new.
        """
        proven = []
        for got in self._source.fetch(entries):
            if not isinstance(got, Message):
                self._kept(got.entry, f"was not deleted on the server: {got.why}")
                continue
            entry = self._entries[got.entry.ref]
            if not self._run.holds(self._held[entry], got.content):
                self._take(got)
            elif entry.ref in self._other_header:
                self._kept(
                    entry, "was not deleted on the server, which shows another header for it"
                )
            else:
                proven.append(entry)
        return proven

    def _take(self, message: Message) -> None:
        stored = self._run.add(message)
        self._report.of(INBOX).count(stored, len(message.content))
        self._kept(
            message.entry,
            "was not deleted on the server: it is not the message that the archive held under that"
            " name, but another one, which was stored too"
            if stored.kind is Kind.NEW
            else "was not deleted on the server: it is not quite the message the archive holds",
        )

    def _kept(self, entry: Entry, text: str) -> None:
        self._report.note("kept", INBOX, name_of_entry(entry), text)
