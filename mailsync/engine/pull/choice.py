"""Which mailboxes of a source a pull is about."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mailsync.engine.names import no_mailbox
from mailsync.engine.report import Report
from mailsync.errors import NothingMatches
from mailsync.mapping import is_named, matches, names_in
from mailsync.model import Mailbox, MailboxPath
from mailsync.stores.base import ListingSource, SelectiveSource, Source


def choose(
    listed: Sequence[Mailbox],
    among: Sequence[str],
    only: Sequence[str],
    held: Collection[MailboxPath] = (),
) -> list[Mailbox]:
    """Return the mailboxes to pull.

    A view other than `\\All` is left out where `\\All` is pulled, which shows all that it
    shows, unless its very name is asked for; elsewhere it may be a mailbox of its own (RFC 6154
    section 2: "likely"). One of `held`, those with messages in the archive, is looked at even where
    the server calls it unselectable.
    """
    possible = [
        mailbox
        for mailbox in listed
        if (mailbox.selectable or mailbox.path in held)
        and matches(mailbox.path, among or ("*",))
        and matches(mailbox.path, only or ("*",))
    ]
    shows_all = any("\\All" in mailbox.attributes for mailbox in possible)
    return [
        mailbox
        for mailbox in possible
        if not (shows_all and mailbox.is_view)
        or "\\All" in mailbox.attributes
        or is_named(mailbox.path, (*among, *only))
    ]


def demand_choice(
    listed: Sequence[Mailbox],
    among: Sequence[str],
    only: Sequence[str],
    account: str,
    held: Collection[MailboxPath] = (),
) -> list[Mailbox]:
    """Return the mailboxes to pull, as `choose` does.

    Raises NothingMatches when a person named mailboxes and none of them is there: doing nothing is
    not what was asked.
    """
    chosen = choose(listed, among, only, held)
    if only and not chosen:
        there = [mailbox.path for mailbox in choose(listed, among, ())]
        raise NothingMatches(no_mailbox(f"of {account}", only, there))
    return chosen


def unmatched(listed: Sequence[Mailbox], among: Sequence[str]) -> list[str]:
    """Return a sentence for each part of an account's own choice of mailboxes that chooses none of
    those listed: mail that its owner believes to be kept.
    """
    named = list(names_in(among))
    missing = [[name] for name in named if not _any_matches(listed, [name])]
    if among and not named and not _any_matches(listed, among):
        missing = [list(among)]
    there = [mailbox.path for mailbox in listed if mailbox.selectable]
    return [
        f"the configuration's `mailboxes`: {no_mailbox('there', globs, there)}" for globs in missing
    ]


def note_unmatched(listed: Sequence[Mailbox], among: Sequence[str], report: Report) -> None:
    """Report what `unmatched` says."""
    for text in unmatched(listed, among):
        report.trouble_with("mailbox", None, "", text)


def _any_matches(listed: Sequence[Mailbox], globs: Sequence[str]) -> bool:
    return any(matches(mailbox.path, globs) for mailbox in listed)


def note_unreadable(source: Source, report: Report) -> bool:
    """Name the mailboxes that the server lists in a way nobody can read; whether there are any."""
    lines = source.unreadable() if isinstance(source, ListingSource) else ()
    for line in lines:
        text = (
            "the server lists a mailbox in a way that cannot be read, so it was not looked at, and"
            f" no mailbox is marked as gone: {line}"
            if shows_everything(source)
            else line
        )
        report.trouble_with("mailbox", None, "", text)
    return bool(lines)


def shows_everything(source: Source) -> bool:
    """Return whether a mailbox that a source does not list is not there any more."""
    return not (isinstance(source, SelectiveSource) and source.shows_a_selection())
