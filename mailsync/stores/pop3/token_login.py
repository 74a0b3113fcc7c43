"""The POP3 login with an access token: AUTH OAUTHBEARER or AUTH XOAUTH2 (RFC 5034), always in two
lines: Microsoft answers one line with a protocol error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailsync.stores import access_token
from mailsync.stores.credentials import Credentials

if TYPE_CHECKING:
    from mailsync.stores.pop3.session import Pop3Session


def log_in_by_token(session: Pop3Session, credentials: Credentials, token: str) -> None:
    """Log in with `token`, never with a password. Raises TokenRefused or another
    StoreUnavailable.
    """
    server = str(session.endpoint)
    offered = session.capabilities.get("SASL", "").upper().split()
    mechanism = access_token.mechanism(offered, session.account, server)
    message = access_token.message(mechanism, credentials, token, session.endpoint)
    if "UTF8" in session.capabilities:
        session.send(b"UTF8")
        session.reply()
    session.send(b"AUTH " + mechanism.encode())
    prompt, ok, said = session.prompt_or_reply()
    if prompt is not None:
        session.send(message)
        prompt, ok, said = session.prompt_or_reply()
    error = prompt or b""
    if prompt is not None:
        session.send(access_token.FAREWELL[mechanism])
        ok, said = session.reply()
    if not ok:
        raise access_token.token_refused(session.account, server, credentials, said, error)
