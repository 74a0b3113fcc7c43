"""One logged-in IMAP session: connect, encrypt, log in, learn what the server can do, in as few
round trips as that takes.

A session is one connection; it does not come back when that breaks (see `reconnect.py`). Errors
are the account's own, with what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailsync import __version__
from mailsync.errors import (
    MailboxError,
    ProtocolViolation,
    ServerBusy,
    StoreUnavailable,
    TlsError,
)
from mailsync.mapping import show
from mailsync.model import MailboxPath
from mailsync.stores.access_token import opens_nothing, other_mailbox
from mailsync.stores.credentials import Credentials
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.imap.command_queue import Command, CommandQueue, Piece, quote
from mailsync.stores.imap.list_response import listed, namespaces
from mailsync.stores.imap.login import log_in
from mailsync.stores.imap.mailbox_names import Names
from mailsync.stores.imap.response import Result
from mailsync.stores.refusals import Refusal, trouble
from mailsync.stores.transport import connect

_REV2: Final = frozenset(
    b"BINARY CHILDREN ENABLE ESEARCH IDLE LIST-EXTENDED LIST-STATUS LITERAL- MOVE NAMESPACE SASL-IR"
    b" SEARCHRES SPECIAL-USE STATUS=SIZE UIDPLUS UNSELECT".split()
)
"""What IMAP4rev2 includes without announcing it (RFC 9051 appendix E)."""


_ID: Final = b'ID ("name" "mailsync" "version" "%b")' % __version__.encode("ascii")


class Session:
    """A logged-in session, made by `Session.open`.

    `queue` takes commands; `enabled` are the extensions asked for with ENABLE.
    """

    def __init__(self, account: str, endpoint: Endpoint, queue: CommandQueue) -> None:
        self.account = account
        self.endpoint = endpoint
        self.queue = queue
        self.capabilities: frozenset[bytes] = frozenset()
        self.enabled: frozenset[bytes] = frozenset()
        self.known_names: Names | None = None
        self._asked: list[Command] = []
        self._token_of: Credentials | None = None
        queue.goodbye = self._goodbye

    @classmethod
    def open(
        cls,
        account: str,
        endpoint: Endpoint,
        credentials: Credentials,
        note: Callable[[str], None] | None = None,
        *,
        sync: bool = True,
    ) -> Session:
        """Connect and log in.

        With `sync`, CONDSTORE and QRESYNC are enabled where offered (RFC 7162).

        Raises Unreachable, ConnectionLost, TlsError, AuthenticationFailed, ServerBusy, Throttled or
        ProtocolViolation. ENABLE and NAMESPACE are on their way when this returns, not yet
        answered.
        """

        def opened(token: str | None) -> Session:
            queue = CommandQueue(connect(endpoint, account), note, credentials.redactor)
            session = cls(account, endpoint, queue)
            try:
                session._start(credentials, token)  # an alternative constructor
                session._prepare(sync=sync)
            except BaseException:
                session.queue.connection.abandon()
                raise
            return session

        return credentials.logged_in(opened)

    @property
    def names(self) -> Names:
        """The server's mailbox names; waits for NAMESPACE the first time."""
        if self.known_names is None:
            self.known_names = self._learn_names()
        return self.known_names

    @names.setter
    def names(self, names: Names) -> None:
        self.known_names = names

    def has(self, capability: bytes) -> bool:
        """Return whether the server offers `capability` (upper case), by itself or as a part of
        IMAP4rev2.
        """
        return capability in self.capabilities or (
            capability in _REV2 and b"IMAP4REV2" in self.capabilities
        )

    def instant(self, octets: int) -> bool:
        """Return whether a literal of so many octets may be sent without waiting (RFC 7888)."""
        return self.has(b"LITERAL+") or (octets <= 4096 and self.has(b"LITERAL-"))

    def mailbox(self, written: bytes) -> Piece:
        """Make a command's argument of a mailbox name as the server writes it
        (`names.written(path)`).
        """
        return quote(written, instant=self.instant(len(written)))

    def done(self, command: Command, mailbox: MailboxPath) -> Result:
        """Wait for a command about one mailbox. Raises MailboxError where it is refused, or what
        stops the account.
        """
        result = self.queue.wait(command)
        stop = trouble(self.account, result.refusal, "asking for a mailbox")
        if stop is not None:
            raise stop
        if not result.ok:
            raise self.refused(mailbox, result)
        return result

    def refused(self, mailbox: MailboxPath, result: Result) -> MailboxError:
        """Make the error of a mailbox that the server refuses."""
        return MailboxError(
            self.account, mailbox, f"the server refuses mailbox {show(mailbox)}: {result.said}"
        )

    def demand_owner(self, said: Refusal | None) -> None:
        """Raise AuthenticationFailed where a refusal of the first commands tells that the access
        token is not one of whom the mailbox belongs to.
        """
        if said is not None and self._token_of is not None and opens_nothing(said):
            raise other_mailbox(self.account, str(self.endpoint), self._token_of)

    def close(self) -> None:
        """Say goodbye without waiting; idempotent."""
        self.queue.close()

    def _start(self, credentials: Credentials, token: str | None) -> None:
        greeting = self.queue.greeting()
        if self.endpoint.security == "starttls":
            self._encrypt(greeting)
        elif greeting.code == b"CAPABILITY":
            self.capabilities = _words(greeting.argument)
        if greeting.status == b"PREAUTH":
            if self.endpoint.security == "starttls":
                raise TlsError(
                    self.account, f"{self.endpoint} logs us in before encrypting; not trusted"
                )
            self._ask_capabilities()
            return
        if not self.capabilities:
            self._ask_capabilities()
        command = log_in(self, credentials, token)
        if not self._take_capabilities(command):
            self._ask_capabilities()
        if token is not None:
            self._token_of = credentials

    def _encrypt(self, greeting: Result) -> None:
        """Upgrade to TLS; what was announced before in plain text counts for nothing afterwards
        (RFC 9051 section 6.2.1).
        """
        offered = _words(greeting.argument) if greeting.code == b"CAPABILITY" else None
        refusal = "does not offer STARTTLS"
        if greeting.status != b"PREAUTH" and (offered is None or b"STARTTLS" in offered):
            result = self.queue.wait(self.queue.send(b"STARTTLS"))
            if result.ok:
                self.queue.start_tls()
                return
            refusal = f"refused STARTTLS ({result.text})"
        raise TlsError(
            self.account,
            f"{self.endpoint} {refusal}, so nothing was sent; try `security: tls` (port 993)",
        )

    def _ask_capabilities(self) -> None:
        command = self.queue.send(b"CAPABILITY")
        if not self.queue.wait(command).ok:
            raise ProtocolViolation(self.account, f"{self.endpoint} refuses CAPABILITY")
        self._take_capabilities(command)

    def _take_capabilities(self, command: Command) -> bool:
        """Take capabilities from a command's answers or its completion; returns whether there were
        any.
        """
        result = command.result
        if result is not None and result.code == b"CAPABILITY":
            self.capabilities = _words(result.argument)
            return True
        for answer in command.answers:
            if answer.word == b"CAPABILITY":
                self.capabilities = _words(answer.line[len(b"CAPABILITY") :])
                return True
        return False

    def _prepare(self, *, sync: bool) -> None:
        """Send what every session wants to know, without waiting for it."""
        if self.has(b"ID"):
            # Before anything else: NetEase opens no mailbox to a program without a name (RFC 2971).
            self._asked.append(self.queue.send(_ID))
        wanted = (
            [word for word in (b"CONDSTORE", b"QRESYNC") if self.has(word)]
            if sync and self.has(b"ENABLE")
            else []
        )
        if wanted:
            self._asked.append(self.queue.send(b"ENABLE " + b" ".join(wanted)))
            self.enabled = frozenset(wanted)
        if self.has(b"NAMESPACE"):
            self._asked.append(self.queue.send(b"NAMESPACE"))
        self._asked.append(self.queue.send(b'LIST "" ""'))

    def _learn_names(self) -> Names:
        delimiter: bytes | None = b"/"
        spaces: list[list[tuple[bytes, bytes | None]]] | None = None
        for command in self._asked:
            self.demand_owner(self.queue.wait(command).refusal)
            for answer in command.answers:
                found = namespaces(answer)
                root = listed(answer)
                if found is not None:
                    spaces = found
                elif root is not None:
                    delimiter = root.delimiter
        self._asked.clear()
        if spaces and spaces[0]:
            return Names(spaces[0], spaces[1] + spaces[2])
        return Names(delimiter=delimiter)

    def _goodbye(self, result: Result) -> StoreUnavailable:
        said = result.text or "it gave no reason"
        limited = trouble(self.account, result.said, "talking to it")
        return limited or ServerBusy(self.account, f"{self.endpoint} ended the session: {said}")


def _words(raw: bytes) -> frozenset[bytes]:
    return frozenset(raw.upper().split())
