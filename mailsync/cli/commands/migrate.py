"""`mailsync migrate`: pull and push in one go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from mailsync import exit_codes
from mailsync.app.accounts import Login, Secret
from mailsync.app.imap_beside import ImapBeside, keep_pop3
from mailsync.app.migrate import migrate
from mailsync.app.requests import MigrateRequest
from mailsync.cli import options, outcome
from mailsync.cli.bars import progress_for
from mailsync.cli.lines import say
from mailsync.cli.passwords import reach_first, secrets
from mailsync.cli.session import Session
from mailsync.formats.quantities import messages
from mailsync.formats.terminal import plain

HELP: Final = """Move a mailbox from SOURCE to DESTINATION: pull and push in one go.

Both are names from the configuration, or URLs; with URLs no configuration is needed, and
passwords are asked for:

\b
  mailsync migrate pop3s://alice@old.example imaps://alice@new.example
  mailsync migrate imaps://alice@example.org@mail.example.org work
\b
  pop3s:// imaps://   encrypted from the start (ports 995, 993)
  pop3://  imap://    encrypted by STLS or STARTTLS (ports 110, 143)

The last @ parts user and host; other signs in a user name may be written %XX. The certificate
of a server of your own is trusted with --source-ca-file or --destination-ca-file; `mailsync
certificate` brings it.

At the end it proves itself: for every mailbox, the messages of the source are in the archive
and on the destination, or are named. The messages also lie in the archive afterwards. Nothing
is deleted on either side. Run it again at any time: only what is new is moved, and after an
interruption it goes on where it was.
"""


@click.command("migrate", help=HELP)
@click.argument("source")
@click.argument("destination")
@options.mailbox
@options.places
@click.option(
    "--prove-content",
    is_flag=True,
    help="At the end download what was sent, and compare it message by message.",
)
@options.dry_run
@options.archive
@options.wait
@options.login("source", "the old server")
@options.login("destination", "the new server")
@options.report
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    source: str,
    destination: str,
    *,
    globs: tuple[str, ...],
    dry_run: bool,
    archive: Path | None,
    wait: float,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """Run the migration that these options describe."""
    found = session.accounts()
    request = MigrateRequest(
        found.one(source, archive, options.trust(chosen, "source")),
        found.one(destination, trust=options.trust(chosen, "destination")),
        globs,
        chosen["renamed"],
        chosen["into"],
        prove_content=chosen["prove_content"],
        dry_run=dry_run,
        wait=wait,
    )
    given, given_there = options.given(chosen, "source"), options.given(chosen, "destination")
    reach_first([(request.source, given), (request.destination, given_there)])
    of_source = secrets(session, given, "old", reached=True)
    of_destination = secrets(session, given_there, "new", reached=True)

    def secret_of(login: Login) -> Secret:
        return (of_destination if login is request.destination else of_source)(login)

    reports = migrate(
        request,
        secret_of,
        progress_for(session, sys.stderr),
        beside=progress_for(session, sys.stderr, row=1),
        imap_instead=_ask if sys.stdin.isatty() and not session.json else keep_pop3,
    )
    return outcome.show(reports, session, join=exit_codes.of_steps)


def _ask(beside: ImapBeside, here: int) -> bool:
    """Ask on the terminal whether to move by IMAP."""
    say(
        f"Over IMAP the same login shows {plain(beside.told)}, and what was read; POP3 shows the"
        f" {messages(here)} of the inbox alone.",
        err=True,
    )
    return click.confirm("Move all of it, by IMAP", default=True, err=True)
