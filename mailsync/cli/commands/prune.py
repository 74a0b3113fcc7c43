"""`mailsync prune`: take messages that left their server long ago out of the archive, for good."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mailsync.app.prune import PruneReport, prune
from mailsync.app.requests import PruneRequest
from mailsync.cli import exits, options
from mailsync.cli.lines import say
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.formats.quantities import messages, octets, span
from mailsync.formats.terminal import plain
from mailsync.mapping import show as name_of


@click.command("prune")
@click.argument("account")
@options.gone_for
@options.mailbox
@click.option(
    "--yes",
    is_flag=True,
    help="Remove them. Without it nothing is removed, and what would be is shown.",
)
@options.archive
@options.wait
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    account: str,
    *,
    gone_for: float,
    globs: tuple[str, ...],
    yes: bool,
    archive: Path | None,
    wait: float,
) -> int:
    """Remove messages from ACCOUNT's archive that have been gone from their server for at least so
    long: with --yes, for good.

    Nothing else ever removes a message from an archive. A message goes only if every place it was
    in is gone for that long; one that came by POP3 never goes, and neither does one that another
    account of the archive has.
    """
    before = int(time.time() - gone_for)
    login = session.accounts().one(account, archive)
    found = prune(PruneRequest(login, before, globs, dry_run=not yes, wait=wait))
    if session.json:
        exits.print_json(session, 0, found.as_json())
        return 0
    if session.quiet:
        return 0
    _print_mailboxes(found)
    amount = f"{messages(found.messages)}, {octets(found.octets)}"
    if not found.messages:
        words = f"no message has been gone from the server for {span(gone_for)}; nothing to remove"
    elif yes:
        words = f"removed {amount}"
    else:
        words = f"would remove {amount}; --yes does it, for good"
    say(f"{plain(found.account)}: {words}")
    return 0


def _print_mailboxes(found: PruneReport) -> None:
    rows = [
        [plain(name_of(one.mailbox)), f"{one.messages:,}", octets(one.octets)]
        for one in found.mailboxes
    ]
    if len(rows) > 1:
        rows.append(["all", f"{found.messages:,}", octets(found.octets)])
    if rows:
        click.echo(table(rows, ["mailbox", "messages", "frees"], "lrr"))
