"""Who logs in, and where the secret comes from; the one value every store takes that must never be
printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a way to its password.

    `secret` is called at each login, so that a password command or a keyring is asked only when it
    is needed; what it returns is not kept and never stands in a `repr`. `authorization_id` is
    SASL's authzid (RFC 4616): whose mail an administrator opens.
    """

    username: str
    secret: Callable[[], str] = field(repr=False, compare=False)
    authorization_id: str | None = None

    @classmethod
    def fixed(
        cls, username: str, password: str, authorization_id: str | None = None
    ) -> Credentials:
        """Make credentials of a password that is known already."""
        return cls(username, lambda: password, authorization_id)
