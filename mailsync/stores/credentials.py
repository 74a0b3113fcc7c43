"""Who logs in, and where the secret comes from; the one value every store takes that must never be
printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

from mailsync.errors import AuthenticationFailed
from mailsync.formats.redaction import Redactor

Opened = TypeVar("Opened")


class Tokens(Protocol):
    """Brings access tokens (RFC 6749 section 1.4), which stand where a password would.

    Safe to be used by several threads, and beside other processes.
    """

    @property
    def remedy(self) -> str:
        """What to do where a server takes no token of these: `run: mailsync login work`."""

    def token(self, refused: str = "") -> str:
        """Return a token that is good for a while, a newer one than `refused` where there can be
        one; what is returned may be `refused` again. Raises StoreUnavailable, ConfigError.
        """


Secret: TypeAlias = str | Tokens
"""A password, or what brings access tokens."""


class TokenRefused(AuthenticationFailed):
    """A server refused an access token; another one may be let in."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a way to its password, or to its access tokens.

    `secret` is called at each login, so that a password command or a keyring is asked only when it
    is needed; what it returns never stands in a `repr`. With `tokens` it is not called at all.
    `hint` tells what is known of passwords at this server, once one was refused.
    `authorization_id` is SASL's authzid (RFC 4616): whose mail an administrator opens. `redactor`
    takes out of the server's words what was ever said to it in secret, in this session and in
    later ones.
    """

    username: str
    secret: Callable[[], str] = field(repr=False, compare=False)
    authorization_id: str | None = None
    tokens: Tokens | None = field(default=None, repr=False, compare=False)
    hint: Callable[[], str] = field(default=str, repr=False, compare=False)
    redactor: Redactor = field(default_factory=Redactor, init=False, repr=False, compare=False)

    def password(self) -> str:
        """Bring the password, which `redactor` hides from then on, whatever it is sent with."""
        secret = self.secret()
        self.redactor.learn(secret, self.sasl_plain(secret), f"{self.username}\0{secret}")
        return secret

    def logged_in(self, log_in: Callable[[str | None], Opened]) -> Opened:
        """Return what `log_in` does with an access token, or with None where a password is used.

        A token that is refused is replaced by a newer one, and the login tried once more, over a
        new connection: many servers hang up behind a refusal.
        """
        if self.tokens is None:
            return log_in(None)
        token = self.tokens.token()
        try:
            return log_in(token)
        except TokenRefused:
            newer = self.tokens.token(refused=token)
            if newer == token:
                raise
            return log_in(newer)

    def sasl_plain(self, secret: str) -> str:
        """Return the message of SASL PLAIN (RFC 4616)."""
        return f"{self.authorization_id or ''}\0{self.username}\0{secret}"

    @classmethod
    def fixed(
        cls, username: str, password: str, authorization_id: str | None = None
    ) -> Credentials:
        """Make credentials of a password that is known already."""
        return cls(username, lambda: password, authorization_id)

    @classmethod
    def with_tokens(cls, username: str, tokens: Tokens) -> Credentials:
        """Make credentials that log in with access tokens, and never with a password."""
        return cls(username, str, tokens=tokens)
