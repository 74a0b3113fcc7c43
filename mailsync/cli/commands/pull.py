"""`mailsync pull`: bring new messages into the archive."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from mailsync.app.rehearsals import rehearse_one
from mailsync.app.runs import Terms, pull_one
from mailsync.cli import options, outcome
from mailsync.cli.accounts import logins, password
from mailsync.cli.bars import progress_for
from mailsync.cli.session import Session
from mailsync.engine.report import Report
from mailsync.errors import DiskFull, MailsyncError


@click.command("pull")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]…")
@options.mailbox
@options.dry_run
@options.archive
@options.wait
@options.passwords("source", "the account")
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    accounts: tuple[str, ...],
    *,
    globs: tuple[str, ...],
    dry_run: bool,
    archive: Path | None,
    wait: float,
    **passwords: str | None,
) -> int:
    """Bring new messages from the servers into the archive.

    ACCOUNT is a name from the configuration, or a URL such as imaps://alice@mail.example.org; all
    configured accounts when none is named. Nothing on the server changes. The first pull brings
    everything, later ones only what is new; what is deleted on the server stays in the archive.
    """
    given = options.given(passwords, "source")
    terms = Terms(progress_for(session, sys.stderr), globs, wait)
    reports: list[Report] = []
    for login in logins(session, accounts, archive, kept=True):
        report = Report(
            "pull",
            login.name,
            archive=str(login.directory),
            dry_run=dry_run,
            started=int(time.time()),
        )
        reports.append(report)
        try:
            secret = password(session, login, given)
            (rehearse_one if dry_run else pull_one)(login, secret, report, terms)
        except MailsyncError as error:
            # One account's trouble is not another's, except for the disk they share.
            report.error = error
        report.ended = int(time.time())
        if isinstance(report.error, DiskFull):
            break
    return outcome.show(reports, session)
