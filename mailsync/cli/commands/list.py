"""`mailsync list`: the mailboxes of an archive, or the letters in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from tabulate import tabulate

from mailsync.archive import Archive, ArchivedMailbox
from mailsync.cli import exits, options
from mailsync.cli.accounts import login
from mailsync.cli.archives import as_of, known
from mailsync.cli.session import Session
from mailsync.cli.text import letters as letters_
from mailsync.cli.text import moment as moment_of
from mailsync.cli.text import octets, padded, plain, short
from mailsync.engine.selection import Selection
from mailsync.errors import ConfigError
from mailsync.mapping import show as name_of
from mailsync.model import Letter, MailboxPath

DIGEST_SHOWN: Final = 12
_MARKS: Final = (("\\Seen", "S"), ("\\Answered", "A"), ("\\Flagged", "F"), ("\\Draft", "D"), ("\\Deleted", "T"))


@click.command("list")
@click.argument("account")
@options.mailbox
@click.option("--gone", is_flag=True, help="Also letters that are no longer on the server; with --since, only those that left since.")
@options.gone_since
@options.letters
@options.archive
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    account: str,
    *,
    globs: tuple[str, ...],
    gone: bool,
    gone_since: int | None,
    archive: Path | None,
    moment: int | None,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """List the mailboxes of ACCOUNT in the archive; with --mailbox, or any other choice, the letters in those.

    A letter's line shows its date, the beginning of its digest (for `mailsync show`), its flags (S seen, A answered, F flagged,
    D draft, T to be deleted, x gone from the server), its size, who sent it, and its subject; of one that is gone also between which
    two pulls it vanished. What was deleted lately: --gone-since 14d. What was there on a day: --as-of 2026-03-01 --mailbox Projects.
    """
    who = login(session, account, archive)
    if gone and gone_since is None and chosen["since"] is not None:
        gone_since, chosen["since"] = chosen["since"], None
    selection = Selection(
        globs,
        chosen["since"],
        chosen["before"],
        chosen["message_id"] or "",
        chosen["search"] or "",
        include_gone=gone or gone_since is not None,
    )
    with Archive.read(who.directory) as opened:
        mailboxes = known(opened, who).mailboxes(who.name)
        if replace(selection, include_gone=False) == Selection() and moment is None and gone_since is None:
            _list_mailboxes(session, mailboxes)
            return 0
        selection = as_of(opened, who, selection, moment)
        if gone_since is not None:
            selection = replace(selection, gone_from=opened.first_run_since(gone_since))
        boxes = [mailbox for mailbox in mailboxes if selection.mailbox(mailbox.path)]
        if not boxes:
            raise ConfigError(f"no mailbox of {account} matches; there is: {', '.join(name_of(box.path) for box in mailboxes) or 'none'}")
        listing = _Listing(opened, who.name, selection)
        if session.json:
            _letters_as_json(session, (letter for box in boxes for letter in listing.letters(box.path)), listing)
            return 0
        if selection.as_of is not None and not globs:
            _list_counts(listing, boxes)
            return 0
        for box in boxes:
            found = list(listing.letters(box.path))
            if found or globs:
                count = _count(box) if globs and replace(selection, globs=(), include_gone=False) == Selection() else letters_(len(found))
                click.echo(f"{click.style(plain(name_of(box.path)), bold=True)}: {count}")
            for letter in found:
                click.echo(f"{_line(letter)}{listing.vanished(letter)}")
    return 0


class _Listing:
    """The letters a person asked for, and when those vanished that are gone."""

    def __init__(self, archive: Archive, account: str, selection: Selection) -> None:
        self._archive = archive
        self._account = account
        self._selection = selection
        self._times: dict[int, tuple[int | None, int]] = {}

    def letters(self, mailbox: MailboxPath) -> Iterator[Letter]:
        """Give the chosen letters of a mailbox, oldest first."""
        chosen = self._selection
        for letter in self._archive.letters(self._account, mailbox, include_gone=chosen.include_gone, as_of=chosen.as_of):
            if chosen.letter(letter, self._archive.header):
                yield letter

    def times(self, letter: Letter) -> tuple[int | None, int] | None:
        """Tell between which times a letter vanished; None for one that is there."""
        if letter.gone_run is None:
            return None
        if letter.gone_run not in self._times:
            self._times[letter.gone_run] = self._archive.vanishing(letter.gone_run)
        return self._times[letter.gone_run]

    def vanished(self, letter: Letter) -> str:
        """Say it."""
        times = self.times(letter)
        if times is None:
            return ""
        after, by = times
        return f"  (gone between {moment_of(after)} and {moment_of(by)})" if after else f"  (gone by {moment_of(by)})"


def _list_counts(listing: _Listing, boxes: Sequence[ArchivedMailbox]) -> None:
    rows = []
    for box in boxes:
        sizes = [letter.size for letter in listing.letters(box.path)]
        if sizes:
            rows.append([plain(name_of(box.path)), f"{len(sizes):,}", octets(sum(sizes))])
    align = ["left", "right", "right"]
    click.echo(
        tabulate(rows, ["mailbox", "letters", "size"], tablefmt="simple", disable_numparse=True, colalign=align) if rows else "no letters"
    )


def _list_mailboxes(session: Session, mailboxes: Sequence[ArchivedMailbox]) -> None:
    if session.json:
        listed = [
            {
                "mailbox": name_of(box.path),
                "letters": box.live,
                "gone": box.gone,
                "octets": box.octets,
                "special_use": sorted(box.special_use),
                "subscribed": box.subscribed,
                "complete_at": box.complete_at,
                "incomplete": box.incomplete,
                "removed": box.removed,
            }
            for box in mailboxes
        ]
        exits.print_json(session, 0, {"mailboxes": listed})
        return
    rows = [
        [
            plain(name_of(box.path)),
            f"{box.live:,}",
            f"{box.gone:,}" if box.gone else "-",
            octets(box.octets),
            moment_of(box.complete_at) if box.complete_at else "never",
            ", ".join(_remarks(box)),
        ]
        for box in mailboxes
    ]
    headings = ["mailbox", "letters", "gone", "size", "complete", ""]
    align = ["left", "right", "right", "right", "left", "left"]
    click.echo(tabulate(rows, headings, tablefmt="simple", disable_numparse=True, colalign=align) if rows else "no mailboxes yet")


def _remarks(box: ArchivedMailbox) -> Iterator[str]:
    yield from (use.removeprefix("\\") for use in sorted(box.special_use))
    if box.removed:
        yield "no longer on the server"
    elif box.incomplete:
        yield "incomplete"


def _count(box: ArchivedMailbox) -> str:
    return f"{box.live:,} letters, {box.gone:,} gone" if box.gone else f"{box.live:,} letters"


def _line(letter: Letter) -> str:
    marks = "".join(mark if flag in letter.flags else "-" for flag, mark in _MARKS) + ("x" if letter.gone else "-")
    who = padded(short(letter.sender, 30), 30)
    return (
        f"{moment_of(letter.internaldate)}  {letter.digest.hex()[:DIGEST_SHOWN]}  {marks}  {octets(letter.size):>8}  "
        f"{who}  {short(letter.subject, 90) or '(no subject)'}"
    )


def _letters_as_json(session: Session, letters: Iterator[Letter], listing: _Listing) -> None:
    """Write letter by letter, so that a hundred thousand of them need no memory."""
    out = sys.stdout
    head = {"version": exits.JSON_VERSION, "command": session.command, "exit_code": 0, "complete": True}
    out.write(f'{json.dumps(head)[:-1]}, "letters": [')
    for number, letter in enumerate(letters):
        after, by = listing.times(letter) or (None, None)
        out.write(",\n" if number else "\n")
        json.dump(
            {
                "mailbox": name_of(letter.mailbox),
                "digest": letter.digest.hex(),
                "size": letter.size,
                "flags": sorted(letter.flags),
                "internaldate": letter.internaldate,
                "date": _iso(letter.internaldate),
                "message_id": letter.message_id,
                "subject": letter.subject,
                "sender": letter.sender,
                "copy": letter.copy,
                "gone": letter.gone,
                "gone_after": _iso(after),
                "gone_by": _iso(by),
            },
            out,
        )
    out.write("\n]}\n")


def _iso(moment: int | None) -> str | None:
    try:
        return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None
