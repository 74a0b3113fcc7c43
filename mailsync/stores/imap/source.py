"""Mail out of any IMAP server: the `Source`, `HeaderSource` and `TailSource` of `stores.base`.

Nothing here changes the server.

Only EXAMINE and BODY.PEEK are ever sent: a message's `\\Seen` and `\\Recent` stay what they were.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from mailsync.errors import MailboxError, StoreUnavailable
from mailsync.model import Entry, Excerpt, Mailbox, Message, Scan, ScanRequest, Unfetched
from mailsync.progress import Progress, Silence
from mailsync.stores.credentials import Credentials
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.imap.fetch import Ask, BodyFetch, header, piece, tail, whole
from mailsync.stores.imap.list import list_mailboxes
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.scan import scan
from mailsync.stores.imap.session import Session
from mailsync.stores.retry import RETRIES, Retry


class ImapSource:
    """One account on an IMAP server; connects when first asked for something.

    Scans and fetches may run at the same time and share one connection. `retries` is how often in a
    row a broken connection or a busy server is tried again; `progress` hears why we wait. `sleep`
    takes seconds; `jitter` gives 0 … 1.
    """

    def __init__(
        self,
        account: str,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        progress: Progress | None = None,
        retries: int = RETRIES,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.account = account
        self.endpoint = endpoint
        self._redactor = credentials.redactor
        self._unreadable: Sequence[str] = ()
        note = (progress or Silence()).note
        self._link = ReconnectingSession(
            lambda: Session.open(account, endpoint, credentials, note),
            Retry(note=note, sleep=sleep, jitter=jitter, retries=retries),
        )

    def capabilities(self) -> Sequence[str]:
        """Return what the server announced after login, upper case, sorted, without secrets."""
        hide = self._redactor.hide
        announced = self._link.session.capabilities
        return sorted(hide(word).decode("ascii", "replace") for word in announced)

    def mailboxes(self) -> Sequence[Mailbox]:
        """List the personal mailboxes, in the server's order, with STATUS where it is to be had."""
        while True:
            try:
                found = list_mailboxes(self._link.session, self._link.pause)
            except StoreUnavailable as error:
                self._link.again(error)
            else:
                self._link.progressed()
                self._unreadable = found.unreadable
                return found.mailboxes

    def unreadable(self) -> Sequence[str]:
        """Return the lines of the last list of mailboxes that nobody can read."""
        return self._unreadable

    def scan(self, requests: Iterable[ScanRequest]) -> Iterator[Scan | MailboxError]:
        """Look at each mailbox in turn; see `Source.scan`."""
        return scan(self._link, self.account, requests)

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        """Bring the content of each wanted entry, several batches in flight; see `Source.fetch`."""
        return iter(BodyFetch(self._link, self.account, wanted, whole))

    def headers(self, wanted: Iterable[Entry]) -> Iterator[Excerpt]:
        """Bring the header block (with its blank line) of each entry; lost entries are left out."""
        return self._parts(wanted, header)

    def tails(self, wanted: Iterable[Entry], octets: int) -> Iterator[Excerpt]:
        """Bring the last `octets` octets of each entry, by its announced size; lost entries, and
        those without a size, are left out.
        """
        return self._parts((entry for entry in wanted if entry.size is not None), tail(octets))

    def pieces(
        self, wanted: Iterable[Entry], start: Callable[[Entry], int], octets: int
    ) -> Iterator[Excerpt]:
        """Bring so many octets of each entry from a place on; lost entries are left out."""
        return self._parts(wanted, piece(start, octets))

    def close(self) -> None:
        """Say goodbye without waiting; idempotent."""
        self._link.close()

    def _parts(self, wanted: Iterable[Entry], ask: Ask) -> Iterator[Excerpt]:
        for got in BodyFetch(self._link, self.account, wanted, ask):
            if isinstance(got, Message):
                yield Excerpt(got.entry, got.content)
