"""`mailsync push`: send an archive's messages to an IMAP server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mailsync.app.push import push
from mailsync.app.requests import PushRequest
from mailsync.cli import options, outcome
from mailsync.cli.bars import progress_for
from mailsync.cli.passwords import secrets
from mailsync.cli.session import Session


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
@options.login(whose="the destination", also="destination")
@options.report
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
    found = session.accounts()
    request = PushRequest(
        found.one(account, archive),
        found.one(destination, trust=options.trust(chosen)),
        options.choice(globs, chosen),
        chosen["renamed"],
        chosen["into"],
        dry_run=dry_run,
        wait=wait,
    )
    given = options.given(chosen)
    report = push(request, secrets(session, given), progress_for(session, sys.stderr))
    return outcome.show([report], session)
