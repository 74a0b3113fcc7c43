"""`mailsync show`: one message, to read or byte for byte, and its attachments."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from mailsync import exit_codes
from mailsync.app.preview import Reading
from mailsync.app.requests import ShowRequest
from mailsync.app.show import Place, Shown, save, show
from mailsync.cli import exits, options
from mailsync.cli.lines import say
from mailsync.cli.session import Session
from mailsync.formats.quantities import moment, octets
from mailsync.formats.terminal import plain
from mailsync.mapping import show as name_of

LINES_SHOWN: Final = 60
LINKS_SHOWN: Final = 20
_FLAGS: Final = {
    "\\Seen": "seen",
    "\\Answered": "answered",
    "\\Flagged": "flagged",
    "\\Draft": "draft",
    "\\Deleted": "to be deleted",
}


@click.command("show")
@click.argument("account")
@click.argument("digest")
@click.option(
    "--raw",
    is_flag=True,
    help="Write the message to standard output exactly as it is kept, byte for byte.",
)
@click.option(
    "--attachments",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Save its attachments in this directory; nothing there is overwritten.",
)
@options.archive
@options.common
@click.pass_obj
def command(
    session: Session,
    account: str,
    digest: str,
    *,
    raw: bool,
    attachments: Path | None,
    archive: Path | None,
) -> int:
    """Show one message of ACCOUNT's archive: where it is, its headers, the beginning of its text
    (-v: all of it), where its links lead, and what is attached.

    DIGEST is any unambiguous beginning of the message's SHA-256, as `mailsync list ACCOUNT
    --mailbox …` shows it. The message is checked against it before it is shown.
    """
    if raw and (session.json or attachments):
        raise click.UsageError("--raw goes with neither --json nor --attachments")
    found = show(ShowRequest(session.accounts().one(account, archive), digest))
    if raw:
        sys.stdout.buffer.write(found.content)
        sys.stdout.buffer.flush()
        return exit_codes.DONE
    reading = found.read()
    saved = save(reading.attachments, attachments) if attachments else []
    if session.json:
        exits.print_json(session, exit_codes.DONE, found.as_json(saved))
        return exit_codes.DONE
    _print_head(found)
    _print_text(reading, session)
    _print_attachments(reading, saved)
    return exit_codes.DONE


def _print_head(found: Shown) -> None:
    for name, value in found.headers.items():
        _field(name, value)
    _field("Size", octets(len(found.content)))
    _field("SHA-256", found.digest.hex())
    for place in found.places:
        _field("In", _place(place))
    click.echo()


def _field(name: str, value: str) -> None:
    say(f"{click.style(f'{name}:', bold=True)} {value}")


def _place(place: Place) -> str:
    """Say where a message is, or was, and how it is marked there."""
    flags = place.message.flags
    words = [word for flag, word in _FLAGS.items() if flag in flags]
    words += sorted(plain(flag) for flag in flags if flag not in _FLAGS)
    marked = f" ({', '.join(words)})" if words else ""
    said = f"{plain(name_of(place.message.mailbox))}{marked}"
    if place.gone is None:
        return said
    after, by = place.gone
    between = f"between {moment(after)} and {moment(by)}" if after else f"by {moment(by)}"
    return f"{said}, gone {between}"


def _print_text(reading: Reading, session: Session) -> None:
    lines, links = reading.lines, reading.links
    limit = len(lines) if session.verbose else LINES_SHOWN
    for line in lines[:limit]:
        say(line)
    if len(lines) > limit:
        say(f"… {len(lines) - limit:,} more lines (-v shows them, --raw the whole message)")
    limit = len(links) if session.verbose else LINKS_SHOWN
    if links:
        click.echo("\nLinks lead to:")
    for number, link in enumerate(links[:limit], 1):
        # Whole, however long: half an address leads elsewhere.
        click.echo(f"  [{number}] {link}")
    if len(links) > limit:
        say(f"  … {len(links) - limit:,} more (-v shows them)")


def _print_attachments(reading: Reading, saved: Sequence[Path]) -> None:
    if not reading.attachments:
        return
    click.echo("\nAttached:")
    for number, one in enumerate(reading.attachments):
        where = f" → {plain(str(saved[number]))}" if saved else ""
        say(f"  {one.name} ({one.kind}, {octets(len(one.content))}){where}")
    if not saved:
        say("(--attachments DIR saves them)")
