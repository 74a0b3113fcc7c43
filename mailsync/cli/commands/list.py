"""`mailsync list`: the mailboxes of an archive, or the messages in them."""

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

from mailsync.app.archives import as_of, known
from mailsync.archive import Archive, ArchivedMailbox
from mailsync.cli import exits, options
from mailsync.cli.accounts import login
from mailsync.cli.session import Session
from mailsync.engine.selection import Selection
from mailsync.errors import ConfigError
from mailsync.formats.quantities import messages as messages_
from mailsync.formats.quantities import moment as moment_of
from mailsync.formats.quantities import octets
from mailsync.formats.terminal import padded, plain, short
from mailsync.mapping import show as name_of
from mailsync.model import ArchivedMessage, MailboxPath

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
    gone_since: int | None,
    archive: Path | None,
    moment: int | None,
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
        if (
            replace(selection, include_gone=False) == Selection()
            and moment is None
            and gone_since is None
        ):
            _list_mailboxes(session, mailboxes)
            return 0
        selection = as_of(opened, who, selection, moment)
        if gone_since is not None:
            selection = replace(selection, gone_from=opened.first_run_since(gone_since))
        boxes = [mailbox for mailbox in mailboxes if selection.mailbox(mailbox.path)]
        if not boxes:
            raise ConfigError(
                f"no mailbox of {account} matches; there is:"
                f" {', '.join(name_of(box.path) for box in mailboxes) or 'none'}"
            )
        listing = _Listing(opened, who.name, selection)
        if session.json:
            _messages_as_json(
                session,
                (message for box in boxes for message in listing.messages(box.path)),
                listing,
            )
            return 0
        if selection.as_of is not None and not globs:
            _list_counts(listing, boxes)
            return 0
        for box in boxes:
            found = list(listing.messages(box.path))
            if found or globs:
                count = (
                    _count(box)
                    if globs and replace(selection, globs=(), include_gone=False) == Selection()
                    else messages_(len(found))
                )
                click.echo(f"{click.style(plain(name_of(box.path)), bold=True)}: {count}")
            for message in found:
                click.echo(f"{_line(message)}{listing.vanished(message)}")
    return 0


class _Listing:
    """The messages a person asked for, and when those vanished that are gone."""

    def __init__(self, archive: Archive, account: str, selection: Selection) -> None:
        self._archive = archive
        self._account = account
        self._selection = selection
        self._times: dict[int, tuple[int | None, int]] = {}

    def messages(self, mailbox: MailboxPath) -> Iterator[ArchivedMessage]:
        """Yield the chosen messages of a mailbox, oldest first."""
        chosen = self._selection
        for message in self._archive.messages(
            self._account, mailbox, include_gone=chosen.include_gone, as_of=chosen.as_of
        ):
            if chosen.message(message, self._archive.header):
                yield message

    def times(self, message: ArchivedMessage) -> tuple[int | None, int] | None:
        """Return between which times a message vanished; None for one that is there."""
        if message.gone_run is None:
            return None
        if message.gone_run not in self._times:
            self._times[message.gone_run] = self._archive.vanishing(message.gone_run)
        return self._times[message.gone_run]

    def vanished(self, message: ArchivedMessage) -> str:
        """Say it."""
        times = self.times(message)
        if times is None:
            return ""
        after, by = times
        return (
            f"  (gone between {moment_of(after)} and {moment_of(by)})"
            if after
            else f"  (gone by {moment_of(by)})"
        )


def _list_counts(listing: _Listing, boxes: Sequence[ArchivedMailbox]) -> None:
    rows = []
    for box in boxes:
        sizes = [message.size for message in listing.messages(box.path)]
        if sizes:
            rows.append([plain(name_of(box.path)), f"{len(sizes):,}", octets(sum(sizes))])
    align = ["left", "right", "right"]
    click.echo(
        tabulate(
            rows,
            ["mailbox", "messages", "size"],
            tablefmt="simple",
            disable_numparse=True,
            colalign=align,
        )
        if rows
        else "no messages"
    )


def _list_mailboxes(session: Session, mailboxes: Sequence[ArchivedMailbox]) -> None:
    if session.json:
        listed = [
            {
                "mailbox": name_of(box.path),
                "messages": box.live,
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
    headings = ["mailbox", "messages", "gone", "size", "complete", ""]
    align = ["left", "right", "right", "right", "left", "left"]
    click.echo(
        tabulate(rows, headings, tablefmt="simple", disable_numparse=True, colalign=align)
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


def _messages_as_json(
    session: Session, messages: Iterator[ArchivedMessage], listing: _Listing
) -> None:
    """Write message by message, so that a hundred thousand of them need no memory."""
    out = sys.stdout
    head = {
        "version": exits.JSON_VERSION,
        "command": session.command,
        "exit_code": 0,
        "complete": True,
    }
    out.write(f'{json.dumps(head)[:-1]}, "messages": [')
    for number, message in enumerate(messages):
        after, by = listing.times(message) or (None, None)
        out.write(",\n" if number else "\n")
        json.dump(
            {
                "mailbox": name_of(message.mailbox),
                "digest": message.digest.hex(),
                "size": message.size,
                "flags": sorted(message.flags),
                "internaldate": message.internaldate,
                "date": _iso(message.internaldate),
                "message_id": message.message_id,
                "subject": message.subject,
                "sender": message.sender,
                "copy": message.copy,
                "gone": message.gone,
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
