"""One logged-in POP3 connection: greeting, STLS (RFC 2595), commands sent and responses read in
their order.

Knows nothing of messages, asks for none.
"""

from __future__ import annotations

from typing import Final

from mailsync.errors import ConnectionLost, ProtocolViolation, StoreUnavailable, TlsError
from mailsync.stores.credentials import Credentials
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.pop3.capabilities import Experience, read_capabilities
from mailsync.stores.pop3.login import log_in
from mailsync.stores.pop3.response import (
    ends_in_line_feeds,
    is_prompt,
    read_line_feeds,
    read_multiline,
    refusal_of,
    status_of,
)
from mailsync.stores.pop3.token_login import log_in_by_token
from mailsync.stores.refusals import NONE, Refusal, refused, trouble
from mailsync.stores.server_words import shown
from mailsync.stores.transport import Connection, connect

STATUS_OCTETS: Final = 1 << 16
LISTING_OCTETS: Final = 1 << 26
LISTING_LINES: Final = 1_000_000
"""The most that an answer other than a message may hold: far beyond any real one, and what fits
into memory.
"""


class Pop3Session:
    """One logged-in connection; `owed` counts the answers that are asked for and not yet read,
    `brought` those that were read. With a `token` that logs in, and no password is asked for.
    """

    def __init__(
        self,
        account: str,
        endpoint: Endpoint,
        credentials: Credentials,
        experience: Experience,
        token: str | None = None,
    ) -> None:
        self.account = account
        self.endpoint = endpoint
        self.experience = experience
        self.owed = 0
        self.brought = 0
        self.capabilities: dict[str, str] = {}
        self.redactor = credentials.redactor
        self.connection: Connection = connect(endpoint, account)
        try:
            greeting = self._greeting()
            if endpoint.security == "starttls":
                self._stls()
            self.send(b"CAPA")
            self.take_capabilities()
            if token is None:
                log_in(self, credentials, greeting)
            else:
                log_in_by_token(self, credentials, token)
        except BaseException as error:
            if isinstance(error, ConnectionLost):
                self.broke()
            self.connection.abandon()
            raise

    @property
    def pipelines(self) -> bool:
        """Whether several commands may be sent at once: the server says so, and nothing showed the
        contrary.
        """
        return "PIPELINING" in self.capabilities and not self.experience.one_at_a_time

    def broke(self) -> None:
        """Learn from a connection that broke."""
        self.experience.broke(answers=self.brought, several_owed=self.pipelines and bool(self.owed))

    def send(self, *lines: bytes) -> None:
        """Send commands without waiting."""
        self.connection.write(b"".join(line + b"\r\n" for line in lines))
        self.owed += len(lines)

    def reply(self) -> tuple[bool, Refusal]:
        """Read a status line: whether it is +OK, and what it refuses with."""
        return self._status(self.connection.readline(STATUS_OCTETS))

    def line(self) -> bytes:
        """Read a status line as it stands."""
        line = self.connection.readline(STATUS_OCTETS)
        self.owed -= 1
        return line

    def reply_or_prompt(self) -> tuple[bool, Refusal]:
        """Read a status line, or a prompt for more, which is as good as +OK."""
        prompt, ok, said = self.prompt_or_reply()
        return ok or prompt is not None, said

    def prompt_or_reply(self) -> tuple[bytes | None, bool, Refusal]:
        """Read a prompt for more, with what it says, or a status line as `reply` does."""
        line = self.connection.readline(STATUS_OCTETS)
        if is_prompt(line):
            self.owed -= 1
            return line[1:].strip(), False, NONE
        return (None, *self._status(line))

    def content(self, limit: int) -> bytes:
        """Read a multi-line answer exactly, without its dots; of at most so many octets."""
        if self.experience.line_feeds:
            return read_line_feeds(self.connection, limit)
        try:
            return read_multiline(self.connection, limit)
        except ConnectionLost as error:
            # Silence, because the server takes the answer for ended.
            silent = isinstance(error.__cause__, TimeoutError)
            if not silent or not ends_in_line_feeds(self.connection):
                raise
            self.experience.line_feeds = True
            return read_line_feeds(self.connection, limit)

    def lines(self) -> list[bytes]:
        """Read a multi-line answer's lines, without line ends."""
        content = self.content(LISTING_OCTETS)
        if content.count(b"\n") > LISTING_LINES:
            raise ProtocolViolation(
                self.account, f"{self.endpoint} lists more than {LISTING_LINES:,} messages"
            )
        return content.splitlines()

    def take_capabilities(self) -> None:
        """Read the answer to a CAPA: an old server that does not know the question can do the
        least; some tell all they can only after the login (RFC 2449 section 5).
        """
        ok, _ = self.reply()
        if ok:
            self.capabilities = read_capabilities(self.lines()) or self.capabilities

    def trouble(self, said: Refusal, doing: str) -> StoreUnavailable | None:
        """Return the error where a refusal means: come back later."""
        return trouble(self.account, said, doing, whole_account=True)

    def refused(self, said: Refusal, doing: str) -> StoreUnavailable:
        """Make the error of a refusal that nothing can go on without."""
        return refused(self.account, str(self.endpoint), said, doing)

    def _status(self, line: bytes) -> tuple[bool, Refusal]:
        self.owed -= 1
        self.brought += 1
        if line.endswith(b"\n") and not line.endswith(b"\r\n"):
            self.experience.line_feeds = True
        status = status_of(line)
        if status is None:
            said = shown(line, self.redactor)
            raise ProtocolViolation(
                self.account, f"{self.endpoint} does not speak POP3 there: it said {said!r}"
            )
        return status.ok, NONE if status.ok else refusal_of(status.words, self.redactor)

    def _greeting(self) -> bytes:
        self.owed += 1
        line = self.connection.readline(STATUS_OCTETS)
        ok, said = self._status(line)
        if not ok:
            raise self.refused(said, "the greeting")
        self.experience.greeted(line)
        return line

    def _stls(self) -> None:
        """Encrypt, without asking first whether the server can: its refusal tells (RFC 2595 section
        4).
        """
        self.send(b"STLS")
        ok, said = self.reply()
        if not ok:
            raise TlsError(
                self.account,
                f"{self.endpoint} offers no encryption (STLS: {said.shown or 'refused'}); nothing"
                " was sent. Try port 995 with `security: tls`",
            )
        self.connection.start_tls()
