"""`mailsync restore`: bring messages of the archive back to a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mailsync.app.push import restore
from mailsync.app.requests import RestoreRequest
from mailsync.cli import options, outcome
from mailsync.cli.bars import progress_for
from mailsync.cli.passwords import secrets
from mailsync.cli.session import Session


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
@click.option(
    "--include-imported",
    is_flag=True,
    help="Back to ACCOUNT itself: also messages that only came out of files (import --into).",
)
@options.places
@options.dry_run
@options.archive
@options.wait
@options.login(whose="the server", also="destination")
@options.report
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
    found = session.accounts()
    trust = options.trust(chosen)
    source = found.one(account, archive, trust)
    request = RestoreRequest(
        source,
        found.one(destination, trust=trust) if destination else source,
        options.choice(globs, chosen),
        chosen["renamed"],
        chosen["into"],
        dry_run=dry_run,
        wait=wait,
        include_imported=chosen["include_imported"],
    )
    given = options.given(chosen)
    report = restore(request, secrets(session, given), progress_for(session, sys.stderr))
    return outcome.show([report], session)
