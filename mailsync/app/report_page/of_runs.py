"""The page about pulls, pushes, restores and migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from mailsync.app import wording
from mailsync.app.report_page.page import NOTHING, Section, Table, number, render
from mailsync.engine.report import Note, Report, Tally
from mailsync.formats.quantities import messages, moment, octets, span
from mailsync.mapping import show

_NAMES = {
    "pull": "Pull",
    "push": "Push",
    "restore": "Restore",
    "import": "Import",
    "migrate": "Migration",
}


def page_of_runs(command: str, reports: Sequence[Report], now: float | None = None) -> str:
    """Return the page about what one command did."""
    # The second run of a migration names both sides.
    whose = wording.party(reports[-1]) if command == "migrate" else _all(reports)
    rehearsal = " (a dry run: nothing was changed)" if any(one.dry_run for one in reports) else ""
    title = f"{_NAMES.get(command, command)}: {whose}{rehearsal}"
    proofs = [_sentence(wording.proved(one)) for one in reports if one.proof and one.complete]
    return render(title, [_section(report) for report in reports], now, " ".join(proofs))


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _all(reports: Sequence[Report]) -> str:
    return ", ".join(dict.fromkeys(map(wording.party, reports)))


def _section(report: Report) -> Section:
    kind = "Sent" if report.destination else "Brought into the archive"
    return Section(
        f"{kind}: {wording.party(report)}",
        report.complete and not report.alarmed,
        _ended(report),
        list(_facts(report)),
        list(_tables(report)),
    )


def _ended(report: Report) -> str:
    if report.error is not None:
        done = report.total.new
        safe = f" {messages(done)} done before that are safe." if done else ""
        return f"Stopped: {report.error}.{safe}"
    if not report.complete:
        return "Incomplete: what is not there is named below, with the reason."
    alarm = "; but look at what is named below: much vanished" if report.alarmed else ""
    return _sentence(f"{wording.done(report)}{alarm}")


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield "Account", report.account
    if report.destination:
        yield "Destination", report.destination
    if report.archive:
        yield "Archive", str(Path(report.archive).absolute())
    if report.started:
        yield "Began", moment(report.started)
    if report.ended:
        yield "Ended", f"{moment(report.ended)} (after {span(report.ended - report.started)})"


def _tables(report: Report) -> Iterator[Table]:
    if report.mailboxes or report.unchanged:
        yield _counts(report)
    if report.proof:
        yield _proof(report)
    trouble = [note for note in report.notes if note.kind not in wording.REMARKS]
    if trouble:
        yield _notes(report, "What is not there, or needs a look, and why", trouble)
    elif report.complete:
        told = "Nothing that was asked for is missing."
        yield Table("What is not there", (), (), told=told)
    remarks = [note for note in report.notes if note.kind in wording.REMARKS]
    if remarks:
        yield _notes(report, "Remarks", remarks)


def _counts(report: Report) -> Table:
    sent = bool(report.destination)
    met = {path: one for path, one in report.mailboxes.items() if wording.news(one, sent=sent)}
    total = replace(report, mailboxes=met).total
    names = [name for name in wording.COUNTED if getattr(total, name)]
    headings = wording.headings(report)
    columns = [headings.get(name, name) for name in names]
    rows = [
        [show(path), *([tally.to] if report.destination else []), *_cells(tally, names)]
        for path, tally in met.items()
    ]
    still = report.unchanged + len(report.mailboxes) - len(met)
    told = f"{still:,} mailbox{'' if still == 1 else 'es'} without news." if still else ""
    if not met:
        return Table("Mailbox by mailbox", (), (), told=told)
    return Table(
        "Mailbox by mailbox",
        ["mailbox", *(["there"] if report.destination else []), *columns, "size"],
        rows,
        2 if report.destination else 1,
        ["all", *([""] if report.destination else []), *_cells(total, names)],
        told,
    )


def _cells(tally: Tally, names: Sequence[str]) -> list[str]:
    size = octets(tally.octets) if tally.octets else NOTHING
    return [*(number(getattr(tally, name)) for name in names), size]


def _proof(report: Report) -> Table:
    whole = all(one.complete for one in report.proof)
    count = attrgetter(*wording.PROVED, "compared")
    rows = [
        [
            show(one.mailbox),
            show(one.destination),
            "proved" if one.complete else "not proved",
            *map(number, count(one)),
        ]
        for one in report.proof
    ]
    told = _sentence(wording.proved(report)) if whole else "Not everything could be proved."
    return Table(
        "The proof",
        ["mailbox", "there", "", *wording.PROVED_HEADINGS, "contents compared"],
        rows,
        3,
        told=f"{told} Each message of the source was looked for in the archive and on the"
        " destination after the move; the sizes of those found were compared.",
    )


def _notes(report: Report, heading: str, notes: Sequence[Note]) -> Table:
    kinds = {note.kind for note in notes}
    more = sum(count for kind, count in report.noted.items() if kind in kinds) - len(notes)
    return Table(
        heading,
        ["mailbox", "message", "what"],
        [[note.mailbox, note.message, note.text] for note in notes],
        3,
        told=f"{more:,} more are not listed: only their number was kept." if more else "",
    )
