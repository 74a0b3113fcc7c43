"""A session that comes back: back-off, reconnection, and which mailbox is selected.

Knows when to try again and how long to wait; what has to be asked anew is known to those who asked
(`scan.py`, `fetch.py`), who see by `generation` that their commands died with an older session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailsync.errors import StoreUnavailable
from mailsync.model import MailboxPath, SyncState
from mailsync.stores.imap.command_queue import Command, Result, result_of
from mailsync.stores.imap.mailbox_names import Names
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import trouble
from mailsync.stores.retry import Retry


@dataclass(slots=True)
class Examined:
    """An EXAMINE on its way, or answered; the mailbox is selected, read-only, for every command
    sent after it.
    """

    path: MailboxPath
    session: Session
    command: Command
    _state: SyncState | None = None

    def settle(self) -> Result:
        """Wait for the answer.

        Raises a retryable error when the connection is gone or the server has no time for us.
        """
        result = self.session.wire.wait(self.command)
        stop = trouble(self.session.account, result.refusal, "opening a mailbox")
        if stop is not None:
            raise stop
        return result

    @property
    def refused(self) -> bool:
        """Whether the server is known to have said no."""
        return self.command.result is not None and not self.command.result.ok

    @property
    def state(self) -> SyncState:
        """The mailbox's state before any later command; UIDVALIDITY and UIDNEXT are 0 where the
        server did not tell.
        """
        if self._state is None:
            self._state = _state(self.command)
        return self._state


class Link:
    """The one connection of a source: opened when first needed by `open_session`, which logs in,
    and opened again after a failure as long as `retry` allows.
    """

    def __init__(self, open_session: Callable[[], Session], retry: Retry) -> None:
        self.generation = 0
        self._open = open_session
        self._retry = retry
        self._session: Session | None = None
        self._selected: Examined | None = None
        self._names: Names | None = None

    @property
    def session(self) -> Session:
        """The session, logged in. Raises StoreUnavailable once the retries are used up."""
        if self._session is None:
            try:
                self._connect()
            except StoreUnavailable as error:
                self.again(error)
        assert self._session is not None  # noqa: S101  # `again` returns with a session, or raises
        return self._session

    def connect(self) -> None:
        """Log in, unless that is done, in one try. Raises StoreUnavailable."""
        if self._session is None:
            self._connect()

    def examine(self, path: MailboxPath, *, fresh: bool = False) -> Examined:
        """Send EXAMINE, unless `path` is selected already for the next command; `fresh` asks in any
        case, for the state.
        """
        session = self.session
        chosen = self._selected
        if chosen is not None and chosen.path == path and not fresh and not chosen.refused:
            return chosen
        option = (
            b" (CONDSTORE)"
            if session.has(b"CONDSTORE") and b"CONDSTORE" not in session.enabled
            else b""
        )
        command = session.wire.send(
            b"EXAMINE ", session.mailbox(session.names.written(path)), option
        )
        self._selected = Examined(path, session, command)
        return self._selected

    def progressed(self) -> None:
        """Something was brought home: failures are counted anew."""
        self._retry.progressed()

    def again(self, error: StoreUnavailable) -> None:
        """Wait and connect again after `error`; raises it, or what came of the last try, when that
        helps no more.
        """
        while True:
            self._drop()
            self._retry.wait(error)
            try:
                self._connect()
            except StoreUnavailable as failure:
                error = failure
            else:
                return

    def pause(self, error: StoreUnavailable) -> None:
        """Wait as a busy server asks, on the same connection; raises `error` once the retries are
        used up.
        """
        self._retry.wait(error)

    def forget_selected(self) -> None:
        """Another command selected a mailbox."""
        self._selected = None

    def close(self) -> None:
        """Say goodbye without waiting; idempotent."""
        if self._session is not None:
            self._session.close()
        self._session = self._selected = None

    def _connect(self) -> None:
        session = self._open()
        if self._names is not None:
            session.names = self._names  # how the server wrote its names holds for all sessions
        self._session = session
        self._retry.reached()
        self.generation += 1

    def _drop(self) -> None:
        if self._session is not None:
            self._names = self._session.known_names
            self._session.wire.alive = False
            self._session.wire.connection.abandon()
        self._session = self._selected = None


def _state(command: Command) -> SyncState:
    """Read the answers of an EXAMINE (RFC 9051 section 6.3.3, RFC 7162 section 3.1.2)."""
    messages = 0
    numbers: dict[bytes, int] = {}
    for answer in command.answers:
        if answer.word == b"EXISTS":
            messages = answer.number or 0
            continue
        said = result_of(answer.line)
        if said is not None and said.argument.isdigit() and len(said.argument) < 20:
            numbers[said.code] = int(said.argument)
    return SyncState(
        numbers.get(b"UIDVALIDITY", 0),
        numbers.get(b"UIDNEXT", 0),
        messages,
        numbers.get(b"HIGHESTMODSEQ") or None,
    )
