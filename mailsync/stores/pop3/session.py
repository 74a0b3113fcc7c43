"""One logged-in POP3 connection: greeting, encryption, login, and answers read exactly.

Knows nothing of messages, asks for none.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailsync.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ProtocolViolation,
    ServerBusy,
    StoreUnavailable,
    TlsError,
)
from mailsync.stores.credentials import Credentials
from mailsync.stores.transport import Connection, Endpoint, connect

_TIMESTAMP: Final = re.compile(rb"<[!-;=?-~]+@[!-;=?-~]*>")
_CODE: Final = re.compile(r"\[([A-Za-z/-]+)\]")
_LOCKED: Final = re.compile(
    r"(maildrop|mailbox|mail drop)\b.*\b(locked|lock|in use|busy)\b", re.IGNORECASE
)
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_UNSENDABLE: Final = re.compile("[\r\n\0]")
_BUSY: Final = frozenset({"IN-USE", "LOGIN-DELAY", "SYS/TEMP"})
_INITIAL_RESPONSE: Final = 240
"""Octets of base64 that fit beside `AUTH PLAIN ` into a command line of 255 (RFC 5034 section 4).
"""


_FAR: Final = 512
_STUMBLES: Final = 2
"""So many connections that broke before they brought so many answers, while several were owed: the
server cannot pipeline.
"""


@dataclass(slots=True)
class Manner:
    """What was learnt about a server and outlives its connections: whether it takes several
    commands at once, and APOP.
    """

    one_at_a_time: bool = False
    apop: bool = True
    stumbles: int = 0


class Pop3Session:
    """One logged-in connection; `owed` counts the answers that are asked for and not yet read,
    `brought` those that were read.
    """

    def __init__(
        self, account: str, endpoint: Endpoint, credentials: Credentials, manner: Manner
    ) -> None:
        self.account = account
        self.endpoint = endpoint
        self.manner = manner
        self.owed = 0
        self.brought = 0
        self.capabilities: dict[str, str] = {}
        self._hidden: tuple[str, ...] = ()
        self.wire: Connection = connect(endpoint, account)
        try:
            greeting = self._greeting()
            if endpoint.security == "starttls":
                self._stls()
            self.capabilities = self._capa()
            self._login(credentials, greeting)
        except BaseException as error:
            if isinstance(error, ConnectionLost):
                self.broke()
            self.wire.abandon()
            raise
        finally:
            self._hidden = ()

    @property
    def pipelines(self) -> bool:
        """Whether several commands may be sent at once: the server says so, and nothing showed the
        contrary.
        """
        return "PIPELINING" in self.capabilities and not self.manner.one_at_a_time

    def broke(self) -> None:
        """Learn from a connection that broke: some servers announce PIPELINING, and lose what is
        sent ahead.

        An answer or two come even so, hence only a connection that got far speaks for the server.
        """
        if self.brought >= _FAR:
            self.manner.stumbles = 0
        elif self.pipelines and self.owed:
            self.manner.stumbles += 1
            self.manner.one_at_a_time = self.manner.stumbles >= _STUMBLES

    def send(self, *lines: bytes) -> None:
        """Send commands without waiting."""
        self.wire.write(b"".join(line + b"\r\n" for line in lines))
        self.owed += len(lines)

    def reply(self) -> tuple[bool, str]:
        """Read a status line: whether it is +OK, and its words, fit for people."""
        return self._status(self.wire.readline())

    def refusal(self, words: str, doing: str, *, login: bool = False) -> StoreUnavailable:
        """Turn the server's reason into an error (RFC 2449 section 8, RFC 3206)."""
        code = _code(words)
        if is_busy(words):
            return ServerBusy(self.account, f"{self.endpoint} is busy at {doing}: {words}")
        if code == "AUTH" or (login and code != "SYS/PERM"):
            return AuthenticationFailed(
                self.account,
                f"{self.endpoint} refused the login: {words or 'no reason given'}; check user name"
                " and password",
            )
        return StoreUnavailable(
            self.account, f"{self.endpoint} refused at {doing}: {words or 'no reason given'}"
        )

    def learn(self) -> None:
        """Read the answer to a CAPA sent after the login: some servers tell all they can only then
        (RFC 2449 section 5).
        """
        self.capabilities = self._told() or self.capabilities

    def lines(self) -> list[bytes]:
        """Read a multi-line answer's lines, without line ends."""
        return self.content().splitlines()

    def content(self) -> bytes:
        """Read a multi-line answer exactly: dots unstuffed, the last line end kept (RFC 1939
        section 3).
        """
        if self.wire.peek(3) == b".\r\n":
            self.wire.read(3)
            return b""
        data = self.wire.read_until(b"\r\n.\r\n", keep=2)
        # Only doubled dots are unstuffed: a server that forgets to double a single one must not
        # lose it.
        if data.startswith(b".."):
            data = data[1:]
        return data.replace(b"\r\n..", b"\r\n.")

    def _status(self, line: bytes) -> tuple[bool, str]:
        self.owed -= 1
        self.brought += 1
        word = line[:4].rstrip().upper()
        if word == b"-ERR":
            return False, self._shown(line[4:])
        if word[:3] == b"+OK":
            return True, self._shown(line[3:])
        raise ProtocolViolation(
            self.account,
            f"{self.endpoint} does not speak POP3 there: it said {self._shown(line)!r}",
        )

    def _shown(self, raw: bytes) -> str:
        """Make the server's words fit for a person's terminal; what is secret and was echoed is
        left out.
        """
        words = shown(raw)
        for secret in self._hidden:
            words = words.replace(secret, "***")
        return words

    def _greeting(self) -> bytes:
        self.owed += 1
        line = self.wire.readline()
        ok, words = self._status(line)
        if not ok:
            raise self.refusal(words, "the greeting")
        return line

    def _capa(self) -> dict[str, str]:
        """Ask what the server can do; an old server that does not know the question can do the
        least.
        """
        self.send(b"CAPA")
        return self._told()

    def _told(self) -> dict[str, str]:
        ok, _ = self.reply()
        if not ok:
            return {}
        words = (
            line.decode("ascii", "replace").upper().strip().partition(" ") for line in self.lines()
        )
        return {name: rest for name, _, rest in words if name}

    def _stls(self) -> None:
        """Encrypt, without asking first whether the server can: its refusal tells (RFC 2595 section
        4).
        """
        self.send(b"STLS")
        ok, words = self.reply()
        if not ok:
            raise TlsError(
                self.account,
                f"{self.endpoint} offers no encryption (STLS: {words or 'refused'}); nothing was"
                " sent. Try port 995 with `security: tls`",
            )
        self.wire.start_tls()

    def _login(self, credentials: Credentials, greeting: bytes) -> None:
        secret = credentials.secret()
        self._hide(secret)
        for text in (credentials.username, secret, credentials.authorization_id or ""):
            if _UNSENDABLE.search(text):
                raise AuthenticationFailed(
                    self.account,
                    "the user name or the password holds a line break or a NUL, which POP3 cannot"
                    " send",
                )
        prelude = [b"UTF8"] if "UTF8" in self.capabilities else []
        timestamp = _TIMESTAMP.search(greeting)
        if (
            timestamp
            and self.manner.apop
            and not self.wire.encrypted
            and not credentials.authorization_id
        ):
            if self._apop(credentials, secret, timestamp[0], prelude):
                return
            prelude = []
        if "PLAIN" in self.capabilities.get("SASL", "").split():
            self._plain(credentials, secret, prelude)
            return
        if credentials.authorization_id:
            raise AuthenticationFailed(
                self.account,
                f"{self.endpoint} offers no SASL PLAIN, which `authorization_id` needs",
            )
        self._dialogue(
            prelude, [b"USER " + _octets(credentials.username), b"PASS " + _octets(secret)]
        )

    def _plain(self, credentials: Credentials, secret: str, prelude: Sequence[bytes]) -> None:
        """Log in by SASL PLAIN (RFC 4616), the only way that carries an authorization id."""
        identity = credentials.authorization_id or ""
        response = base64.b64encode(_octets(f"{identity}\0{credentials.username}\0{secret}"))
        self._hide(response.decode("ascii"))
        self._dialogue(
            prelude,
            (
                [b"AUTH PLAIN " + response]
                if len(response) <= _INITIAL_RESPONSE
                else [b"AUTH PLAIN", response]
            ),
        )

    def _hide(self, secret: str) -> None:
        """Keep `secret` out of all messages while the login lasts, also in the forms `shown` would
        give it.
        """
        forms = {secret, shown(_octets(secret))} - {""}
        self._hidden = tuple(sorted({*self._hidden, *forms}, key=len, reverse=True))

    def _apop(
        self, credentials: Credentials, secret: str, timestamp: bytes, prelude: Sequence[bytes]
    ) -> bool:
        """Log in without sending the password (RFC 1939 section 7); False when the server will
        not.
        """
        digest = hashlib.md5(timestamp + _octets(secret), usedforsecurity=False).hexdigest()
        self._hide(digest)
        for line in prelude:
            self.send(line)
            self.reply()
        self.send(b"APOP " + _octets(credentials.username) + b" " + digest.encode("ascii"))
        try:
            ok, words = self.reply()
        except ConnectionLost:
            # Some servers show a timestamp, do not know APOP for this user, and hang up.
            self.manner.apop = False
            raise
        if not ok and is_busy(words):
            raise self.refusal(words, "the login")
        self.manner.apop = ok
        return ok

    def _dialogue(self, prelude: Sequence[bytes], commands: Sequence[bytes]) -> None:
        """Say the login's lines, in one flight where the server pipelines; what the prelude gets
        for an answer does not matter.
        """
        together = self.pipelines and commands[0] != b"AUTH PLAIN"
        if together:
            self.send(*prelude, *commands)
        for line in prelude:
            if not together:
                self.send(line)
            self.reply()
        for line in commands:
            if not together:
                self.send(line)
            # The first refusal is the answer: many a server hangs up behind it.
            ok, words = self._reply_or_prompt()
            if not ok:
                raise self.refusal(words, "the login", login=True)

    def _reply_or_prompt(self) -> tuple[bool, str]:
        line = self.wire.readline()
        if line.rstrip() == b"+" or line.startswith(b"+ "):
            self.owed -= 1
            return True, ""
        return self._status(line)


def is_busy(words: str) -> bool:
    """Return whether a server's reason means: come back later.

    Old servers say so without a code (RFC 1939 section 5, PASS).
    """
    code = _code(words)
    return code in _BUSY or (not code and bool(_LOCKED.search(words)))


def shown(raw: bytes) -> str:
    """Make a server's words fit for a person's terminal."""
    return _UNSAFE.sub("?", raw[:1000].decode("utf-8", "replace").strip())[:300]


def _code(words: str) -> str:
    found = _CODE.search(words)
    return found[1].upper() if found else ""


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
