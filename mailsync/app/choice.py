"""From what a person chose, in times, to what the engine selects, in runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mailsync.app.accounts import Login
from mailsync.app.requests import Choice
from mailsync.archive import Archive, ArchivedMailbox
from mailsync.engine.names import no_mailbox
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.errors import ConfigError, NothingMatches


def selection_of(
    choice: Choice, archive: Archive, login: Login, report: Report | None = None
) -> Selection:
    """Return the choice in the runs of an archive; `report` is shown which pull a time meant.

    Raises ConfigError when no complete pull had ended by then.
    """
    run = None if choice.as_of is None else _run_as_of(archive, login, choice.as_of, report)
    gone_from = None if choice.gone_since is None else archive.first_run_since(choice.gone_since)
    return Selection(
        globs=choice.mailboxes,
        since=choice.since,
        before=choice.before,
        message_id=choice.message_id,
        search=choice.search,
        include_gone=choice.include_gone or choice.gone_since is not None,
        as_of=run,
        gone_from=gone_from,
        also_moved=choice.also_moved,
    )


def demand_match(
    selection: Selection, boxes: Sequence[ArchivedMailbox], login: Login
) -> Sequence[ArchivedMailbox]:
    """Return the mailboxes that are chosen. Raises NothingMatches when none is."""
    chosen = [box for box in boxes if selection.mailbox(box.path)]
    if not chosen:
        whose = f"of {login.name} in the archive"
        raise NothingMatches(no_mailbox(whose, selection.globs, [box.path for box in boxes]))
    return chosen


def _run_as_of(archive: Archive, login: Login, moment: int, report: Report | None) -> int:
    run = archive.run_as_of(login.name, moment)
    if run is None:
        first = archive.first_complete(login.name)
        since = f"; the first one ended {_at(first.ended)}" if first and first.ended else ""
        raise ConfigError(f"no complete pull of {login.name} had ended by {_at(moment)}{since}")
    if report is not None:
        text = f"as of the pull that ended {_at(run.ended or 0)} (run {run.id})"
        report.note("as-of", None, "", text)
    return run.id


def _at(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S}"
