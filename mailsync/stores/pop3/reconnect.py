"""A POP3 session that comes back, with its listing: login, back-off, new message numbers."""

from __future__ import annotations

from collections.abc import Callable

from mailsync.errors import ConnectionLost, ProtocolViolation, StoreUnavailable
from mailsync.stores.pop3.listing import Listing
from mailsync.stores.pop3.session import Pop3Session
from mailsync.stores.retry import Retry


class Pop3Connection:
    """The one connection of an account, opened when first needed, and again after a failure as long
    as `retry` allows.

    `shown` are the numbers of the messages whose headers or contents this session brought: only
    these may be deleted there.
    """

    def __init__(
        self, open_session: Callable[[], Pop3Session], listing: Listing, retry: Retry
    ) -> None:
        self.session: Pop3Session | None = None
        self.shown: set[int] = set()
        self.listing = listing
        self._listed: Pop3Session | None = None
        self._open = open_session
        self._retry = retry

    def logged_in(self) -> Pop3Session:
        """Return a session. Raises StoreUnavailable once the retries are used up."""
        while self.session is None:
            self.shown.clear()
            try:
                self.session = self._open()
            except StoreUnavailable as error:
                self._after(error)
            else:
                self._retry.reached()
        return self.session

    def listed(self) -> Pop3Session:
        """Return a session whose listing is known."""
        while True:
            session = self.logged_in()
            if self._listed is session:
                return session
            try:
                self.listing.ask(session)
            except StoreUnavailable as error:
                session.broke()
                self._after(error)
            else:
                self._listed = session

    def quiet(self) -> Pop3Session:
        """Return a session that owes nobody an answer, its listing known."""
        if self.session is not None and self.session.owed:
            self.drop()
        return self.listed()

    def again(self, session: Pop3Session, error: StoreUnavailable) -> Pop3Session:
        """Log in again after a failure and learn the new message numbers."""
        if isinstance(error, ProtocolViolation) and session.pipelines and session.owed:
            # Several answers at once came out garbled: what the server announces it cannot do.
            session.experience.one_at_a_time = True
            error = ConnectionLost(session.account, str(error))
        session.broke()
        self._after(error)
        return self.listed()

    def progressed(self) -> None:
        """Count failures anew: something was brought home."""
        self._retry.progressed()

    def deletable(self) -> Pop3Session | None:
        """Return the session if its listing is known and it owes nothing."""
        session = self.session
        if session is None or session is not self._listed or session.owed:
            return None
        return session

    def drop(self) -> None:
        """Give the connection up without a word."""
        if self.session is not None:
            self.session.connection.abandon()
            self.session = None

    def _after(self, error: StoreUnavailable) -> None:
        self.drop()
        self._retry.wait(error)
