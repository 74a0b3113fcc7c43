"""`login` and `logout`: consent is got, tried at the mail server, and kept; or it is ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode

from mailsync import exit_codes
from mailsync.app import stores
from mailsync.app.accounts import Login
from mailsync.app.oauth.browser import by_browser, by_paste
from mailsync.app.oauth.device import by_device
from mailsync.app.oauth.person import Person
from mailsync.app.requests import LoginRequest, LogoutRequest
from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.local import LocalFiles
from mailsync.config.oauth import token_file
from mailsync.config.oauth.access import to_the_end
from mailsync.config.oauth.client import RegisteredClient, registered
from mailsync.config.oauth.settings import Client, PrintedToken
from mailsync.config.oauth.token_file import TokenFile, TokenSet
from mailsync.errors import AuthenticationFailed, ConfigError, StoreUnavailable
from mailsync.progress import Progress


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login that is kept; `untried` is why the mail server could not be asked about it, and
    `mailboxes` how many it showed. With `lasting` it is renewed by itself.
    """

    account: str
    server: str
    username: str
    kept: str
    lasting: bool
    mailboxes: int | None = None
    untried: str | None = None
    exit_code: int = exit_codes.DONE

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        values = asdict(self)
        del values["exit_code"]
        return values


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """A login that is kept no more: whether there was one, whether the provider has `revoked` it
    (None where it has no way for that), and why it has not.
    """

    account: str
    was_there: bool
    revoked: bool | None = None
    trouble: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """The one token of a login that is being tried."""

    access_token: str
    remedy: str = (
        "log in as the owner of this mailbox, and look at the scopes; nothing was changed here"
    )

    def token(self, refused: str = "") -> str:  # noqa: ARG002  there is no other one yet
        return self.access_token


def login(
    request: LoginRequest,
    person: Person,
    environ: Mapping[str, str],
    home: Path,
    progress: Progress,
) -> LoggedIn:
    """Log in at the provider of an account, and keep what comes of it.

    What the mail server refuses is not kept, and an older login stays. Raises ConfigError,
    AuthenticationFailed or another MailsyncError.
    """
    account = request.account
    settings, client, file = _client(account, environ, home)
    with file.changing():
        pass  # nobody shall log in for nothing: there is a place for it
    tokens = _consented(request.way, client, person, settings.username)
    mailboxes, untried = None, None
    try:
        mailboxes = _tried(account, tokens, progress)
    except AuthenticationFailed:
        raise
    except StoreUnavailable as error:
        untried = error
    to_the_end(lambda: _kept(file, tokens))
    return LoggedIn(
        account.name,
        str(stores.endpoint(settings)),
        settings.username,
        str(file.path),
        bool(tokens.refresh_token),
        mailboxes,
        str(untried) if untried else None,
        exit_codes.of_error(untried) if untried else exit_codes.DONE,
    )


def logout(request: LogoutRequest, environ: Mapping[str, str], home: Path) -> LoggedOut:
    """End the login of an account, at the provider where it has a way for that, and here in any
    case. Raises ConfigError, MailsyncError.
    """
    _, client, file = _client(request.account, environ, home)
    revoked: bool | None = None
    trouble: str | None = None

    def end(tokens: TokenSet) -> None:
        nonlocal revoked, trouble
        if client.revocation_url:
            try:
                revoked = _revoked(client, tokens)
            except (StoreUnavailable, ConfigError) as error:
                revoked, trouble = False, str(error)

    was_there = file.remove(end)
    return LoggedOut(request.account.name, was_there, revoked, trouble)


def _client(
    account: Login, environ: Mapping[str, str], home: Path
) -> tuple[Pop3Account | ImapAccount, RegisteredClient, TokenFile]:
    """Find the client of an account in which somebody logs in. Raises ConfigError where nobody
    need do so.
    """
    settings = account.settings
    wanted = None if isinstance(settings, LocalFiles) else settings.oauth2
    if wanted is None or isinstance(settings, LocalFiles):
        raise ConfigError(
            f"{account.name} has no `oauth2:` in the configuration, so there is nothing to log in"
            " to"
        )
    if not isinstance(wanted, Client) or wanted.grant != "login":
        what = "its `token`" if isinstance(wanted, PrintedToken) else "an administrator's key"
        raise ConfigError(
            f"{account.name} needs no login: it uses {what}; try it with `mailsync check"
            f" {account.name}`"
        )
    client = registered(account.name, wanted, settings, environ)
    place = token_file.directory(environ, home)
    return settings, client, client.file(place, settings.username)


def _consented(way: str, client: RegisteredClient, person: Person, username: str) -> TokenSet:
    if way == "device":
        return by_device(client, person, username)
    if way == "paste":
        return by_paste(client, person, username)
    return by_browser(client, person, username)


def _tried(account: Login, tokens: TokenSet, progress: Progress) -> int:
    """Log in at the mail server; returns how many mailboxes it shows."""
    with closing(stores.source(account, _Fresh(tokens.access_token), progress)) as source:
        return sum(mailbox.selectable for mailbox in source.mailboxes())


def _kept(file: TokenFile, tokens: TokenSet) -> None:
    with file.changing() as draft:
        draft.keep(tokens)


def _revoked(client: RegisteredClient, tokens: TokenSet) -> bool:
    """End a login at its provider (RFC 7009); returns whether it says that it has."""
    token = tokens.refresh_token or tokens.access_token
    hint = "refresh_token" if tokens.refresh_token else "access_token"
    form = {**client.authentication(), "token": token, "token_type_hint": hint}
    return client.ask(client.revocation_url, urlencode(form), token).status == 200
