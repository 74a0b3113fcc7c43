"""One pull from the choice of its mailboxes to its end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from mailsync.archive import PullRun
from mailsync.engine.budget import Budget, unlimited
from mailsync.engine.pull.choice import demand_choice, note_unreadable, shows_everything
from mailsync.engine.pull.intake import Intake
from mailsync.engine.pull.scan_loop import ScanLoop
from mailsync.engine.pull.vanished import Vanished, note_missing
from mailsync.engine.report import Report
from mailsync.errors import ArchiveError, NothingMatches, StoreUnavailable
from mailsync.model import INBOX, Mailbox, MailboxPath
from mailsync.progress import Progress
from mailsync.stores.base import Source, WholeSource


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
    """Pull into `run` and fill `report`; a server that gives up ends the run early, with everything
    that came kept.

    `among` are the account's own globs, `only` those of this run; a mailbox must match both.
    `\\All` comes last, so that a message it merely shows is recognised instead of fetched;
    `\\Flagged` and `\\Important` are left out unless a glob names them. `listed` is the source's
    list of mailboxes, where it was asked for just now; `thorough` as in `ScanLoop.bring_all`.
    """
    intake = Intake(run, report, progress)
    loop = ScanLoop(source, run, report, progress, budget or unlimited(), intake)
    chosen: Sequence[Mailbox] = ()
    absent: Sequence[MailboxPath] = ()
    with _counting_what_lasts(intake):
        progress.begin(f"pulling from {report.account}")
        try:
            listed = _listed(source, run, report, only) if listed is None else listed
            chosen = demand_choice(listed, among, only, report.account)
            loop.bring_all(chosen, thorough=thorough)
            if not note_unreadable(source, report) and shows_everything(source):
                absent = _mark_absent(run, report, loop.without_missing(listed))
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


def _note_there(run: PullRun, report: Report, loop: ScanLoop, chosen: Sequence[Mailbox]) -> None:
    """Record which mailboxes are there, and let the next pull look again at those of which
    something is missing.
    """
    for mailbox in loop.without_missing(chosen):
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
    """Count nothing that was not durable when the archive failed."""
    try:
        yield
    except ArchiveError:
        intake.take_back()
        raise


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
    return run.absent([mailbox.path for mailbox in listed if mailbox.selectable])
