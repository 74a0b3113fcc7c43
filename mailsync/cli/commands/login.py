"""`mailsync login`: get access tokens from a provider, with the help of the mailbox's owner."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from mailsync.app.oauth.login import LoggedIn, login
from mailsync.app.requests import LoginRequest
from mailsync.cli import exits, options
from mailsync.cli.bars import progress_for
from mailsync.cli.lines import say
from mailsync.cli.passwords import warn
from mailsync.cli.session import Session
from mailsync.errors import ConfigError
from mailsync.formats.terminal import plain


@click.command("login")
@click.argument("account", metavar="ACCOUNT")
@click.option(
    "--device",
    is_flag=True,
    help="Log in on another device, by typing a short code there.",
)
@click.option(
    "--paste",
    is_flag=True,
    help="Log in with a browser anywhere, and paste the address at which it ends.",
)
@options.common
@click.pass_obj
def command(session: Session, /, account: str, *, device: bool, paste: bool) -> int:
    """Log in at the provider of an account that has `oauth2:` in the configuration.

    A browser opens here, or its address is shown; you log in there, as you do for webmail, and
    mailsync keeps what it is given, tries it at the mail server, and renews it by itself from then
    on. Your password is never seen by mailsync.
    """
    if device and paste:
        raise ConfigError("give one of --device and --paste, not both")
    way: Literal["browser", "paste", "device"] = (
        "device" if device else "paste" if paste else "browser"
    )
    done = login(
        LoginRequest(session.accounts().one(account), way),
        _Terminal(session),
        session.environ,
        Path.home(),
        progress_for(session, sys.stderr),
    )
    if session.json:
        exits.print_json(session, done.exit_code, done.as_json())
    else:
        _print(session, done)
    return done.exit_code


class _Terminal:
    """Whoever sits here; all that is shown goes to standard error."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def visit(self, username: str, url: str) -> None:
        """Show an address, and open it where there is a browser with a screen."""
        where = "in a browser on this machine"
        say(f"Log in as {plain(username)} at this address, {where}:\n\n{url}\n", err=True)
        environ = self._session.environ
        if any(map(environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))) or sys.platform == "darwin":
            import webbrowser  # noqa: PLC0415  where there is a screen

            webbrowser.open(url)
        elif environ.get("SSH_CONNECTION"):
            say(
                "(You are here over SSH: with --paste the browser may be on your own machine.)",
                err=True,
            )
        say("Waiting for your browser; Ctrl-C gives up.", err=True)

    def enter(self, username: str, url: str, code: str, seconds: int) -> None:
        """Show an address and a code."""
        say(
            f"Open this address on any device, log in as {plain(username)}, and type the code:\n\n"
            f"  {plain(url)}\n  {plain(code)}\n\nIt is good for {max(seconds // 60, 1)} minutes."
            " Waiting; Ctrl-C gives up.",
            err=True,
        )

    def paste(self, username: str, url: str, missed: str = "") -> str:
        """Show an address; read the one at which the browser ended."""
        begin = (
            f"Log in as {plain(username)} at this address, in a browser anywhere:\n\n{url}\n\nThe"
            " browser ends at a page that it cannot open, and that is as it should be."
        )
        say(f"{missed or begin}\nPaste its whole address here:", err=True)
        click.echo("> ", err=True, nl=False)
        line = sys.stdin.readline()
        if not line:
            raise ConfigError("nothing was pasted; nothing was changed")
        return line


def _print(session: Session, done: LoggedIn) -> None:
    name, server = plain(done.account), plain(done.server)
    if done.untried is not None:
        warn(
            f"the login is kept, but could not be tried at {server}: {done.untried}. Try it later:"
            f" `mailsync check {name}`"
        )
    elif not session.quiet:
        boxes = f"{done.mailboxes:,} mailbox{'' if done.mailboxes == 1 else 'es'}"
        say(f"{click.style(f'{name}:', fg='green')} logged in at {server}; {boxes}")
    if not done.lasting:
        warn(
            "the provider gave no refresh token, so that this login ends soon, and you must log in"
            " again; often `offline_access` among the `scopes` helps"
        )
