"""One request for a person's consent (RFC 6749 section 4.1, PKCE by RFC 7636): the address to
visit, and tokens for the code that comes back.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from mailsync.config.oauth.answers import NoTokens, hint_of, refusal, shown
from mailsync.config.oauth.client import RegisteredClient
from mailsync.config.oauth.endpoint import host_of
from mailsync.config.oauth.token_file import TokenSet
from mailsync.errors import AuthenticationFailed, ConfigError


class Authorization:
    """A login on its way; `redirect_url` is where the browser will bring the answer.

    Raises ConfigError where the provider has no page for it.
    """

    def __init__(self, client: RegisteredClient, redirect_url: str, username: str) -> None:
        from oauthlib.oauth2 import WebApplicationClient  # noqa: PLC0415  a login alone needs it

        if not client.authorization_url:
            raise ConfigError(
                f"{client.account} has no `authorization_url`: log in with --device, or set it"
            )
        self._client = client
        self._redirect_url = redirect_url
        self._grant = WebApplicationClient(client.client_id)
        self._verifier = self._grant.create_code_verifier(64)
        self._state = secrets.token_urlsafe(32)
        self.url: str = self._grant.prepare_request_uri(
            client.authorization_url,
            redirect_uri=redirect_url,
            scope=list(client.scopes),
            state=self._state,
            code_challenge=self._grant.create_code_challenge(self._verifier, "S256"),
            code_challenge_method="S256",
            login_hint=username,
            **client.asked_beside,
        )

    def is_answer(self, query: Mapping[str, str]) -> bool:
        """Return whether the parameters of an address answer this request, and no other."""
        told = query.get("state", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(told, self._state.encode()) and bool(
            query.get("code") or query.get("error")
        )

    def tokens(self, query: Mapping[str, str]) -> TokenSet:
        """Exchange the code of an answer for tokens. Raises AuthenticationFailed or another
        StoreUnavailable.
        """
        client = self._client
        again = f"run `mailsync login {client.account}` again"
        if not query.get("code"):
            raise AuthenticationFailed(client.account, self._refused(query))
        body = self._grant.prepare_request_body(
            code=query["code"],
            redirect_uri=self._redirect_url,
            code_verifier=self._verifier,
            body=urlencode(client.authentication()),
            include_client_id=False,
        )
        try:
            return client.granted(body, "", query["code"], self._verifier)
        except NoTokens as given:
            raise refusal(client.account, client.token_url, given, again) from None

    def _refused(self, query: Mapping[str, str]) -> str:
        redactor = self._client.redactor
        words = [shown(query.get(key, ""), redactor) for key in ("error", "error_description")]
        said = ": ".join(filter(None, words))
        hint = hint_of(said)
        host = host_of(self._client.authorization_url)
        return f"{host} did not log in {self._client.account} ({said}){f'; {hint}' if hint else ''}"
