"""Passwords for whatever the command line drives: by an option of this call, as configured, or
asked for on the terminal.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import click
from pydantic import TypeAdapter, ValidationError

from mailsync.app import accounts, door
from mailsync.app.accounts import Login, Secrets
from mailsync.cli.lines import say
from mailsync.cli.session import Session
from mailsync.cli.tokens import RememberedTokens
from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.local import LocalFiles
from mailsync.config.secrets import Secret, imprudence, reveal
from mailsync.errors import ConfigError, MailsyncError
from mailsync.formats.terminal import plain

Given: TypeAlias = Mapping[str, str | None]
"""The values of --…-password-command, -env and -file under those last words."""

ATTEMPTS: Final = 3
"""How often a password may be typed: many servers lock out whoever fails more often."""


def secrets(session: Session, given: Given, role: str = "", *, reached: bool = False) -> Secrets:
    """Return what brings a login's password: by the options of this call, else as configured, else
    by asking on the terminal.

    `given` are the values of --…-password-command, -env and -file under those last words. A
    question says whose password it asks for, its `role` too ("old"); the server is tried before,
    unless it was `reached` already, and a password that it refuses is asked for again.
    """

    def bring(login: Login) -> accounts.Secret:
        settings = login.settings
        if isinstance(settings, LocalFiles):
            return ""
        if settings.oauth2 is not None and not any(given.values()):
            return RememberedTokens(session, login.name, settings)
        password = found(login, settings)
        session.passwords.add(password)
        return password

    def found(login: Login, settings: Pop3Account | ImapAccount) -> str:
        secret = from_options(given) or settings.password
        if secret is None:
            return _ask(session, login, settings, role, reached=reached)
        careless = imprudence(secret, login.shown)
        if careless and not session.quiet:
            warn(careless)
        return reveal(secret, login.shown, session.environ, settings.username)

    return bring


def asked_first(bring: Secrets, logins: Sequence[Login], given: Given) -> Secrets:
    """Return what brings passwords as `bring` does, after asking for all those of several logins
    that are typed: whoever waits need not come back in the middle of the work.

    What went wrong with one is raised when its login's turn comes.
    """
    typed = [login for login in logins if _is_typed(login, given)]
    if len(typed) < 2 or not sys.stdin.isatty():
        return bring
    known: dict[str, accounts.Secret | MailsyncError] = {}
    for login in typed:
        try:
            known[login.name] = bring(login)
        except MailsyncError as error:
            known[login.name] = error

    def recall(login: Login) -> accounts.Secret:
        found = known.get(login.name)
        if isinstance(found, MailsyncError):
            raise found
        return bring(login) if found is None else found

    return recall


def _is_typed(login: Login, given: Given) -> bool:
    """Return whether a login's password is asked for on the terminal."""
    settings = login.settings
    configured = isinstance(settings, LocalFiles) or settings.password or settings.oauth2
    return not configured and not any(given.values())


def reach_first(asked: Iterable[tuple[Login, Given]]) -> None:
    """Try the servers of all logins, before anybody types the password of one that is asked for.

    Raises StoreUnavailable.
    """
    logins = list(asked)
    typed = any(_is_typed(login, given) for login, given in logins)
    if typed and sys.stdin.isatty():
        for login, _ in logins:
            door.reach(login)


def warn(text: str) -> None:
    """Say something on standard error that is not yet trouble."""
    say(f"{click.style('warning:', fg='yellow')} {plain(text)}", err=True)


def _ask(
    session: Session,
    login: Login,
    settings: Pop3Account | ImapAccount,
    role: str,
    *,
    reached: bool,
) -> str:
    """Ask on the terminal, a few times at most where the server refuses what is typed.

    Raises StoreUnavailable for a server that cannot be reached or trusted, AuthenticationFailed for
    the last refusal, ConfigError where nobody answers.
    """
    if not sys.stdin.isatty():
        raise ConfigError(
            f"no password for {login.shown}, and no terminal to ask on; set `password:` in the"
            " configuration, or use one of the --…password-command, -env, -file options"
        )
    if not reached:
        door.reach(login)
    left = ATTEMPTS
    while True:
        entered = _typed(login, settings, role)
        session.passwords.add(entered)
        refused = door.refusal(login, entered)
        left -= 1
        if refused is None:
            return entered
        if not left:
            raise refused
        say(f"{plain(str(refused))}. Please try again.", err=True)


def _typed(login: Login, settings: Pop3Account | ImapAccount, role: str) -> str:
    whose = login.typed or f"{login.name}, {settings.username} at {settings.host}"
    try:
        entered = getpass.getpass(
            f"Password for {plain(whose)}{f' ({role})' if role else ''}: ", stream=sys.stderr
        )
    except EOFError:
        entered = ""
    if not entered:
        raise ConfigError(f"no password was entered for {login.shown}")
    return entered


def from_options(given: Mapping[str, str | None]) -> Secret | None:
    """Return the secret that one of the options --…-password-command, -env, -file and the like
    names; raises ConfigError for several, or an impossible one.
    """
    chosen = {form: value for form, value in given.items() if value is not None}
    if not chosen:
        return None
    if len(chosen) > 1:
        raise ConfigError(
            "give one of the options --…password-command, -env and -file, not several"
        )
    try:
        return TypeAdapter[Secret](Secret).validate_python(chosen, context={"base": Path.cwd()})
    except ValidationError as error:
        what = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix(
            "Value error, "
        )
        raise ConfigError(
            f"the option --…password-{next(iter(chosen))} cannot be used: {what}"
        ) from None
