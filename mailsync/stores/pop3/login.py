"""The POP3 login: APOP and USER/PASS (RFC 1939 section 7), SASL PLAIN (RFC 5034, RFC 4616), UTF8
(RFC 6856) ahead of it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mailsync.errors import AuthenticationFailed, ConnectionLost, StoreUnavailable
from mailsync.stores.credentials import Credentials
from mailsync.stores.refusals import Refusal, login_refused

if TYPE_CHECKING:
    from mailsync.stores.pop3.session import Pop3Session

_TIMESTAMP: Final = re.compile(rb"<[!-;=?-~]+@[!-;=?-~]*>")
_UNSENDABLE: Final = re.compile("[\r\n\0]")
_UNSUPPORTED: Final = re.compile(
    r"un-?supported|not (?:supported|implemented|available|recogni[sz]ed|permitted here)"
    r"|un(?:known|recogni[sz]ed) (?:command|auth|mechanism|sasl)"
    r"|(?:invalid|bad|no such) (?:command|mechanism)|syntax",
    re.IGNORECASE,
)
_INITIAL_RESPONSE: Final = 240
"""Octets of base64 that fit beside `AUTH PLAIN ` into a command line of 255 (RFC 5034 section 4).
"""


def log_in(session: Pop3Session, credentials: Credentials, greeting: bytes) -> None:
    """Log in by the best way the server offers. Raises AuthenticationFailed or another
    StoreUnavailable.
    """
    _Login(session, credentials).run(greeting)


class _Login:
    def __init__(self, session: Pop3Session, credentials: Credentials) -> None:
        self._session = session
        self._credentials = credentials
        self._secret = credentials.password()

    def run(self, greeting: bytes) -> None:
        session, credentials = self._session, self._credentials
        for text in (credentials.username, self._secret, credentials.authorization_id or ""):
            if _UNSENDABLE.search(text):
                raise AuthenticationFailed(
                    session.account,
                    "the user name or the password holds a line break or a NUL, which POP3 cannot"
                    " send",
                )
        prelude = [b"UTF8"] if "UTF8" in session.capabilities else []
        timestamp = _TIMESTAMP.search(greeting)
        if (
            timestamp
            and session.experience.apop
            and not session.connection.encrypted
            and not credentials.authorization_id
        ):
            if self._apop(timestamp[0], prelude):
                return
            prelude = []
        if session.experience.sasl and "PLAIN" in session.capabilities.get("SASL", "").split():
            if self._plain(prelude):
                return
            prelude = []
        if credentials.authorization_id:
            raise AuthenticationFailed(
                session.account,
                f"{session.endpoint} offers no SASL PLAIN, which `authorization_id` needs",
            )
        user, secret = _octets(credentials.username), _octets(self._secret)
        refusal = self._dialogue(prelude, [b"USER " + user, b"PASS " + secret])
        if refusal is not None:
            raise self._failed(refusal)

    def _plain(self, prelude: Sequence[bytes]) -> bool:
        """Log in by SASL PLAIN, the only way that carries an authorization id; False when the
        server announced it, but does not know it, and offers USER (RFC 2449 section 6.3).
        """
        session = self._session
        response = base64.b64encode(_octets(self._credentials.sasl_plain(self._secret)))
        refusal = self._dialogue(
            prelude,
            (
                [b"AUTH PLAIN " + response]
                if len(response) <= _INITIAL_RESPONSE
                else [b"AUTH PLAIN", response]
            ),
        )
        if refusal is None:
            return True
        # A password that was judged is not sent again: two failures a run lock people out.
        if (
            refusal.code
            or self._credentials.authorization_id
            or "USER" not in session.capabilities
            or not _UNSUPPORTED.search(refusal.words)
        ):
            raise self._failed(refusal)
        session.experience.sasl = False
        return False

    def _failed(self, said: Refusal) -> StoreUnavailable:
        session = self._session
        return login_refused(
            session.account,
            str(session.endpoint),
            self._credentials.username,
            said,
            self._credentials.hint(),
        )

    def _apop(self, timestamp: bytes, prelude: Sequence[bytes]) -> bool:
        """Log in without sending the password; False when the server will not."""
        session = self._session
        digest = hashlib.md5(timestamp + _octets(self._secret), usedforsecurity=False).hexdigest()
        session.redactor.learn(digest)
        for line in prelude:
            session.send(line)
            session.reply()
        user = _octets(self._credentials.username)
        session.send(b"APOP " + user + b" " + digest.encode("ascii"))
        try:
            ok, said = session.reply()
        except ConnectionLost:
            # Some servers show a timestamp, do not know APOP for this user, and hang up.
            session.experience.apop = False
            raise
        busy = None if ok else session.trouble(said, "logging in")
        if busy is not None:
            raise busy
        session.experience.apop = ok
        return ok

    def _dialogue(self, prelude: Sequence[bytes], commands: Sequence[bytes]) -> Refusal | None:
        """Say the login's lines, in one flight where the server pipelines; returns the refusal, if
        one came. What the prelude gets for an answer does not matter.
        """
        session = self._session
        together = session.pipelines and commands[0] != b"AUTH PLAIN"
        if together:
            session.send(*prelude, *commands)
        for line in prelude:
            if not together:
                session.send(line)
            session.reply()
        for line in commands:
            if not together:
                session.send(line)
            # The first refusal is the answer: many a server hangs up behind it.
            ok, said = session.reply_or_prompt()
            if not ok:
                return said
        return None


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
