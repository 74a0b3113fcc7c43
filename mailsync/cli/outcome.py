"""Reports as people read them: a table a run, what went wrong under it, and one last sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

import click

from mailsync import exit_codes
from mailsync.cli import exits
from mailsync.cli.lines import complain, say
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.engine.report import Proved, Report, Tally
from mailsync.formats.quantities import messages, octets, span
from mailsync.formats.terminal import plain, short
from mailsync.mapping import show as name_of

NOTES_SHOWN: Final = 20
ALIKE_SHOWN: Final = 5
"""Remarks of one kind that are shown; the rest is counted, unless -v asks for all."""
REMARKS: Final = frozenset(
    {
        "expunged",
        "collision",
        "mailbox-gone",
        "mailbox-missing",
        "repaired",
        "removed-there",
        "renamed",
        "flags-left-out",
        "rehearsal",
        "as-of",
        "searched",
        "moved",
        "would-delete",
        "would-make",
        "rewritten",
        "estimate",
        "gone",
        "kept",
        "imap-instead",
        "no-flags",
        "another-name",
        "same-server",
    }
)
"""Kinds of notes that are shown for completeness; all others are trouble."""

_ALWAYS: Final = ("seen", "new", "duplicate", "skipped", "failed")
_IN_ORDER: Final = (
    "seen",
    "new",
    "duplicate",
    "matched",
    "mended",
    "repaired",
    "flags",
    "gone",
    "removed",
    "skipped",
    "failed",
)
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
_HEADINGS: Final = {"matched": "recognised", "removed": "removed there"}
_HEADINGS_OF_PUSH: Final = {**_HEADINGS, "new": "sent", "duplicate": "there already"}


def show(
    reports: Sequence[Report],
    session: Session,
    *,
    join: Callable[[Collection[int]], int] = exit_codes.of_accounts,
) -> int:
    """Show how runs ended, in the way the session asks for; return the exit code for all of them,
    joined by `join`.
    """
    code = join([report.exit_code for report in reports])
    if session.json:
        exits.print_json(
            session,
            code,
            {"reports": [report.as_json() for report in reports]},
        )
        return code
    for report in reports:
        if not session.quiet:
            _table(report, session)
            for kind in [kind for kind in report.noted if kind in REMARKS]:
                _notes(report, {kind}, session, _echo_plain, ALIKE_SHOWN)
            _proof(report, session)
        # What is wrong goes to standard error, so that it is there with -q and in cron's mail too.
        _notes(report, report.noted.keys() - REMARKS, session, complain)
        _last_words(report, session)
    return code


def _table(report: Report, session: Session) -> None:
    shown = {
        path: tally
        for path, tally in report.mailboxes.items()
        if session.verbose or _news(tally, sent=bool(report.destination))
    }
    total = replace(report, mailboxes=shown).total
    numbers = [name for name in _IN_ORDER if name in _ALWAYS or getattr(total, name)]
    to = any(tally.to not in {"", name_of(path)} for path, tally in shown.items())
    rows = [
        [plain(name_of(path)), *([plain(tally.to)] if to else []), *_cells(tally, numbers)]
        for path, tally in shown.items()
    ]
    if len(rows) > 1:
        rows.append(["all", *([""] if to else []), *_cells(total, numbers)])
    words = _HEADINGS_OF_PUSH if report.destination else _HEADINGS
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
        headings = [
            "mailbox",
            "to",
            "at the source",
            "in the archive",
            "different",
            "on the destination",
            "removed there",
        ]
        rows = [
            [
                plain(name_of(one.mailbox)),
                plain(name_of(one.destination)),
                *(f"{count:,}" if count else "-" for count in _proved(one)),
            ]
            for one in report.proof
        ]
        drop = ("different", "to", "in the archive")
        click.echo(table(rows, headings, "llrrrrr", drop=drop))
    if all(one.complete for one in report.proof):
        _proved_in_a_line(report)


def _proved_in_a_line(report: Report) -> None:
    """Print that everything is where it should be."""
    total = sum(one.at_source for one in report.proof)
    different = sum(one.messages for one in report.proof)
    compared = sum(one.compared for one in report.proof)
    checked = f"; sizes of all, contents of {compared:,} compared" if compared else ""
    removed = sum(one.removed for one in report.proof)
    were = "was" if removed == 1 else "were"
    but = f", but for {removed:,} that {were} removed there since" if removed else ""
    if different > total:
        # Of a POP3 account also what it does not show any more goes to the destination.
        held = (
            f"{messages(total)} at the source, all in the archive; the {different:,} that it has"
            f" of them and of earlier ones are on the destination{but}"
        )
    else:
        others = f" ({different:,} different ones)" if different < total else ""
        held = f"{messages(total)}{others} at the source, all in the archive and on the destination"
        held += but
    say(f"proved: {held}{checked}")


def _proved(one: Proved) -> tuple[int, ...]:
    return one.at_source, one.in_archive, one.messages, one.found, one.removed


def _cells(tally: Tally, columns: Iterable[str]) -> list[str]:
    cells = []
    for name in columns:
        count = getattr(tally, name)
        cell = f"{count:,}" if count else "-"
        cells.append(click.style(cell, fg="red") if name == "failed" and count else cell)
    return [*cells, octets(tally.octets) if tally.octets else "-"]


def _news(tally: Tally, *, sent: bool) -> bool:
    """Say whether a mailbox is worth a line: where messages were sent, not for what is there
    already.
    """
    old = ("seen", "duplicate") if sent else ()
    return tally.incomplete or any(getattr(tally, name) for name in _IN_ORDER if name not in old)


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
    who = plain(
        f"{report.account} → {report.destination}" if report.destination else report.account
    )
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
        words = f"{_success(report)}; but look at the lines marked ! above: much vanished"
        say(f"{click.style(f'{who}:', fg='red')} {words}", err=True)
    elif not session.quiet:
        say(f"{click.style(f'{who}:', fg='green')} {_success(report)}")


def _success(report: Report) -> str:
    total = report.total
    took = (
        f" in {span(report.ended - report.started)}" if report.ended - report.started >= 1 else ""
    )
    brought = total.new + total.mended
    amount = f"{messages(brought)}, {octets(total.octets)}" if brought else "nothing new"
    again = 0 if report.destination or report.dry_run else total.duplicate + total.matched
    if brought and again:
        # Messages are counted as the mailboxes show them, contents as they are stored.
        amount = f"{messages(brought + again)} ({brought:,} new contents, {octets(total.octets)})"
    if report.dry_run:
        # What a pull would recognise, or a push find there, only those runs can tell.
        upto = (
            "up to "
            if brought
            and (not report.destination or any(note.kind == "rehearsal" for note in report.notes))
            else ""
        )
        return (
            f"would {'send' if report.destination else 'bring'} {upto}{amount}; nothing was changed"
        )
    if report.destination and total.new:
        amount = f"sent {amount}"
    return f"complete: {amount}{took}"
