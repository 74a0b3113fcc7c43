"""What an access token is logged in with, over every protocol alike: SASL OAUTHBEARER (RFC 7628)
and the older XOAUTH2, their messages and refusals. No I/O.

A token goes into these messages and nowhere else: never into LOGIN, PLAIN or PASS, which would show
it to a server that keeps passwords.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection
from typing import Final, Literal, TypeAlias

from mailsync.errors import AuthenticationFailed, StoreUnavailable
from mailsync.formats.redaction import Redactor
from mailsync.formats.terminal import plain
from mailsync.stores.credentials import Credentials, TokenRefused
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.refusals import Refusal, login_refused
from mailsync.stores.server_words import shown

Mechanism: TypeAlias = Literal["OAUTHBEARER", "XOAUTH2"]

FAREWELL: Final[dict[Mechanism, bytes]] = {"OAUTHBEARER": b"AQ==", "XOAUTH2": b""}
"""What is answered to the error a server tells before it refuses (RFC 7628 section 3.2.3). Never
`*`: some servers take that for a syntax error.
"""

_STATUS: Final = 60
"""Characters of a status that are shown."""


def mechanism(offered: Collection[str], account: str, server: str) -> Mechanism:
    """Choose between the SASL mechanisms a server offers; raises AuthenticationFailed when none of
    them takes tokens.
    """
    if "OAUTHBEARER" in offered:
        return "OAUTHBEARER"
    if "XOAUTH2" in offered:
        return "XOAUTH2"
    raise AuthenticationFailed(
        account,
        f"{server} takes no access tokens (it offers neither OAUTHBEARER nor XOAUTH2), and a token"
        " is never sent as a password: remove `oauth2:`, and use `password:`",
    )


def message(
    mechanism: Mechanism, credentials: Credentials, token: str, endpoint: Endpoint
) -> bytes:
    """Return the message that logs in, in base64; the credentials' redactor hides it from then
    on.
    """
    user = credentials.username
    if mechanism == "XOAUTH2":
        text = f"user={user}\1auth=Bearer {token}\1\1"
    else:
        name = user.replace("=", "=3D").replace(",", "=2C")
        text = f"n,a={name},\1host={endpoint.host}\1port={endpoint.port}\1auth=Bearer {token}\1\1"
    credentials.redactor.learn(token, text)
    return base64.b64encode(text.encode("utf-8", "surrogateescape"))


def token_refused(
    account: str, server: str, credentials: Credentials, said: Refusal, error: bytes
) -> StoreUnavailable:
    """Make the error of a refused login; `error` is what the server told before it refused, in
    base64.

    A TokenRefused where another token may help; another error from a server that is busy, or that
    has no such mailbox for whom the token names.
    """
    if opens_nothing(said):
        return other_mailbox(account, server, credentials)
    found = login_refused(account, server, credentials.username, said)
    if not isinstance(found, AuthenticationFailed):
        return found
    status = _status(error, credentials.redactor)
    return TokenRefused(
        account,
        f"{server} refused the access token of {plain(credentials.username)!r}: {said}"
        f"{f' ({status})' if status else ''}; {_remedy(credentials)}",
    )


def opens_nothing(said: Refusal) -> bool:
    """Return whether a server let a token in, and has no mailbox for whom it names."""
    return "authenticated but not connected" in said.words.lower()


def other_mailbox(account: str, server: str, credentials: Credentials) -> AuthenticationFailed:
    """Make the error of a token that names somebody else than the owner of the mailbox."""
    return AuthenticationFailed(
        account,
        f"{server} knows the token, but opens no mailbox of {plain(credentials.username)!r} with"
        " it: it is somebody else's, who may not read this mailbox, or the mailbox is not there;"
        f" log in as its owner ({_remedy(credentials)})",
    )


def _remedy(credentials: Credentials) -> str:
    return credentials.tokens.remedy if credentials.tokens else "get another token"


def _status(error: bytes, redactor: Redactor) -> str:
    """Read `status` in the JSON that a server tells before it refuses; empty where it is none."""
    try:
        told = json.loads(base64.b64decode(error, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    status = told.get("status") if isinstance(told, dict) else None
    return shown(str(status).encode("utf-8", "replace"), redactor)[:_STATUS] if status else ""
