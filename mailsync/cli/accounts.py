"""From what stands on the command line (a configured name, or a URL) to a login with its archive
and its password.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from mailsync.app.accounts import Login
from mailsync.cli.session import Session
from mailsync.config.file import Configuration, find, load
from mailsync.config.secrets import Secret, imprudence, reveal
from mailsync.config.settings import ImapAccount, Pop3Account
from mailsync.config.url import is_url, parse_url
from mailsync.errors import ConfigError
from mailsync.formats.terminal import plain

URL_ARCHIVES = Path("mailsync-archive")


def configuration(session: Session) -> Configuration:
    """Load the configuration this call uses. Raises ConfigError."""
    return load(find(session.config, session.environ, Path.cwd(), Path.home()))


def login(session: Session, text: str, archive: Path | None = None) -> Login:
    """Find the account of a configured name or a URL. Raises ConfigError."""
    if is_url(text):
        url = parse_url(text)
        return Login(url.name, url.settings, archive or URL_ARCHIVES / url.directory)
    _demand_scheme(session, text)
    return _configured(configuration(session), text, archive)


def logins(
    session: Session, texts: Sequence[str], archive: Path | None = None, *, kept: bool = False
) -> list[Login]:
    """Find several accounts; all configured ones when none is named, with `kept` only those whose
    mail is kept here (`backup:`).
    """
    if texts and all(is_url(text) for text in texts):
        return [login(session, text, archive) for text in dict.fromkeys(texts)]
    for text in texts:
        _demand_scheme(session, text)
    config = configuration(session)
    names = texts or [
        name for name, account in config.settings.accounts.items() if not kept or _is_kept(account)
    ]
    if archive is not None and len(names) > 1:
        raise ConfigError("--archive names one archive, so one account must be named with it")
    return [
        login(session, name, archive) if is_url(name) else _configured(config, name, archive)
        for name in dict.fromkeys(names)
    ]


def _demand_scheme(session: Session, text: str) -> None:
    """Raise ConfigError for an address where a URL was meant."""
    if "@" not in text or is_url(text):
        return
    try:
        known = text in configuration(session).settings.accounts
    except ConfigError:
        known = False
    if not known:
        user, _, host = text.rpartition("@")
        raise ConfigError(f"{text} is no URL: write imaps://{user}@{host} or pop3s://{user}@{host}")


def _is_kept(account: Pop3Account | ImapAccount) -> bool:
    return account.backup if isinstance(account, ImapAccount) else True


def _configured(config: Configuration, name: str, archive: Path | None) -> Login:
    account = config.account(name)
    settings = config.settings.archive
    return Login(
        name, account, archive or config.archive_directory(name), settings.format, settings.dedupe
    )


def password(
    session: Session, account: Login, given: Mapping[str, str | None] | None = None
) -> str:
    """Bring an account's password: by the options of this call, else as configured, else by asking
    on the terminal.

    `given` are the values of --…-password-command, -env and -file under those last words. Raises
    ConfigError.
    """
    secret = _from_options(given or {}) or account.settings.password
    if secret is not None:
        careless = imprudence(secret, account.name)
        if careless and not session.quiet:
            warn(careless)
        return reveal(secret, account.name, session.environ)
    if not sys.stdin.isatty():
        raise ConfigError(
            f"no password for {account.name}, and no terminal to ask on; set `password:` in the"
            " configuration, or use one of the --…password-command, -env, -file options"
        )
    try:
        entered = getpass.getpass(
            f"Password of {plain(account.settings.username)} at {plain(account.settings.host)}: ",
            stream=sys.stderr,
        )
    except EOFError:
        entered = ""
    if not entered:
        raise ConfigError(f"no password was entered for {account.name}")
    return entered


def warn(text: str) -> None:
    """Say something on standard error that is not yet trouble."""
    click.echo(f"{click.style('warning:', fg='yellow')} {plain(text)}", err=True)


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
