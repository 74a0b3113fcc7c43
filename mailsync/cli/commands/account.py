"""`mailsync account`: what an archive calls an account."""

from __future__ import annotations

from pathlib import Path

import click

from mailsync.app.rename import rename
from mailsync.cli import exits, options
from mailsync.cli.lines import say
from mailsync.cli.session import Session
from mailsync.formats.terminal import plain


@click.group("account")
def command() -> None:
    """Give an account another name."""


@command.command("rename")
@click.argument("old")
@click.argument("new")
@options.archive
@options.wait
@options.common
@click.pass_obj
def rename_command(
    session: Session, /, old: str, new: str, *, archive: Path | None, wait: float
) -> int:
    """Go on with the history of OLD under the name NEW.

    OLD is what the account was called: its former name in the configuration, or the URL. NEW is
    what it is called now, in the configuration or as a URL. Its archive becomes NEW's; no message
    is fetched, sent or changed.
    """
    done = rename(old, session.accounts().one(new, archive), wait)
    if session.json:
        exits.print_json(session, 0, {"renamed": done.as_json()})
    elif not session.quiet:
        moved = f"; its archive lies in {plain(str(done.directory))} now" if done.came_from else ""
        say(f"{plain(done.old)} is called {plain(done.new)} from now on{moved}")
        if done.aside:
            say(
                f"What had come under the name {plain(done.new)} was put aside, in"
                f" {plain(str(done.aside))}; once a pull was complete it may be removed."
            )
    return 0
