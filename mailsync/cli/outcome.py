"""Reports as people read them: a table a run, what went wrong under it, and one last sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import click

from mailsync import exit_codes
from mailsync.app import wording
from mailsync.app.wording import COUNTED
from mailsync.cli import exits
from mailsync.cli.lines import complain, name_not_done, say
from mailsync.cli.pages import keep_report
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.engine.report import Report, Tally
from mailsync.formats.quantities import messages, moment, octets, span
from mailsync.formats.terminal import plain, short
from mailsync.mapping import show as name_of

NOTES_SHOWN: Final = 20
ALIKE_SHOWN: Final = 5
"""Remarks of one kind that are shown; the rest is counted, unless -v asks for all."""
_ALWAYS: Final = ("seen", "new", "duplicate", "skipped", "failed")
_DROPPED: Final = (
    "seen",
    "flags",
    "matched",
    "duplicate",
    "gone",
    "size",
    "removed",
    "mended",
    "repaired",
    "to",
    "skipped",
)
"""Columns for which a narrow terminal has no room, the first of them first."""


def show(
    reports: Sequence[Report],
    session: Session,
    *,
    join: Callable[[Collection[int]], int] = exit_codes.of_accounts,
) -> int:
    """Show how runs ended, in the way the session asks for; return the exit code for all of them,
    joined by `join`.
    """

    def page() -> str:
        from mailsync.app.report_page.of_runs import page_of_runs  # noqa: PLC0415  seldom wanted

        return page_of_runs(session.command, reports)

    code = join([report.exit_code for report in reports])
    if session.json:
        code = keep_report(session, code, page)
        exits.print_json(
            session,
            code,
            {"reports": [report.as_json() for report in reports]},
        )
        return code
    several = len({report.account for report in reports}) > 1
    for report in reports:
        if not session.quiet:
            _table(report, session)
            for kind in [kind for kind in report.noted if kind in wording.REMARKS]:
                _notes(report, {kind}, session, _echo_plain, ALIKE_SHOWN)
            _proof(report, session)
            if session.verbose:
                _circumstances(report)
        # What is wrong goes to standard error, so that it is there with -q and in cron's mail too.
        whose = f"{plain(report.account)}: " if several else ""
        _notes(report, report.noted.keys() - wording.REMARKS, session, partial(_complain_of, whose))
        _last_words(report, session)
    if several and not session.quiet:
        name_not_done([one.account for one in reports if one.exit_code], len(reports))
    return keep_report(session, code, page)


def _complain_of(whose: str, line: str) -> None:
    complain(whose + line)


def _table(report: Report, session: Session) -> None:
    shown = {
        path: tally
        for path, tally in report.mailboxes.items()
        if session.verbose or wording.news(tally, sent=bool(report.destination))
    }
    total = replace(report, mailboxes=shown).total
    numbers = [name for name in COUNTED if name in _ALWAYS or getattr(total, name)]
    to = any(tally.to not in {"", name_of(path)} for path, tally in shown.items())
    rows = [
        [plain(name_of(path)), *([plain(tally.to)] if to else []), *_cells(tally, numbers)]
        for path, tally in shown.items()
    ]
    if len(rows) > 1:
        rows.append(["all", *([""] if to else []), *_cells(total, numbers)])
    words = wording.headings(report)
    headings = [
        "mailbox",
        *(["to"] if to else []),
        *(words.get(name, name) for name in numbers),
        "size",
    ]
    if rows:
        align = "l" * (1 + to) + "r" * (len(headings) - 1 - to)
        drop = [words.get(name, name) for name in _DROPPED]
        click.echo(table(rows, headings, align, drop=drop))
    still = report.unchanged + len(report.mailboxes) - len(shown)
    if still:
        say(f"{still:,} mailbox{'' if still == 1 else 'es'} without news")


def _proof(report: Report, session: Session) -> None:
    """Print what the proof at the end of a migration found: in a line if nothing is missing, else
    by mailbox.
    """
    if not report.proof:
        return
    if session.verbose or not all(one.complete for one in report.proof):
        headings = ["mailbox", "to", *wording.PROVED_HEADINGS]
        rows = [
            [
                plain(name_of(one.mailbox)),
                plain(name_of(one.destination)),
                *(_count(getattr(one, name)) for name in wording.PROVED),
            ]
            for one in report.proof
        ]
        drop = ("different", "to", "in the archive", "removed there")
        click.echo(table(rows, headings, "llrrrrr", drop=drop))
    if all(one.complete for one in report.proof):
        say(wording.proved(report))


def _cells(tally: Tally, columns: Iterable[str]) -> list[str]:
    cells = []
    for name in columns:
        count = getattr(tally, name)
        cell = _count(count)
        cells.append(click.style(cell, fg="red") if name == "failed" and count else cell)
    return [*cells, octets(tally.octets) if tally.octets else "-"]


def _circumstances(report: Report) -> None:
    """Print what only -v asks for: where the archive lies, and when the run was."""
    if report.archive:
        say(f"archive: {plain(str(Path(report.archive).absolute()))}")
    if report.started and report.ended:
        took = span(report.ended - report.started)
        say(f"began {moment(report.started)}, ended {moment(report.ended)} ({took})")


def _count(count: int) -> str:
    return f"{count:,}" if count else "-"


def _notes(
    report: Report,
    kinds: Collection[str],
    session: Session,
    echo: Callable[[str], None],
    most: int = NOTES_SHOWN,
) -> None:
    """Print the remarks of these kinds, at most so many without -v, and how many more there are."""
    notes = [note for note in report.notes if note.kind in kinds]
    dropped = sum(report.noted[kind] for kind in kinds) - len(notes)
    limit = len(notes) if session.verbose or len(notes) == most + 1 else min(most, len(notes))
    for note in notes[:limit]:
        where = ", ".join(plain(part) for part in (note.mailbox, short(note.message, 90)) if part)
        echo(f"{where}: {plain(note.text)}" if where else plain(note.text))
    more = len(notes) - limit + dropped
    if more:
        shows = f"-v shows {f'the first {len(notes):,}' if dropped else 'them'}"
        why = "only their number was kept" if session.verbose else shows
        echo(f"… and {more:,} more like {'it' if limit == 1 else 'these'} ({why})")


def _echo_plain(line: str) -> None:
    say(f"  {line}")


def _last_words(report: Report, session: Session) -> None:
    """Say in one sentence how a run ended; silence with -q only when all is well."""
    who = plain(wording.party(report))
    if report.error is not None:
        exits.trace(report.error, session)
        for line in str(report.error).splitlines():
            say(f"{click.style(f'{who}:', fg='red')} {plain(line)}", err=True)
        if not session.quiet and report.total.new:
            say(
                f"{who}: stopped early; {messages(report.total.new)} done so far are safe. Run it"
                " again to go on.",
                err=True,
            )
    elif not report.complete:
        words = "incomplete: see the lines marked ! above; the next run tries again"
        say(f"{click.style(f'{who}:', fg='red')} {words}", err=True)
    elif report.alarmed:
        words = f"{wording.done(report)}; but much vanished: see the lines marked ! above"
        say(f"{click.style(f'{who}:', fg='red')} {words}", err=True)
    elif not session.quiet:
        say(f"{click.style(f'{who}:', fg='green')} {wording.done(report)}")
