"""`mailsync logout`: end the login of an account at its provider, and forget it here."""

from __future__ import annotations

from pathlib import Path

import click

from mailsync import exit_codes
from mailsync.app.oauth.login import logout
from mailsync.app.requests import LogoutRequest
from mailsync.cli import exits, options
from mailsync.cli.lines import say
from mailsync.cli.passwords import warn
from mailsync.cli.session import Session
from mailsync.formats.terminal import plain


@click.command("logout")
@click.argument("account", metavar="ACCOUNT")
@options.common
@click.pass_obj
def command(session: Session, /, account: str) -> int:
    """End the login of an account that `mailsync login` made: here, and at the provider.

    Mail in the archive stays.
    """
    found = session.accounts().one(account)
    done = logout(LogoutRequest(found), session.environ, Path.home())
    code = exit_codes.INCOMPLETE if done.trouble else exit_codes.DONE
    if session.json:
        exits.print_json(session, code, done.as_json())
        return code
    name = plain(done.account)
    if done.trouble:
        warn(
            f"the login of {name} is forgotten here, but the provider was not told:"
            f" {done.trouble}. End it at its page of connected applications"
        )
    elif not session.quiet:
        there = "logged out, here and at the provider" if done.revoked else "logged out here"
        more = "" if done.revoked else "; the provider's page of connected applications ends it too"
        say(f"{name}: {there + more if done.was_there else 'was not logged in'}")
    return code
