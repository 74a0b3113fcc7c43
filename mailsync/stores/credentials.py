"""Who logs in, and where the secret comes from; the one value every store takes that must never be
printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mailsync.formats.redaction import Redactor


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a way to its password.

    `secret` is called at each login, so that a password command or a keyring is asked only when it
    is needed; what it returns never stands in a `repr`. `authorization_id` is SASL's authzid (RFC
    4616): whose mail an administrator opens. `redactor` takes out of the server's words what was
    ever said to it in secret, in this session and in later ones.
    """

    username: str
    secret: Callable[[], str] = field(repr=False, compare=False)
    authorization_id: str | None = None
    redactor: Redactor = field(default_factory=Redactor, init=False, repr=False, compare=False)

    def password(self) -> str:
        """Bring the password, which `redactor` hides from then on, whatever it is sent with."""
        secret = self.secret()
        self.redactor.learn(
            secret,
            self.sasl_plain(secret),
            f"{self.username}\0{secret}",
            f"user={self.username}\1auth=Bearer {secret}\1\1",
        )
        return secret

    def sasl_plain(self, secret: str) -> str:
        """Return the message of SASL PLAIN (RFC 4616)."""
        return f"{self.authorization_id or ''}\0{self.username}\0{secret}"

    @classmethod
    def fixed(
        cls, username: str, password: str, authorization_id: str | None = None
    ) -> Credentials:
        """Make credentials of a password that is known already."""
        return cls(username, lambda: password, authorization_id)
