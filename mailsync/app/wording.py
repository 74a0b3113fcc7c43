"""How runs are told to people, wherever they are shown: what is counted, under which heading, and
what was done in one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailsync.engine.report import Report, Tally
from mailsync.formats.quantities import messages, octets, span

REMARKS: Final = frozenset(
    {
        "expunged",
        "collision",
        "mailbox-gone",
        "mailbox-missing",
        "repaired",
        "removed-there",
        "deleted-there",
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
        "imported",
        "gone",
        "kept",
        "imap-instead",
        "no-flags",
        "same-server",
        "undated",
    }
)
"""Kinds of notes that are shown for completeness; all others are trouble."""
COUNTED: Final = (
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
"""What a tally counts, in the order in which it is shown."""
PROVED: Final = ("at_source", "in_archive", "messages", "found", "removed")
PROVED_HEADINGS: Final = (
    "at the source",
    "in the archive",
    "different",
    "on the destination",
    "removed there",
)
_HEADINGS: Final = {"matched": "recognised", "removed": "removed there"}
_HEADINGS_OF_PUSH: Final = {**_HEADINGS, "new": "sent", "duplicate": "there already"}


def headings(report: Report) -> Mapping[str, str]:
    """Return the heading of each count of a run, where it is not the count's own name."""
    return _HEADINGS_OF_PUSH if report.destination else _HEADINGS


def news(tally: Tally, *, sent: bool) -> bool:
    """Return whether a mailbox is worth a line, which it is not for what was there already."""
    old = ("seen", "duplicate") if sent else ("seen",)
    return tally.incomplete or any(getattr(tally, name) for name in COUNTED if name not in old)


def party(report: Report) -> str:
    """Return whose run it was: `old`, or `old → new`."""
    return f"{report.account} → {report.destination}" if report.destination else report.account


def proved(report: Report) -> str:
    """Return the sentence of a proof that found everything where it should be."""
    total = sum(one.at_source for one in report.proof)
    different = sum(one.messages for one in report.proof)
    compared = sum(one.compared for one in report.proof)
    checked = f"; sizes of all, contents of {compared:,} compared" if compared else ""
    removed = sum(one.removed for one in report.proof)
    were = "was" if removed == 1 else "were"
    but = f", but for {removed:,} that {were} deleted or moved there since" if removed else ""
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
    return f"proved: {held}{checked}"


def done(report: Report) -> str:
    """Return in a sentence what a run did that came to its end."""
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
