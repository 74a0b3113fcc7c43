"""What an authorization server answers: tokens, or why there are none, in words for whoever owns
the mailbox (RFC 6749 section 5).
"""

from __future__ import annotations

import json
import re
from typing import Final

from mailsync.config.oauth.endpoint import Answer, host_of
from mailsync.config.oauth.token_file import TokenSet
from mailsync.errors import AuthenticationFailed, ProtocolViolation, ServerBusy, StoreUnavailable
from mailsync.formats.redaction import Redactor
from mailsync.formats.terminal import plain

LONGEST: Final = 32 * 1024
"""Characters of a token; real ones reach a few thousand."""

_SHOWN: Final = 300
_TOKEN: Final = re.compile(rf"[!-~]{{1,{LONGEST}}}")
_BUSY: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_LONGEST_LIFE: Final = 10 * 366 * 86400

_HINTS: Final = (
    (
        "AADSTS7000218",
        "allow public client flows in the client's registration, or set `client_secret`",
    ),
    ("AADSTS7000215", "`client_secret` is wrong: it is the secret's value, not its id"),
    ("AADSTS7000222", "the client's secret has run out: make a new one"),
    ("AADSTS700016", "the organisation does not know this client: check `client_id` and `tenant`"),
    ("AADSTS90002", "there is no such organisation: check `tenant`"),
    ("AADSTS65001", "nobody has allowed the client to read mail: an administrator must consent"),
    ("AADSTS90094", "an administrator of the organisation must consent first"),
    ("AADSTS53003", "the organisation forbids this way of logging in: try it without --device"),
    ("AADSTS50011", "register http://localhost as a redirect address of the client"),
    (
        "unauthorized_client",
        "the client may not do this: see its registration, or the domain-wide delegation",
    ),
    ("invalid_client", "check `client_id` and `client_secret`"),
    ("invalid_scope", "check `scopes`, and what the client is allowed to ask for"),
)


class NoTokens(Exception):
    """The server gives none: `error` is RFC 6749's word for why, `said` what people are shown."""

    def __init__(self, error: str, said: str) -> None:
        self.error = error
        self.said = said
        super().__init__(error)


def tokens_of(
    account: str,
    url: str,
    answer: Answer,
    redactor: Redactor,
    *,
    now: int,
    refresh_token: str = "",
) -> TokenSet:
    """Read the tokens of an answer; `refresh_token` stays in force where no newer one is given.

    Raises NoTokens, and ProtocolViolation for what is neither.
    """
    from oauthlib.oauth2 import OAuth2Error  # noqa: PLC0415  not needed where nothing is asked
    from oauthlib.oauth2.rfc6749.parameters import parse_token_response  # noqa: PLC0415

    # The library reads times less leniently than servers write them.
    told = {key: value for key, value in answer.told.items() if not key.startswith("expires_")}
    try:
        told = dict(parse_token_response(json.dumps(told)))
    except OAuth2Error:
        name = shown(told.pop("error", "") or "", redactor)
        if name:
            raise NoTokens(name, _words(name, told, redactor)) from None
        told = {}
    except (TypeError, ValueError, AttributeError):
        told = {}
    access, refresh = told.get("access_token"), told.get("refresh_token") or refresh_token
    kind = str(told.get("token_type") or "bearer")
    if not (_is_token(access) and (refresh == "" or _is_token(refresh))) or (
        kind.lower() != "bearer"
    ):
        raise ProtocolViolation(
            account, f"{host_of(url)} answered with something else than a token"
        )
    return TokenSet(str(access), str(refresh), now, _ends(answer.told.get("expires_in"), now))


def refusal(account: str, url: str, given: NoTokens, remedy: str) -> StoreUnavailable:
    """Make the error of an answer without tokens."""
    host = host_of(url)
    if given.error in _BUSY:
        return ServerBusy(account, f"{host} gives out no tokens now: {given.said}")
    hint = hint_of(given.said)
    if given.error == "invalid_grant" and not hint:
        return AuthenticationFailed(
            account, f"the login of {account} has ended ({host} says: {given.said}); {remedy}"
        )
    return AuthenticationFailed(
        account, f"{host} gives no token to {account}: {given.said}; {hint or remedy}"
    )


def hint_of(said: str) -> str:
    """Return what is known to help against words of a provider."""
    return next((hint for words, hint in _HINTS if words in said), "")


def shown(words: object, redactor: Redactor) -> str:
    """Return an authorization server's words without secrets, and fit for a line."""
    text = redactor.hidden(plain(" ".join(str(words).split()), "?"))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _words(name: str, told: dict[str, object], redactor: Redactor) -> str:
    description = shown(told.get("error_description") or "", redactor)
    return f"{name}: {description}" if description else name or "no reason given"


def _is_token(given: object) -> bool:
    return isinstance(given, str) and _TOKEN.fullmatch(given) is not None


def _ends(lifetime: object, now: int) -> int | None:
    try:
        seconds = int(str(lifetime))
    except ValueError:
        return None
    return now + min(max(seconds, 0), _LONGEST_LIFE)
