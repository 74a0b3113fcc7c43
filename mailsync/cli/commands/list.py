"""`mailsync list`: the mailboxes of an archive, or the letters in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
from tabulate import tabulate

from mailsync.archive import Archive, ArchivedMailbox
from mailsync.cli import exits, options
from mailsync.cli.accounts import login
from mailsync.cli.archives import known
from mailsync.cli.session import Session
from mailsync.cli.text import moment, octets, padded, plain, short
from mailsync.errors import ConfigError
from mailsync.mapping import matches
from mailsync.mapping import show as name_of
from mailsync.model import Letter

DIGEST_SHOWN: Final = 12
_MARKS: Final = (("\\Seen", "S"), ("\\Answered", "A"), ("\\Flagged", "F"), ("\\Draft", "D"), ("\\Deleted", "T"))


@click.command("list")
@click.argument("account")
@options.mailbox
@click.option("--gone", is_flag=True, help="Also list letters that are no longer on the server.")
@options.archive
@options.common
@click.pass_obj
def command(session: Session, account: str, *, globs: tuple[str, ...], gone: bool, archive: Path | None) -> int:
    """List the mailboxes of ACCOUNT in the archive; with --mailbox, the letters in those.

    A letter's line shows its date, the beginning of its digest (for `mailsync show`), its flags (S seen, A answered, F flagged,
    D draft, T to be deleted, x gone from the server), its size, who sent it, and its subject.
    """
    who = login(session, account, archive)
    with Archive.read(who.directory) as opened:
        mailboxes = known(opened, who).mailboxes(who.name)
        if not globs:
            _list_mailboxes(session, mailboxes)
            return 0
        chosen = [mailbox for mailbox in mailboxes if matches(mailbox.path, globs)]
        if not chosen:
            raise ConfigError(f"no mailbox of {account} matches; there is: {', '.join(name_of(box.path) for box in mailboxes) or 'none'}")
        if session.json:
            _letters_as_json(session, (letter for box in chosen for letter in opened.letters(who.name, box.path, include_gone=gone)))
            return 0
        for box in chosen:
            click.echo(f"{click.style(plain(name_of(box.path)), bold=True)}: {_count(box)}")
            for letter in opened.letters(who.name, box.path, include_gone=gone):
                click.echo(_line(letter))
    return 0


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
            moment(box.complete_at) if box.complete_at else "never",
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
        f"{moment(letter.internaldate)}  {letter.digest.hex()[:DIGEST_SHOWN]}  {marks}  {octets(letter.size):>8}  "
        f"{who}  {short(letter.subject, 90) or '(no subject)'}"
    )


def _letters_as_json(session: Session, letters: Iterator[Letter]) -> None:
    """Write letter by letter, so that a hundred thousand of them need no memory."""
    out = sys.stdout
    head = {"version": exits.JSON_VERSION, "command": session.command, "exit_code": 0, "complete": True}
    out.write(f'{json.dumps(head)[:-1]}, "letters": [')
    for number, letter in enumerate(letters):
        out.write(",\n" if number else "\n")
        json.dump(
            {
                "mailbox": name_of(letter.mailbox),
                "digest": letter.digest.hex(),
                "size": letter.size,
                "flags": sorted(letter.flags),
                "internaldate": letter.internaldate,
                "message_id": letter.message_id,
                "subject": letter.subject,
                "sender": letter.sender,
                "copy": letter.copy,
                "gone": letter.gone,
            },
            out,
        )
    out.write("\n]}\n")
