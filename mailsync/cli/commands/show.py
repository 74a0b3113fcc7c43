"""`mailsync show`: one message, to read or byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from mailsync.app.requests import ShowRequest
from mailsync.app.show import show
from mailsync.cli import exits, options
from mailsync.cli.session import Session
from mailsync.formats.quantities import octets

LINES_SHOWN: Final = 60


@click.command("show")
@click.argument("account")
@click.argument("digest")
@click.option(
    "--raw",
    is_flag=True,
    help="Write the message to standard output exactly as it is kept, byte for byte.",
)
@options.archive
@options.common
@click.pass_obj
def command(session: Session, account: str, digest: str, *, raw: bool, archive: Path | None) -> int:
    """Show one message of ACCOUNT's archive: its headers and the beginning of its text (-v: all of
    it).

    DIGEST is any unambiguous beginning of the message's SHA-256, as `mailsync list ACCOUNT
    --mailbox …` shows it. The message is checked against it before it is shown.
    """
    if raw and session.json:
        raise click.UsageError("--raw and --json cannot be used together")
    found = show(ShowRequest(session.accounts().one(account, archive), digest))
    if raw:
        sys.stdout.buffer.write(found.content)
        sys.stdout.buffer.flush()
        return 0
    if session.json:
        exits.print_json(session, 0, found.as_json())
        return 0
    for name, value in found.headers.items():
        click.echo(f"{click.style(f'{name}:', bold=True)} {value}")
    click.echo(f"{click.style('Size:', bold=True)} {octets(len(found.content))}\n")
    lines = found.lines
    limit = len(lines) if session.verbose else LINES_SHOWN
    for line in lines[:limit]:
        click.echo(line)
    if len(lines) > limit:
        click.echo(f"… {len(lines) - limit:,} more lines (-v shows them, --raw the whole message)")
    return 0
