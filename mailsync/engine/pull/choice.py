"""Which mailboxes of a source a pull is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailsync.engine.names import no_mailbox
from mailsync.engine.report import Report
from mailsync.errors import NothingMatches
from mailsync.mapping import is_named, matches
from mailsync.model import Mailbox
from mailsync.stores.base import ListingSource, SelectiveSource, Source


def choose(listed: Iterable[Mailbox], among: Sequence[str], only: Sequence[str]) -> list[Mailbox]:
    """Return the mailboxes to pull; a view other than `\\All` only when its very name is
    asked for.
    """

    def wanted(mailbox: Mailbox) -> bool:
        if not mailbox.selectable or not (
            matches(mailbox.path, among or ("*",)) and matches(mailbox.path, only or ("*",))
        ):
            return False
        if mailbox.is_view and "\\All" not in mailbox.attributes:
            return is_named(mailbox.path, (*among, *only))
        return True

    return [mailbox for mailbox in listed if wanted(mailbox)]


def demand_choice(
    listed: Sequence[Mailbox], among: Sequence[str], only: Sequence[str], account: str
) -> list[Mailbox]:
    """Return the mailboxes to pull.

    Raises NothingMatches when a person named mailboxes and none of them is there: doing nothing is
    not what was asked.
    """
    chosen = choose(listed, among, only)
    if only and not chosen:
        there = [mailbox.path for mailbox in choose(listed, among, ())]
        raise NothingMatches(no_mailbox(f"of {account}", only, there))
    return chosen


def note_unreadable(source: Source, report: Report) -> bool:
    """Name the mailboxes that the server lists in a way nobody can read; whether there are any."""
    lines = source.unreadable() if isinstance(source, ListingSource) else ()
    for line in lines:
        text = (
            "the server lists a mailbox in a way that cannot be read, so it was not looked at, and"
            f" no mailbox is marked as gone: {line}"
        )
        report.trouble_with("mailbox", None, "", text)
    return bool(lines)


def shows_everything(source: Source) -> bool:
    """Return whether a mailbox that a source does not list is not there any more."""
    return not (isinstance(source, SelectiveSource) and source.shows_a_selection())
