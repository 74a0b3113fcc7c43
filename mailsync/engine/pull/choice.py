"""Which mailboxes of a source a pull is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailsync.engine.report import Report
from mailsync.errors import ConfigError
from mailsync.mapping import matches, show
from mailsync.model import Mailbox
from mailsync.stores.base import ListingSource, Source


def choose(listed: Iterable[Mailbox], among: Sequence[str], only: Sequence[str]) -> list[Mailbox]:
    """Return the mailboxes to pull; a view other than `\\All` only when a glob without wildcards
    names it.
    """

    def wanted(mailbox: Mailbox) -> bool:
        if not mailbox.selectable or not (
            matches(mailbox.path, among or ("*",)) and matches(mailbox.path, only or ("*",))
        ):
            return False
        if mailbox.is_view and "\\All" not in mailbox.attributes:
            named = [glob for glob in (*among, *only) if not set(glob) & set("*?[!")]
            return bool(named) and matches(mailbox.path, named)
        return True

    return [mailbox for mailbox in listed if wanted(mailbox)]


def demand_choice(
    listed: Sequence[Mailbox], among: Sequence[str], only: Sequence[str], account: str
) -> list[Mailbox]:
    """Return the mailboxes to pull.

    Raises ConfigError when a person named mailboxes and none of them is there: doing nothing is not
    what was asked.
    """
    chosen = choose(listed, among, only)
    if only and not chosen:
        there = choose(listed, among, ())
        names = ", ".join(show(mailbox.path) for mailbox in there) or "none"
        raise ConfigError(f"no mailbox of {account} matches {' '.join(only)}; there is: {names}")
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
