"""`mailsync push`: send an archive's messages to an IMAP server."""

from __future__ import annotations

import sys
import time
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


@click.command("push")
@click.argument("account")
@click.argument("destination")
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
    destination: str,
    *,
    globs: tuple[str, ...],
    dry_run: bool,
    archive: Path | None,
    wait: float,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """Send the archive of ACCOUNT to the IMAP server of DESTINATION.

    Both are names from the configuration, or URLs. What is there already is not sent again, what
    you moved or deleted there since is not brought back, and nothing there is deleted or
    overwritten. Run it again at any time.
    """
    source, target = login(session, account, archive), login(session, destination)
    build.imap_of(target)
    report = Report(
        "push",
        source.name,
        target.name,
        str(source.directory),
        dry_run=dry_run,
        started=int(time.time()),
    )
    try:
        secret = password(session, target, options.given(chosen, "destination"))
        push_one(
            source,
            target,
            secret,
            report,
            terms_of(chosen, Terms(progress_for(session, sys.stderr), globs, wait)),
        )
    except MailsyncError as error:
        report.error = error
    report.ended = int(time.time())
    return outcome.show([report], session)
