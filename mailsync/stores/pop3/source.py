"""A POP3 account as the `Source` of `stores.base`: one mailbox, listed in full, fetched ahead."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal

from mailsync.errors import MailboxError, StoreUnavailable
from mailsync.formats import header
from mailsync.model import (
    INBOX,
    NO_FLAGS,
    Entry,
    Excerpt,
    Mailbox,
    Message,
    Scan,
    ScanRequest,
    SyncState,
    Unfetched,
)
from mailsync.progress import Progress, Silence
from mailsync.stores.credentials import Credentials
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.pop3.alone import Part
from mailsync.stores.pop3.capabilities import Experience
from mailsync.stores.pop3.delete import delete
from mailsync.stores.pop3.listing import Listing
from mailsync.stores.pop3.reconnect import Pop3Connection
from mailsync.stores.pop3.retrieve import retrieve
from mailsync.stores.pop3.session import Pop3Session
from mailsync.stores.retry import RETRIES, Retry

_SEEN: Final = frozenset({"\\Seen"})

Mark = Literal["seen", "unseen"] | float
"""How messages are marked, since POP3 knows no flags; a number: seen when older than so many
seconds.
"""


class Pop3Source:
    """A POP3 account with its one mailbox INBOX; connects when first asked for something, and again
    when the connection breaks.

    `retries` is how often in a row that is tried; `sleep` takes the seconds between, `jitter` gives
    0 … 1. With `pipelining` off no second command is ever sent before the answer to the first.
    """

    def __init__(
        self,
        account: str,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        pipelining: Literal["auto", "off"] = "auto",
        mark: Mark = "seen",
        progress: Progress | None = None,
        retries: int = RETRIES,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.account = account
        self._redactor = credentials.redactor
        self._mark = mark
        self._clock = clock
        self._experience = experience = Experience(one_at_a_time=pipelining == "off")
        self._connection = Pop3Connection(
            lambda: credentials.logged_in(
                lambda token: Pop3Session(account, endpoint, credentials, experience, token)
            ),
            Listing(_SEEN if mark == "seen" else NO_FLAGS),
            Retry(note=(progress or Silence()).note, sleep=sleep, jitter=jitter, retries=retries),
        )

    def capabilities(self) -> Sequence[str]:
        """Return what the server announced after login, without secrets."""
        announced = self._connection.listed().capabilities
        hidden = self._redactor.hidden
        return sorted(hidden(f"{name} {rest}".strip()) for name, rest in announced.items())

    def mailboxes(self) -> Sequence[Mailbox]:
        """Log in, and return the one mailbox there is."""
        self._connection.logged_in()
        return [Mailbox(INBOX, subscribed=True)]

    def scan(self, requests: Iterable[ScanRequest]) -> Iterator[Scan | MailboxError]:
        """List the inbox; always in full, and once a session, in which it cannot change (RFC 1939
        section 3).
        """
        for request in requests:
            self._connection.listed()
            listing = self._connection.listing
            entries = tuple(listing.entries.values())
            counted = len(entries) + listing.hidden
            unlisted = (
                (f"the server counts {counted:,} messages, but shows {len(entries):,} of them",)
                if listing.hidden
                else ()
            )
            yield Scan(request.mailbox, SyncState(0, 0, counted), entries, unlisted=unlisted)

    def shows_portions(self) -> bool:
        """Return whether the last listing may be a part of what there is."""
        return self._experience.portions or self._connection.listing.is_portion

    def renew(self) -> None:
        """End the session well, so that the server counts as fetched what was fetched."""
        session = self._connection.deletable()
        if session is not None:
            try:
                session.send(b"QUIT")
                session.line()
            except StoreUnavailable:
                pass
            finally:
                self._connection.drop()

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        """Bring messages, several asked for ahead where the server pipelines."""
        for entry, got in retrieve(self._connection, wanted, b"RETR %d"):
            if isinstance(got, Unfetched):
                yield got
            elif isinstance(got, Part):
                yield self._message(entry, got.content, got.why)
            else:
                yield self._message(entry, got)

    def headers(self, wanted: Iterable[Entry]) -> Iterator[Excerpt]:
        """Bring header blocks by TOP, an optional command: nothing comes from a server without
        it.
        """
        for part in self.beginnings(wanted, 0):
            yield Excerpt(part.entry, header.block(part.content))

    def beginnings(self, wanted: Iterable[Entry], lines: int) -> Iterator[Excerpt]:
        """Bring header blocks and so many lines behind them, as `headers` does."""
        capabilities = self._connection.listed().capabilities
        if capabilities and "TOP" not in capabilities:
            return
        for entry, got in retrieve(self._connection, wanted, b"TOP %%d %d" % lines):
            if isinstance(got, bytes):
                yield Excerpt(entry, got)

    def delete(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Delete messages that this very session has just shown, and end it; returns those that are
        really gone.
        """
        return delete(self._connection, entries)

    def close(self) -> None:
        """Say QUIT without waiting for the answer; nothing depends on it."""
        session, self._connection.session = self._connection.session, None
        if session is not None:
            try:
                session.send(b"QUIT")
            except StoreUnavailable:
                pass
            finally:
                session.connection.close()

    def _message(self, entry: Entry, content: bytes, lacking: str = "") -> Message:
        now = int(self._clock())
        date = header.received_or_date(content, now)
        flags = entry.flags
        if not isinstance(self._mark, str):
            flags = _SEEN if date is not None and date < now - self._mark else NO_FLAGS
        return Message(replace(entry, internaldate=date, flags=flags), content, lacking)
