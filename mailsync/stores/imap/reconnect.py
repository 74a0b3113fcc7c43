"""A session that comes back: back-off, reconnection, and which mailbox is selected.

Knows when to try again and how long to wait; what has to be asked anew is known to those who asked
(`scan.py`, `fetch.py`), who see by `generation` that their commands died with an older session.
"""

from __future__ import annotations

from collections.abc import Callable

from mailsync.errors import StoreUnavailable
from mailsync.model import MailboxPath
from mailsync.stores.imap.examine import Examined
from mailsync.stores.imap.mailbox_names import Names
from mailsync.stores.imap.session import Session
from mailsync.stores.retry import Retry


class ReconnectingSession:
    """The one connection of a source: opened when first needed by `open_session`, which logs in,
    and opened again after a failure as long as `retry` allows.
    """

    def __init__(self, open_session: Callable[[], Session], retry: Retry) -> None:
        self.generation = 0
        self._open = open_session
        self._retry = retry
        self._session: Session | None = None
        self._selected: Examined | None = None
        self._writable = False
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

    @property
    def stands(self) -> bool:
        """Whether there is a session that can be spoken to."""
        return self._session is not None and self._session.queue.alive

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
        command = session.queue.send(
            b"EXAMINE ", session.mailbox(session.names.written(path)), option
        )
        self._selected, self._writable = Examined(path, session, command), False
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

    def recover(self, error: StoreUnavailable) -> None:
        """Wait after `error`: on the same connection where it stands, so that a busy server has no
        login more to deal with, else as `again` does.
        """
        if self.stands:
            self.pause(error)
        else:
            self.again(error)

    def pause(self, error: StoreUnavailable) -> None:
        """Wait as a busy server asks, on the same connection; raises `error` once the retries are
        used up.
        """
        self._retry.wait(error)

    def forget_selected(self) -> None:
        """Another command selected a mailbox, for writing."""
        self._selected, self._writable = None, True

    def leave(self) -> None:
        """Leave the mailbox that is selected, if any, without waiting: to be done before APPEND.

        Courier refuses what comes for a mailbox that is open for reading, and GNU Mailutils writes
        back what it knew of the open one, without what came meanwhile. Without UNSELECT (RFC 3691)
        only what is open for reading can be left so that nothing in it is expunged.
        """
        chosen, writable = self._selected, self._writable
        self._selected, self._writable = None, False
        session = self._session
        if session is None or not (writable or (chosen is not None and not chosen.refused)):
            return
        if session.has(b"UNSELECT"):
            session.queue.send(b"UNSELECT")
        elif not writable:
            session.queue.send(b"CLOSE")

    def close(self) -> None:
        """Say goodbye without waiting; idempotent."""
        if self._session is not None:
            self._session.close()
        self._session = self._selected = None
        self._writable = False

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
            self._session.queue.alive = False
            self._session.queue.connection.abandon()
        self._session = self._selected = None
        self._writable = False
