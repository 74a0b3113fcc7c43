"""`mailsync list`: the mailboxes of an archive, or the messages in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from mailsync.app import listing
from mailsync.app.listing import ArchivedMailbox, Listing
from mailsync.app.requests import Choice, ListRequest
from mailsync.cli import exits, options
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.formats.quantities import messages, octets
from mailsync.formats.quantities import moment as moment_of
from mailsync.formats.terminal import padded, plain, short
from mailsync.mapping import show as name_of
from mailsync.model import ArchivedMessage

DIGEST_SHOWN: Final = 12
_MARKS: Final = (
    ("\\Seen", "S"),
    ("\\Answered", "A"),
    ("\\Flagged", "F"),
    ("\\Draft", "D"),
    ("\\Deleted", "T"),
)


@click.command("list")
@click.argument("account")
@options.mailbox
@click.option(
    "--gone",
    is_flag=True,
    help=(
        "Also messages that are no longer on the server; with --since, only those that left since."
    ),
)
@options.gone_since
@options.messages
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
    archive: Path | None,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """List the mailboxes of ACCOUNT in the archive; with --mailbox, or any other choice, the
    messages in those.

    A message's line shows its date, the beginning of its digest (for `mailsync show`), its flags (S
    seen, A answered, F flagged, D draft, T to be deleted, x gone from the server), its size, who
    sent it, and its subject; of one that is gone also between which two pulls it vanished. What was
    deleted lately: --gone-since 14d. What was there on a day: --as-of 2026-03-01 --mailbox
    Projects.
    """
    choice = options.choice(globs, chosen, include_gone=gone)
    if gone and choice.gone_since is None and choice.since is not None:
        choice = replace(choice, gone_since=choice.since, since=None)
    request = ListRequest(session.accounts().one(account, archive), choice)
    with listing.opened(request) as found:
        if choice.whole_mailboxes and not globs:
            _print_mailboxes(session, found)
        elif session.json:
            _messages_as_json(session, found)
        elif choice.as_of is not None and not globs:
            _print_counts(found)
        else:
            _print_messages(found, choice)
    return 0


def _print_messages(found: Listing, choice: Choice) -> None:
    for box in found.mailboxes:
        chosen = list(found.messages(box.path))
        if chosen or choice.mailboxes:
            count = _count(box) if choice.whole_mailboxes else messages(len(chosen))
            click.echo(f"{click.style(plain(name_of(box.path)), bold=True)}: {count}")
        for message in chosen:
            click.echo(f"{_line(message)}{_vanished(found.times(message))}")


def _vanished(times: tuple[int | None, int] | None) -> str:
    """Say between which times a message vanished; nothing for one that is there."""
    if times is None:
        return ""
    after, by = times
    return (
        f"  (gone between {moment_of(after)} and {moment_of(by)})"
        if after
        else f"  (gone by {moment_of(by)})"
    )


def _print_counts(found: Listing) -> None:
    rows = []
    for box in found.mailboxes:
        sizes = [message.size for message in found.messages(box.path)]
        if sizes:
            rows.append([plain(name_of(box.path)), f"{len(sizes):,}", octets(sum(sizes))])
    headings = ["mailbox", "messages", "size"]
    click.echo(table(rows, headings, "lrr") if rows else "no messages")


def _print_mailboxes(session: Session, found: Listing) -> None:
    if session.json:
        listed = [listing.mailbox_as_json(box) for box in found.mailboxes]
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
        for box in found.mailboxes
    ]
    headings = ["mailbox", "messages", "gone", "size", "complete", ""]
    click.echo(
        table(rows, headings, "lrrrll", drop=("size", "", "complete", "gone"))
        if rows
        else "no mailboxes yet"
    )


def _remarks(box: ArchivedMailbox) -> Iterator[str]:
    yield from (use.removeprefix("\\") for use in sorted(box.special_use))
    if box.removed:
        yield "no longer on the server"
    elif box.incomplete:
        yield "incomplete"


def _count(box: ArchivedMailbox) -> str:
    return f"{box.live:,} messages, {box.gone:,} gone" if box.gone else f"{box.live:,} messages"


def _line(message: ArchivedMessage) -> str:
    marks = "".join(mark if flag in message.flags else "-" for flag, mark in _MARKS) + (
        "x" if message.gone else "-"
    )
    who = padded(short(message.sender, 30), 30)
    return (
        f"{moment_of(message.internaldate)}  {message.digest.hex()[:DIGEST_SHOWN]}  {marks} "
        f" {octets(message.size):>8}  {who}  {short(message.subject, 90) or '(no subject)'}"
    )


def _messages_as_json(session: Session, found: Listing) -> None:
    """Write message by message, so that a hundred thousand of them need no memory."""
    out = sys.stdout
    head = exits.head(session, 0)
    out.write(f'{json.dumps(head)[:-1]}, "messages": [')
    for number, message in enumerate(found.as_json()):
        out.write(",\n" if number else "\n")
        json.dump(message, out)
    out.write("\n]}\n")
