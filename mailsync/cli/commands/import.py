"""`mailsync import`: bring messages from files on this computer into the archive."""  # noqa: N999

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mailsync.app.pull import pull
from mailsync.app.requests import PullRequest
from mailsync.cli import options, outcome
from mailsync.cli.bars import progress_for
from mailsync.cli.passwords import secrets
from mailsync.cli.session import Session


def _labels(_: click.Context, __: click.Parameter, written: tuple[str, ...]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in written]
    for old, sign, new in pairs:
        if not (sign and old and new):
            raise click.BadParameter(f"{old!r} must be OLD=NEW, such as Posteingang=Inbox")
    return {old: new for old, _, new in pairs}


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "--into",
    metavar="ACCOUNT",
    default="",
    help="The account (a configured name, or a URL) whose archive takes the messages.",
)
@options.mailbox
@options.renamed
@click.option(
    "--with-deleted",
    is_flag=True,
    help="Also messages that are deleted in the mail program but still in its files.",
)
@click.option(
    "--with-imap",
    is_flag=True,
    help="Also the copies that Thunderbird keeps of what lies on IMAP servers.",
)
@click.option(
    "--label",
    "labels",
    metavar="OLD=NEW",
    multiple=True,
    callback=_labels,
    help="Google Takeout: a label of Google's own in your language, and in English.",
)
@options.dry_run
@options.archive
@options.wait
@options.report
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    paths: tuple[str, ...],
    *,
    into: str,
    globs: tuple[str, ...],
    dry_run: bool,
    archive: Path | None,
    wait: float,
    **wishes: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """Bring messages from files on this computer into the archive.

    PATH is a file or directory of a mail program, or what one exported; mailsync finds out what it
    is (look first with `mailsync check PATH`). To say it yourself write the kind in front:
    mbox:///home/alice/old. Nothing in these files changes. Run it again at any time: only what is
    new is brought, and what was deleted from the files meanwhile stays in the archive. Without
    --into each PATH has an archive of its own.
    """
    found = session.accounts()
    logins = [found.files(path, archive, into, wishes) for path in paths]
    reports = pull(
        PullRequest(logins, globs, dry_run=dry_run, wait=wait),
        secrets(session, {}),
        progress_for(session, sys.stderr),
    )
    return outcome.show(reports, session)
