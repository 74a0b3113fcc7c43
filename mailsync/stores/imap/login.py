"""The IMAP login: AUTHENTICATE PLAIN or LOGIN with a password (RFC 9051 section 6.2, RFC 4616),
OAUTHBEARER or XOAUTH2 with an access token, in one round trip where SASL-IR is offered.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from mailsync.errors import AuthenticationFailed
from mailsync.formats.terminal import plain as harmless
from mailsync.stores import access_token
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap.command_queue import Command, Reply, quote
from mailsync.stores.imap.response import Result
from mailsync.stores.refusals import NONE, login_refused, trouble

if TYPE_CHECKING:
    from mailsync.stores.imap.session import Session


def log_in(session: Session, credentials: Credentials, token: str | None) -> Command:
    """Log in by the best way the server offers, with `token` where there is one, else with the
    password; returns the command that was completed with OK.

    Raises AuthenticationFailed or another StoreUnavailable.
    """
    if token is not None:
        return _by_token(session, credentials, token)
    return _by_password(session, credentials)


def _by_password(session: Session, credentials: Credentials) -> Command:
    plain = session.has(b"AUTH=PLAIN")
    _demand_possible(session, credentials, plain=plain)
    user, secret = credentials.username, credentials.password()
    if "\0" in user + secret:
        raise AuthenticationFailed(session.account, "user name and password cannot hold NUL")
    command = (
        _authenticate(session, credentials, secret)
        if plain
        else _login_command(session, user, secret)
    )
    result = session.queue.wait(command)
    if (
        plain
        and (result.status == b"BAD" or _refused_early(session.account, command, result))
        and not credentials.authorization_id
        and not session.has(b"LOGINDISABLED")
    ):
        # Announced, yet unknown to it, or refused before it had the password: not a wrong one, so
        # asking in the older way locks nobody out.
        command = _login_command(session, user, secret)
        result = session.queue.wait(command)
    if not result.ok:
        raise login_refused(
            session.account,
            str(session.endpoint),
            harmless(user),
            result.said,
            credentials.hint(),
        )
    return command


def _demand_possible(session: Session, credentials: Credentials, *, plain: bool) -> None:
    """Raise AuthenticationFailed where no password of these credentials would be taken."""
    if session.has(b"LOGINDISABLED") and not plain:
        encrypted = session.queue.connection.encrypted
        hint = "" if encrypted else "; use `security: tls` or `starttls`"
        raise AuthenticationFailed(
            session.account, f"{session.endpoint} takes no password here (LOGINDISABLED){hint}"
        )
    if credentials.authorization_id and not plain:
        raise AuthenticationFailed(
            session.account, f"{session.endpoint} cannot open another user's mail (no AUTH=PLAIN)"
        )


def _authenticate(session: Session, credentials: Credentials, secret: str) -> Command:
    coded = base64.b64encode(credentials.sasl_plain(secret).encode("utf-8", "surrogateescape"))
    if session.has(b"SASL-IR"):
        return session.queue.send(b"AUTHENTICATE PLAIN " + coded)
    return session.queue.send(b"AUTHENTICATE PLAIN", Reply(coded))


def _login_command(session: Session, user: str, secret: str) -> Command:
    names = [text.encode("utf-8", "surrogateescape") for text in (user, secret)]
    first, second = (quote(name, instant=session.instant(len(name))) for name in names)
    return session.queue.send(b"LOGIN ", first, b" ", second)


def _refused_early(account: str, command: Command, result: Result) -> bool:
    """Whether a login was refused before the password was sent, by a server that is not busy."""
    if result.status != b"NO" or command.whole:
        return False
    return trouble(account, result.refusal, "logging in", whole_account=True) is None


def _by_token(session: Session, credentials: Credentials, token: str) -> Command:
    server = str(session.endpoint)
    offered = [
        word.decode("ascii", "replace").removeprefix("AUTH=") for word in session.capabilities
    ]
    mechanism = access_token.mechanism(offered, session.account, server)
    message = access_token.message(mechanism, credentials, token, session.endpoint)
    name = b"AUTHENTICATE " + mechanism.encode()
    # The last reply goes only to a server that tells what is wrong before it refuses.
    farewell = Reply(access_token.FAREWELL[mechanism])
    command = (
        session.queue.send(name + b" " + message, farewell)
        if session.has(b"SASL-IR")
        else session.queue.send(name, Reply(message), farewell)
    )
    result = session.queue.wait(command)
    if not result.ok:
        said = result.refusal or NONE
        raise access_token.token_refused(session.account, server, credentials, said, command.prompt)
    return command
