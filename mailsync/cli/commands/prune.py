"""`mailsync prune`: take messages that left their server long ago out of the archive, for good."""

from __future__ import annotations

import time
from pathlib import Path

import click
from tabulate import tabulate

from mailsync.app.archives import archive_of, known
from mailsync.archive import Archive, Prunable
from mailsync.cli import exits, options
from mailsync.cli.accounts import login
from mailsync.cli.session import Session
from mailsync.formats.quantities import messages, octets, span
from mailsync.formats.terminal import plain
from mailsync.mapping import matches
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
    who = login(session, account, archive)
    before = int(time.time() - gone_for)

    def chosen(path: tuple[str, ...]) -> bool:
        return matches(path, globs or ("*",))

    with (
        archive_of(who, wait) if yes and who.directory.exists() else Archive.read(who.directory)
    ) as opened:
        known(opened, who)
        found = (opened.prune if yes else opened.prunable)(who.name, before, chosen)
    total = Prunable((), sum(one.messages for one in found), sum(one.octets for one in found))
    if session.json:
        report = {
            "account": who.name,
            "archive": str(who.directory),
            "dry_run": not yes,
            "messages": total.messages,
            "octets": total.octets,
            "mailboxes": [
                {"mailbox": name_of(one.mailbox), "messages": one.messages, "octets": one.octets}
                for one in found
            ],
        }
        exits.print_json(session, 0, {"error": None, "reports": [report]})
        return 0
    if session.quiet:
        return 0
    rows = [[plain(name_of(one.mailbox)), f"{one.messages:,}", octets(one.octets)] for one in found]
    if len(rows) > 1:
        rows.append(["all", f"{total.messages:,}", octets(total.octets)])
    if rows:
        click.echo(
            tabulate(
                rows,
                ["mailbox", "messages", "frees"],
                tablefmt="simple",
                disable_numparse=True,
                colalign=["left", "right", "right"],
            )
        )
    if not total.messages:
        click.echo(
            f"{plain(who.name)}: no message has been gone from the server for {span(gone_for)};"
            " nothing to remove"
        )
    elif yes:
        click.echo(f"{plain(who.name)}: removed {messages(total.messages)}, {octets(total.octets)}")
    else:
        click.echo(
            f"{plain(who.name)}: would remove {messages(total.messages)}, {octets(total.octets)};"
            " --yes does it, for good"
        )
    return 0
