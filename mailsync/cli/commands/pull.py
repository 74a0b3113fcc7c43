"""`mailsync pull`: bring new messages into the archive."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mailsync.app.pull import pull
from mailsync.app.requests import PullRequest
from mailsync.cli import options, outcome
from mailsync.cli.bars import progress_for
from mailsync.cli.passwords import asked_first, secrets
from mailsync.cli.session import Session
from mailsync.errors import ConfigError


@click.command("pull")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]…")
@options.mailbox
@options.moved
@options.dry_run
@options.archive
@options.wait
@options.login(also="source")
@options.report
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    accounts: tuple[str, ...],
    *,
    globs: tuple[str, ...],
    moved: bool,
    dry_run: bool,
    archive: Path | None,
    wait: float,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """Bring new messages from the servers into the archive.

    ACCOUNT is a name from the configuration, or a URL such as imaps://alice@mail.example.org; all
    configured accounts when none is named. Nothing on the server changes. The first pull brings
    everything, later ones only what is new; what is deleted on the server stays in the archive.
    """
    if moved and len(accounts) != 1:
        raise ConfigError("--moved is said of one account: name the one that has another server")
    logins = session.accounts().several(accounts, archive, options.trust(chosen), kept=True)
    given = options.given(chosen)
    reports = pull(
        PullRequest(logins, globs, moved, dry_run=dry_run, wait=wait),
        asked_first(secrets(session, given), logins, given),
        progress_for(session, sys.stderr),
    )
    return outcome.show(reports, session)
