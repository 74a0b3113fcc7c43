"""Logging in on another device (RFC 8628): a short code, typed at the provider's page there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from mailsync.app.oauth.person import Person
from mailsync.config.oauth.answers import NoTokens, refusal, shown, tokens_of
from mailsync.config.oauth.client import RegisteredClient
from mailsync.config.oauth.endpoint import host_of
from mailsync.config.oauth.token_file import TokenSet
from mailsync.errors import AuthenticationFailed, ConfigError, ProtocolViolation, StoreUnavailable

_LONGEST: Final = 3600
_INTERVAL: Final = 5
_SLOWER: Final = 5
"""Seconds: the longest a code is waited for; between two questions; how much longer when the
provider asks to slow down.
"""


@dataclass(frozen=True, slots=True)
class _Code:
    device_code: str = field(repr=False)
    user_code: str
    url: str
    seconds: int
    interval: int


def by_device(
    client: RegisteredClient,
    person: Person,
    username: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> TokenSet:
    """Log in on another device. Raises ConfigError where the provider does not offer that,
    AuthenticationFailed, or another StoreUnavailable.
    """
    from oauthlib.oauth2 import DeviceClient  # noqa: PLC0415  a login alone needs it

    if not client.device_url:
        raise ConfigError(
            f"the provider of {client.account} lets nobody log in on another device for mail; use"
            " --paste"
        )
    code = _asked(client)
    person.enter(username, code.url, code.user_code, code.seconds)
    who = client.authentication()
    body = DeviceClient(client.client_id).prepare_request_body(
        code.device_code, body=urlencode(who), scope=list(client.scopes)
    )
    deadline, interval = clock() + code.seconds, code.interval
    while clock() < deadline:
        sleep(interval)
        try:
            return client.granted(body, "", code.device_code)
        except NoTokens as given:
            if given.error == "slow_down":
                interval += _SLOWER
            elif given.error != "authorization_pending":
                raise refusal(client.account, client.token_url, given, _again(client)) from None
        except StoreUnavailable as error:
            if not error.retryable:
                raise
    raise AuthenticationFailed(
        client.account, f"nobody typed the code before it ended; {_again(client)}"
    )


def _again(client: RegisteredClient) -> str:
    return f"run `mailsync login {client.account} --device` again"


def _asked(client: RegisteredClient) -> _Code:
    """Ask for a code. Raises AuthenticationFailed or another StoreUnavailable."""
    url = client.device_url
    form = {**client.authentication(), "scope": " ".join(client.scopes)}
    answer = client.ask(url, urlencode(form))
    told = answer.told
    if "error" in told:
        try:
            tokens_of(client.account, url, answer, client.redactor, now=0)
        except NoTokens as given:
            raise refusal(client.account, url, given, "use --paste") from None
    device, user = told.get("device_code"), told.get("user_code")
    page = told.get("verification_uri") or told.get("verification_url")
    if not (isinstance(device, str) and isinstance(user, str) and isinstance(page, str)):
        raise ProtocolViolation(
            client.account, f"{host_of(url)} answered with something else than a code"
        )
    client.redactor.learn(device)
    return _Code(
        device,
        shown(user, client.redactor),
        shown(page, client.redactor),
        _seconds(told.get("expires_in"), _LONGEST),
        _seconds(told.get("interval"), _INTERVAL),
    )


def _seconds(told: object, usual: int) -> int:
    """Read a number of seconds, `usual` where none is told; never none, nor more than an hour."""
    try:
        return min(max(int(str(told)), 1), _LONGEST)
    except ValueError:
        return usual
