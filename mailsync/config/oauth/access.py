"""Access tokens of an account, brought at each login: the `Tokens` of `stores.credentials`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.oauth import token_file
from mailsync.config.oauth.answers import NoTokens, refusal
from mailsync.config.oauth.client import RegisteredClient, registered
from mailsync.config.oauth.service_account import delegation
from mailsync.config.oauth.settings import PrintedToken, ServiceAccount
from mailsync.config.oauth.token_file import TokenFile, TokenSet
from mailsync.config.secrets import reveal
from mailsync.errors import AuthenticationFailed, StoreUnavailable
from mailsync.stores.credentials import Tokens

Result = TypeVar("Result")


class LoginTokens:
    """The tokens of a login that `mailsync login` made, refreshed as they end."""

    def __init__(
        self, client: RegisteredClient, file: TokenFile, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._file = file
        self._clock = clock

    @property
    def remedy(self) -> str:
        """What to do where none of these is let in."""
        return self._client.remedy

    def token(self, refused: str = "") -> str:
        """Return a token that is good for a while, refreshed where it must be; see `Tokens`."""
        kept = self._demand()
        if kept.access_token != refused and kept.is_good(self._clock()):
            return kept.access_token
        return to_the_end(lambda: self._renewed(refused))

    def _renewed(self, refused: str) -> str:
        with self._file.changing() as draft:
            kept = self._demand()  # another run may have been faster
            if kept.access_token != refused and kept.is_good(self._clock()):
                return kept.access_token
            if not kept.refresh_token:
                if kept.access_token != refused and kept.is_alive(self._clock()):
                    return kept.access_token
                raise self._over("the provider gave no refresh token")
            try:
                tokens = self._client.refreshed(kept)
            except NoTokens as given:
                client = self._client
                raise refusal(client.account, client.token_url, given, client.remedy) from None
            except StoreUnavailable:
                # The provider cannot be asked now; what is left of the old token may do.
                if kept.access_token != refused and kept.is_alive(self._clock()):
                    return kept.access_token
                raise
            draft.keep(tokens)
            return tokens.access_token

    def _demand(self) -> TokenSet:
        kept = self._file.read()
        if kept is None:
            raise self._over("nobody is logged in")
        return kept

    def _over(self, why: str) -> AuthenticationFailed:
        account = self._client.account
        return AuthenticationFailed(
            account, f"there is no login of {account} ({why}); {self._client.remedy}"
        )


class AskedTokens:
    """Tokens that are asked for whenever one is wanted, and kept in memory until they end."""

    def __init__(self, client: RegisteredClient, ask: Callable[[], TokenSet], remedy: str) -> None:
        self.remedy = remedy
        self._client = client
        self._ask = ask
        self._kept: TokenSet | None = None
        self._turn = threading.Lock()

    def token(self, refused: str = "") -> str:
        """Return a token that is good for a while; see `Tokens`."""
        with self._turn:
            kept = self._kept
            if kept is None or kept.access_token == refused or not kept.is_good(time.time()):
                try:
                    kept = self._kept = self._ask()
                except NoTokens as given:
                    client = self._client
                    raise refusal(client.account, client.token_url, given, self.remedy) from None
            return kept.access_token


class PrintedTokens:
    """Tokens that come from where a password would come from: a program that prints them."""

    def __init__(self, account: str, bring: Callable[[], str]) -> None:
        self.remedy = f"see what the `token` of {account} comes from"
        self._bring = bring

    def token(self, refused: str = "") -> str:  # noqa: ARG002  whoever prints them knows which are good
        """Return what is printed now; see `Tokens`."""
        return self._bring()


def tokens(
    account: str, settings: Pop3Account | ImapAccount, environ: Mapping[str, str], home: Path
) -> Tokens:
    """Return what brings the access tokens of an account with `oauth2:`. Raises ConfigError."""
    wanted = settings.oauth2
    assert wanted is not None  # noqa: S101  who asks has looked
    if isinstance(wanted, PrintedToken):
        whose = f"the token of {account}"
        return PrintedTokens(
            account, lambda: reveal(wanted.token, whose, environ, settings.username)
        )
    if isinstance(wanted, ServiceAccount):
        stands_for = delegation(account, wanted, settings, environ)
        return AskedTokens(
            stands_for.client,
            stands_for.token,
            "an administrator must delegate the domain to the service account, with its scopes",
        )
    client = registered(account, wanted, settings, environ)
    if wanted.grant == "client-credentials":
        return AskedTokens(
            client,
            client.applied,
            "an administrator must let the application read this mailbox",
        )
    place = token_file.directory(environ, home)
    return LoginTokens(client, client.file(place, settings.username))


def to_the_end(work: Callable[[], Result]) -> Result:
    """Do `work`, to its end even where Ctrl-C or SIGTERM comes meanwhile: the tokens that a server
    has just given are on the disk before the interruption goes on.
    """
    with ThreadPoolExecutor(1) as worker:
        return worker.submit(work).result()
