"""`mailsync restore`: bring messages of the archive back to a server."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mailsync.app import build
from mailsync.app.runs import Terms, push_one, terms_of
from mailsync.cli import options, outcome
from mailsync.cli.accounts import login, password
from mailsync.cli.bars import progress_for
from mailsync.cli.session import Session
from mailsync.engine.report import Report
from mailsync.errors import MailsyncError


@click.command("restore")
@click.argument("account")
@click.option(
    "--to",
    "destination",
    metavar="DESTINATION",
    help="Another account, or URL. Default: back to ACCOUNT itself.",
)
@options.mailbox
@options.messages
@options.gone
@options.places
@options.dry_run
@options.archive
@options.wait
@options.passwords("destination", "the destination")
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    account: str,
    *,
    destination: str | None,
    globs: tuple[str, ...],
    dry_run: bool,
    archive: Path | None,
    wait: float,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """Bring messages of ACCOUNT's archive back to the server, those that are not there now.

    Unlike a push, this believes only what is on the server now: what was deleted there comes back.
    Say which messages you mean, and look first with --dry-run. A mailbox as it was on a day:
    --mailbox Projects --as-of 2026-03-01. Everything that was deleted: --include-gone. Into a
    folder of its own: --into "Restored".
    """
    source = login(session, account, archive)
    target = login(session, destination) if destination else source
    build.imap_of(target)
    report = Report(
        "restore",
        source.name,
        target.name,
        str(source.directory),
        dry_run=dry_run,
        started=int(time.time()),
    )
    try:
        secret = password(session, target, options.given(chosen, "destination"))
        terms = terms_of(chosen, Terms(progress_for(session, sys.stderr), globs, wait))
        push_one(source, target, secret, report, replace(terms, restore=True))
    except MailsyncError as error:
        report.error = error
    report.ended = int(time.time())
    return outcome.show([report], session)
