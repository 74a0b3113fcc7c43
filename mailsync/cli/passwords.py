"""Passwords for whatever the command line drives: by an option of this call, as configured, or
asked for on the terminal.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from mailsync.app.accounts import Login, Secrets
from mailsync.cli.lines import say
from mailsync.cli.session import Session
from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.local import LocalFiles
from mailsync.config.secrets import Secret, imprudence, reveal
from mailsync.errors import ConfigError
from mailsync.formats.terminal import plain


def secrets(session: Session, given: Mapping[str, str | None]) -> Secrets:
    """Return what brings a login's password: by the options of this call, else as configured, else
    by asking on the terminal.

    `given` are the values of --…-password-command, -env and -file under those last words.
    """

    def bring(login: Login) -> str:
        settings = login.settings
        if isinstance(settings, LocalFiles):
            return ""
        password = found(login.name, settings)
        session.passwords.add(password)
        return password

    def found(name: str, settings: Pop3Account | ImapAccount) -> str:
        secret = _from_options(given) or settings.password
        if secret is None:
            return _ask(name, settings)
        careless = imprudence(secret, name)
        if careless and not session.quiet:
            warn(careless)
        return reveal(secret, name, session.environ, settings.username)

    return bring


def warn(text: str) -> None:
    """Say something on standard error that is not yet trouble."""
    say(f"{click.style('warning:', fg='yellow')} {plain(text)}", err=True)


def _ask(name: str, settings: Pop3Account | ImapAccount) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"no password for {name}, and no terminal to ask on; set `password:` in the"
            " configuration, or use one of the --…password-command, -env, -file options"
        )
    try:
        entered = getpass.getpass(
            f"Password of {plain(settings.username)} at {plain(settings.host)}: ",
            stream=sys.stderr,
        )
    except EOFError:
        entered = ""
    if not entered:
        raise ConfigError(f"no password was entered for {name}")
    return entered


def _from_options(given: Mapping[str, str | None]) -> Secret | None:
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
