"""A client as its provider knows it: addresses, scopes and secret from the configuration and the
presets, and what it asks of the token endpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.oauth.answers import tokens_of
from mailsync.config.oauth.endpoint import Answer, post
from mailsync.config.oauth.presets import PRESETS, Preset
from mailsync.config.oauth.settings import Client
from mailsync.config.oauth.token_file import TokenFile, TokenSet
from mailsync.config.proxy import proxy_for
from mailsync.config.secrets import reveal
from mailsync.formats.redaction import Redactor
from mailsync.stores.proxies import Proxy

_NO_PRESET = Preset("", "", {})


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """The client of one account. Addresses are empty where there is none.

    `redactor` hides what was ever sent to the provider in secret; `secret` brings the client's own,
    which may be empty.
    """

    account: str
    client_id: str
    secret: Callable[[], str] = field(repr=False)
    token_url: str
    scopes: tuple[str, ...]
    authorization_url: str = ""
    device_url: str = ""
    revocation_url: str = ""
    redirect_url: str = ""
    redirect_host: str = "127.0.0.1"
    asked_beside: Mapping[str, str] = field(default_factory=dict)
    ended: str = ""
    proxy: Proxy | None = None
    redactor: Redactor = field(default_factory=Redactor, repr=False)

    @property
    def remedy(self) -> str:
        """What to do where a login through this client is not taken any more."""
        note = f" ({self.ended})" if self.ended else ""
        return f"run `mailsync login {self.account}`{note}"

    def refreshed(self, tokens: TokenSet) -> TokenSet:
        """Ask for a newer access token (RFC 6749 section 6). Raises NoTokens, StoreUnavailable."""
        from oauthlib.oauth2 import WebApplicationClient  # noqa: PLC0415  not needed where a token is good

        grant = WebApplicationClient(self.client_id)
        body = grant.prepare_refresh_body(
            refresh_token=tokens.refresh_token, **self.authentication()
        )
        return self.granted(body, tokens.refresh_token)

    def applied(self) -> TokenSet:
        """Ask for a token of the client's own (RFC 6749 section 4.4). Raises NoTokens,
        StoreUnavailable.
        """
        from oauthlib.oauth2 import BackendApplicationClient  # noqa: PLC0415

        grant = BackendApplicationClient(self.client_id)
        who = self.authentication()
        body = grant.prepare_request_body(scope=list(self.scopes), body=urlencode(who))
        return self.granted(body)

    def granted(self, body: str, refresh_token: str = "", *secrets: str) -> TokenSet:
        """Return the tokens that the token endpoint gives for a form; its words tell none of
        `secrets`.

        Raises NoTokens, StoreUnavailable.
        """
        url = self.token_url
        answer = self.ask(url, body, refresh_token, *secrets)
        return tokens_of(
            self.account,
            url,
            answer,
            self.redactor,
            now=int(time.time()),
            refresh_token=refresh_token,
        )

    def ask(self, url: str, body: str, *secrets: str) -> Answer:
        """Post a form; the provider's words tell none of `secrets`."""
        for secret in secrets:
            self.redactor.learn(secret)
        return post(self.account, url, body, self.proxy)

    def authentication(self) -> dict[str, str]:
        """Return what tells who asks: parameters of every form."""
        secret = self.secret()
        self.redactor.learn(secret)
        found = {"client_id": self.client_id}
        return {**found, "client_secret": secret} if secret else found

    def file(self, place: Path, username: str) -> TokenFile:
        """Return where a login of `username` through this client is kept."""
        scope = " ".join(sorted(self.scopes))
        return TokenFile(
            place,
            self.account,
            username=username,
            token_url=self.token_url,
            client_id=self.client_id,
            scope=scope,
        )


_WEB_PROXIES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def web_proxy(
    settings: Pop3Account | ImapAccount, url: str, environ: Mapping[str, str]
) -> Proxy | None:
    """Return the proxy through which an account's tokens are asked for: its own, or the one for web
    pages that the environment names. Raises ConfigError.
    """
    if settings.proxy == "none":
        return None
    return settings.proxy or proxy_for(urlsplit(url).hostname or "", environ, _WEB_PROXIES)


def registered(
    account: str,
    settings: Client,
    login: Pop3Account | ImapAccount,
    environ: Mapping[str, str],
) -> RegisteredClient:
    """Return the client that is configured for an account."""
    preset = PRESETS.get(settings.provider or "", _NO_PRESET)
    tenant = settings.tenant or "common"

    def place(given: str | None, known: str) -> str:
        return given or known.replace("{tenant}", tenant)

    def secret() -> str:
        if settings.client_secret is None:
            return ""
        whose = f"the OAuth2 client of {account}"
        return reveal(settings.client_secret, whose, environ, settings.client_id)

    token_url = place(settings.token_url, preset.token_url)
    alone = settings.grant == "client-credentials"
    scopes = preset.application_scopes if alone else preset.scopes
    return RegisteredClient(
        account,
        settings.client_id,
        secret,
        token_url,
        settings.scopes or scopes.get(login.protocol, ()),
        place(settings.authorization_url, preset.authorization_url),
        place(settings.device_url, preset.device_url),
        place(settings.revocation_url, preset.revocation_url),
        settings.redirect_url or "",
        preset.redirect_host,
        preset.asked_beside,
        preset.ended,
        web_proxy(login, token_url, environ),
    )
