"""One pull from the choice of its mailboxes to its end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from mailsync.archive import PullRun
from mailsync.engine.budget import Budget, unlimited
from mailsync.engine.pull.choice import (
    choose,
    demand_choice,
    note_unmatched,
    note_unreadable,
    shows_everything,
)
from mailsync.engine.pull.intake import Intake
from mailsync.engine.pull.scan_loop import ScanLoop
from mailsync.engine.pull.vanished import Vanished, note_missing
from mailsync.engine.report import Report
from mailsync.errors import ArchiveError, NothingMatches, StoreUnavailable
from mailsync.model import INBOX, Mailbox, MailboxPath
from mailsync.progress import Progress
from mailsync.stores.base import PortioningSource, Source, WholeSource

_NEVER_AGAIN: Final = (PortioningSource, WholeSource)
"""Sources that are not listed once more: the one in sessions of its own, the other at length."""


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
    thorough: bool = False,
) -> Report:
    """Pull into `run` and fill `report`; a server that gives up ends it early, all that came kept.

    `among` are the account's own globs, `only` those of this run; a mailbox must match both. Views
    come last, as what they show is recognised then. `listed` are the source's mailboxes where just
    asked for; `thorough` as in `ScanLoop.bring_all`, and what changed meanwhile is looked at.
    """
    intake = Intake(run, report, progress)
    loop = ScanLoop(source, run, report, progress, budget or unlimited(), intake)
    chosen: Sequence[Mailbox] = ()
    absent: Sequence[MailboxPath] = ()
    with _counting_what_lasts(intake):
        progress.begin(f"pulling from {report.account}")
        try:
            listed = _listed(source, run, report, only) if listed is None else listed
            held = {box.path for box in listed if run.state(box.path) is not None}
            chosen = demand_choice(listed, among, only, report.account, held)
            loop.bring_all(chosen, thorough=thorough)
            if loop.missing or (thorough and not isinstance(source, _NEVER_AGAIN)):
                listed, chosen = _look_again(source, loop, held, among, only)
            absent = _conclude(source, run, report, loop, listed, among)
        except (NothingMatches, StoreUnavailable) as error:
            report.error = error
        finally:
            progress.end()
        _note_there(run, report, loop, chosen)
        _note_vanished(Vanished(run, report, listed or ()), report, loop, absent)
        run.flush()
    return report


def _listed(source: Source, run: PullRun, report: Report, only: Sequence[str]) -> Sequence[Mailbox]:
    """Return the source's mailboxes; none where it can be told for all at once that nothing changed
    in them, and all are meant.
    """
    mark = source.mark() if isinstance(source, WholeSource) and not only else None
    still = 0 if mark is None else run.all_at(mark)
    report.unchanged += still
    return () if still else source.mailboxes()


def _look_again(
    source: Source,
    loop: ScanLoop,
    held: Collection[MailboxPath],
    among: Sequence[str],
    only: Sequence[str],
) -> tuple[Sequence[Mailbox], Sequence[Mailbox]]:
    """Bring what was renamed, or moved to a mailbox that was looked at before: it is in no scan.

    Returns the mailboxes listed now, and those of them to pull.
    """
    listed = source.mailboxes()
    chosen = choose(listed, among, only, held)
    loop.bring_changed(chosen)
    return listed, chosen


def _conclude(  # noqa: PLR0917  what a pull knows at its end
    source: Source,
    run: PullRun,
    report: Report,
    loop: ScanLoop,
    listed: Sequence[Mailbox],
    among: Sequence[str],
) -> Sequence[MailboxPath]:
    """Say what a complete list of mailboxes lacks of those asked for; returns those that the
    archive has and the list lacks, now marked as gone.
    """
    if note_unreadable(source, report) or not shows_everything(source):
        return []
    note_unmatched(listed, among, report)
    return _mark_absent(run, report, loop.still_there(listed))


def _note_there(run: PullRun, report: Report, loop: ScanLoop, chosen: Sequence[Mailbox]) -> None:
    """Record which mailboxes are there, and let the next pull look again at those of which
    something is missing.
    """
    for mailbox in loop.still_there(chosen):
        run.mailbox(mailbox)
    loop.report_unlisted()
    for path in loop.unfinished():
        report.of(path).incomplete = True
        run.incomplete(path)


def _note_vanished(
    vanished: Vanished, report: Report, loop: ScanLoop, absent: Sequence[MailboxPath]
) -> None:
    """Say what vanished, now that all is known of where it may have gone."""
    note_missing(report, loop.missing, absent)
    left = [path for path, tally in report.mailboxes.items() if tally.gone and path not in absent]
    vanished.from_mailboxes(left)
    vanished.with_mailboxes(absent)


@contextmanager
def _counting_what_lasts(intake: Intake) -> Iterator[None]:
    """Count nothing that was not durable when the archive failed; else tell what came shorter than
    it was listed.
    """
    try:
        yield
    except ArchiveError:
        intake.take_back()
        raise
    intake.note_shorter()


def _mark_absent(
    run: PullRun, report: Report, listed: Collection[Mailbox]
) -> Sequence[MailboxPath]:
    """Record what the complete list of mailboxes no longer names, and return it; the messages stay
    in the archive.

    Every account has an INBOX (RFC 9051 section 5.1), so a list without one is no list to conclude
    anything from.
    """
    if not any(mailbox.path == INBOX for mailbox in listed):
        text = (
            "the server's list of mailboxes does not name INBOX, so it is not believed, and nothing"
            " is marked as gone"
        )
        report.trouble_with("mailbox", INBOX, "", text)
        return []
    return run.absent([mailbox.path for mailbox in listed])
