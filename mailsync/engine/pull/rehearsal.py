"""What a pull would do now: every mailbox scanned and planned, nothing fetched, nothing written."""

from __future__ import annotations

from collections.abc import Sequence

from mailsync.engine.memory import MailboxMemory
from mailsync.engine.pull.choice import (
    demand_choice,
    note_unmatched,
    note_unreadable,
    shows_everything,
)
from mailsync.engine.report import Report
from mailsync.errors import MailboxError, MailboxMissing, NothingMatches, StoreUnavailable
from mailsync.model import Mailbox, Scan, ScanRequest
from mailsync.plan import plan_pull, stands_still
from mailsync.stores.base import Source


def rehearse_pull(
    source: Source,
    memory: MailboxMemory,
    report: Report,
    *,
    only: Sequence[str] = (),
    among: Sequence[str] = (),
) -> list[Mailbox]:
    """Fill `report` with what a pull would do now; returns the mailboxes it is about.

    Messages that would be recognised instead of fetched are counted as new: telling them apart
    takes their headers.
    """
    chosen: list[Mailbox] = []
    try:
        listed = source.mailboxes()
        held = {box.path for box in listed if memory.state(box.path) is not None}
        chosen = demand_choice(listed, among, only, report.account, held)
        if not note_unreadable(source, report) and shows_everything(source):
            note_unmatched(listed, among, report)
        requests = [ScanRequest(mailbox, memory.state(mailbox.path)) for mailbox in chosen]
        changed = [
            request for request in requests if not stands_still(request.mailbox, request.since)
        ]
        report.unchanged = len(requests) - len(changed)
        for scan in source.scan(ScanRequest(request.mailbox) for request in changed):
            if isinstance(scan, MailboxMissing):
                continue
            if isinstance(scan, MailboxError):
                report.trouble_with("mailbox", scan.mailbox, "", str(scan))
            else:
                _count(scan, memory, report)
    except (NothingMatches, StoreUnavailable) as error:
        report.error = error
    return chosen


def _count(scan: Scan, memory: MailboxMemory, report: Report) -> None:
    plan = plan_pull(scan, memory.known(scan))
    wanted = (*plan.new, *plan.damaged)
    tally = report.of(scan.mailbox.path)
    tally.seen += scan.state.messages
    for text in scan.unlisted:
        report.trouble_with("unlisted", scan.mailbox.path, "", text)
    tally.new += len(wanted)
    tally.octets += sum(entry.size or 0 for entry in wanted)
    tally.flags += len(plan.reflag)
    tally.gone += len(plan.gone)
