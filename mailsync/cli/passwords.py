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
from mailsync.config.secrets import Secret, imprudence, reveal
from mailsync.errors import ConfigError
from mailsync.formats.terminal import plain


def secrets(session: Session, given: Mapping[str, str | None]) -> Secrets:
    """Return what brings a login's password: by the options of this call, else as configured, else
    by asking on the terminal.

    `given` are the values of --…-password-command, -env and -file under those last words.
    """

    def bring(login: Login) -> str:
        password = found(login)
        session.passwords.add(password)
        return password

    def found(login: Login) -> str:
        secret = _from_options(given) or login.settings.password
        if secret is None:
            return _ask(login)
        careless = imprudence(secret, login.name)
        if careless and not session.quiet:
            warn(careless)
        return reveal(secret, login.name, session.environ, login.settings.username)

    return bring


def warn(text: str) -> None:
    """Say something on standard error that is not yet trouble."""
    say(f"{click.style('warning:', fg='yellow')} {plain(text)}", err=True)


def _ask(login: Login) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"no password for {login.name}, and no terminal to ask on; set `password:` in the"
            " configuration, or use one of the --…password-command, -env, -file options"
        )
    try:
        entered = getpass.getpass(
            f"Password of {plain(login.settings.username)} at {plain(login.settings.host)}: ",
            stream=sys.stderr,
        )
    except EOFError:
        entered = ""
    if not entered:
        raise ConfigError(f"no password was entered for {login.name}")
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
