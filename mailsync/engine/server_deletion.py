"""Delete from a POP3 server what its owner wants kept there for some days only, and only what the
archive provably holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailsync.archive import PullRun
from mailsync.engine.memory import HeldMessages
from mailsync.engine.names import name_of_entry
from mailsync.engine.report import Report
from mailsync.errors import MailboxError, StoreUnavailable
from mailsync.formats import header
from mailsync.model import INBOX, Entry, Excerpt, Mailbox, Message, ScanRequest
from mailsync.progress import Progress
from mailsync.stores.base import DeletingSource, Source


def delete_from_server(
    source: DeletingSource, run: PullRun, report: Report, progress: Progress, *, after: float
) -> None:
    """Delete messages that the archive has held for `after` seconds; count only what the server
    confirmed.

    A message goes only when, in this very session, its announced size and its header equal those of
    the message in the archive, whose file was just read and hashed. The server deletes at the end
    of the session, so a lost goodbye deletes nothing, and the next run finds that out.
    """
    run.flush()
    progress.begin(f"tidying {report.account}")
    try:
        for scan in source.scan([ScanRequest(Mailbox(INBOX))]):
            if isinstance(scan, MailboxError):
                continue
            held = run.held(scan.entries, before=int(run.started - after))
            proven = [
                part.entry
                for part in _shown(source, list(held))
                if run.proves(held[part.entry], part)
            ]
            deleted = source.delete(proven)
            report.of(INBOX).removed += len(deleted)
            for entry in held.keys() - set(proven):
                report.note(
                    "kept",
                    INBOX,
                    name_of_entry(entry),
                    "was not deleted on the server: it is not the message the archive holds",
                )
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


def _shown(source: DeletingSource, entries: Sequence[Entry]) -> Iterator[Excerpt]:
    """Let the server show the messages' headers; by the whole messages where it cannot show headers
    alone.
    """
    none = True
    for part in source.headers(entries):
        none = False
        yield part
    if none and entries:
        for got in source.fetch(entries):
            if isinstance(got, Message):
                yield Excerpt(got.entry, header.block(got.content))
