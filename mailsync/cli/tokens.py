"""Access tokens for whatever the command line drives, of accounts that are configured with
`oauth2:`.
"""

from __future__ import annotations

from pathlib import Path

from mailsync.cli.session import Session
from mailsync.config.account import ImapAccount, Pop3Account


class RememberedTokens:
    """The access tokens of an account, of which the session knows, as it does of passwords."""

    def __init__(self, session: Session, account: str, settings: Pop3Account | ImapAccount) -> None:
        from mailsync.config.oauth.access import tokens  # noqa: PLC0415  most accounts have passwords

        self._session = session
        self._tokens = tokens(account, settings, session.environ, Path.home())
        self.remedy = self._tokens.remedy

    def token(self, refused: str = "") -> str:
        """Return a token that is good for a while."""
        token = self._tokens.token(refused)
        self._session.passwords.add(token)
        return token
