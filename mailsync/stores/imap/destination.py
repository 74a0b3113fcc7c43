"""Mail into any IMAP server: the `Destination` of `stores.base`.

Adds messages and sets flags; deletes and overwrites nothing.

`IMAPClient.append` is never used: it goes through imaplib, which rewrites bare CR and LF.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from mailsync.errors import MailboxError, StoreUnavailable
from mailsync.model import (
    INBOX,
    Appended,
    Mailbox,
    MailboxPath,
    Parcel,
    Present,
    Refused,
    Room,
    SyncState,
    UidRef,
    Unanswered,
)
from mailsync.progress import Progress, Silence
from mailsync.stores.credentials import Credentials
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.imap.append_responses import AppendPolicy
from mailsync.stores.imap.create import MailboxMaker
from mailsync.stores.imap.list import inbox_state, list_mailboxes
from mailsync.stores.imap.mailbox_names import Names
from mailsync.stores.imap.parallel_append import append_in_parallel
from mailsync.stores.imap.pipelined_append import Pace, append_pipelined
from mailsync.stores.imap.plainer_names import fitted
from mailsync.stores.imap.presence import list_bodies, list_present
from mailsync.stores.imap.quota import rooms
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.search_check import asked_state
from mailsync.stores.imap.session import Session
from mailsync.stores.imap.store_flags import store_flags
from mailsync.stores.retry import RETRIES, Retry

Done = TypeVar("Done")


class ImapDestination:
    """One account on an IMAP server; connects when first asked for something.

    `repair`: a refused message is tried once more as a repaired copy. `connections` is how many are
    used where the server makes every literal wait. `retries`, `sleep` (seconds) and `jitter` (0 …
    1) are as for a source.
    """

    def __init__(
        self,
        account: str,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        repair: bool = True,
        connections: int = 4,
        progress: Progress | None = None,
        retries: int = RETRIES,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.account = account
        self.endpoint = endpoint
        user = credentials.authorization_id or credentials.username
        self._key = f"imap://{user}@{endpoint.host}:{endpoint.port}"
        self._repair = repair
        self._connections = max(1, connections)
        self._note = note = (progress or Silence()).note
        self._names: Names | None = None

        def session() -> Session:
            opened = Session.open(account, endpoint, credentials, note, sync=False)
            if self._names is not None:
                opened.names = self._names  # what was listed on the first connection holds for all
            return opened

        def link() -> ReconnectingSession:
            return ReconnectingSession(
                session, Retry(note=note, sleep=sleep, jitter=jitter, retries=retries)
            )

        self._new_link = link
        self._link = link()
        self._pace = Pace()
        self._maker = MailboxMaker(account)

    @property
    def key(self) -> str:
        """Name the destination for the ledger."""
        return self._key

    def capabilities(self) -> Sequence[str]:
        """Return what the server announced after login, upper case, sorted."""
        return sorted(word.decode("ascii", "replace") for word in self._link.session.capabilities)

    def mailboxes(self) -> Sequence[Mailbox]:
        """List the personal mailboxes, in the server's order, with their states; INBOX also where
        the server leaves it out, lest what it holds is sent again.
        """
        found = self._trying(lambda: list_mailboxes(self._link.session).mailboxes)
        if all(mailbox.path != INBOX for mailbox in found):
            state = self._trying(lambda: inbox_state(self._link.session))
            found.append(Mailbox(INBOX, subscribed=True, state=state))
        self._names = self._link.session.names
        # One that has no state may be a name without a mailbox: Dovecot lists the parents of what
        # exists. Making it anew does no harm.
        self._maker.existing = {
            mailbox.path for mailbox in found if mailbox.selectable and mailbox.state is not None
        }
        self._maker.empty = {
            mailbox.path
            for mailbox in found
            if mailbox.state is not None and not mailbox.state.messages
        }
        return found

    def create(self, wanted: Sequence[Mailbox]) -> Mapping[MailboxPath, MailboxError | None]:
        """Make what is missing, subscribe where wanted, and learn which flags each mailbox keeps:
        all in one flight.

        A server that says a mailbox exists already, in any words, is believed when the mailbox can
        be selected. One that refuses a name is offered plainer ones, and one that writes a name in
        its own way is believed; `instead` returns what the mailboxes are called then.
        """
        return self._trying(lambda: self._made(wanted))

    def fitted(self, mailboxes: Sequence[MailboxPath]) -> Mapping[MailboxPath, MailboxPath]:
        """Return the paths under which the server would list these mailboxes, each another one."""
        return self._trying(lambda: fitted(self._named().names, mailboxes))

    def instead(self) -> Mapping[MailboxPath, MailboxPath]:
        """Return which mailboxes `create` made under other names, because the server refused
        their own or writes them otherwise.
        """
        return self._maker.instead

    def opened(self, mailbox: MailboxPath) -> SyncState | None:
        """Return the state of a mailbox when `create` opened it, asked for where the server did not
        tell it; None where it was not opened. Raises MailboxError.
        """
        if mailbox not in self._maker.opened:
            return None
        return self._maker.opened[mailbox] or self.state(mailbox)

    def rooms(self, mailboxes: Sequence[MailboxPath]) -> Sequence[Room]:
        """Return how much the quotas of these mailboxes still let in; nothing where the server
        tells of none.
        """
        return self._trying(lambda: rooms(self._named(), mailboxes))

    def state(self, mailbox: MailboxPath) -> SyncState:
        """Return the mailbox's state now (STATUS). Raises MailboxError."""
        return self._trying(lambda: asked_state(self._link.session, mailbox))

    def presence(self, mailbox: MailboxPath, first_uid: int = 1) -> Iterator[Present]:
        """List messages from `first_uid` on with their header blocks, each once, also when the
        connection breaks meanwhile.
        """
        seen: set[UidRef] = set()
        while True:
            try:
                for present in list_present(self._link, self.account, mailbox, first_uid, seen):
                    ref = present.entry.ref
                    if isinstance(ref, UidRef) and ref not in seen:
                        seen.add(ref)
                        self._link.progressed()
                        yield present
            except StoreUnavailable as error:
                self._link.recover(error)
            else:
                return

    def bodies(self, mailbox: MailboxPath, uids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Bring contents in one flight, each once, also when the connection breaks meanwhile."""
        rest = dict.fromkeys(uids)
        while rest:
            try:
                for uid, body in list_bodies(self._link, self.account, mailbox, list(rest)):
                    if uid in rest:
                        del rest[uid]
                        self._link.progressed()
                        yield uid, body
            except StoreUnavailable as error:
                self._link.recover(error)
            else:
                return

    def append(self, parcels: Iterable[Parcel]) -> Iterator[Appended | Refused | Unanswered]:
        """Add each parcel by the fastest way the server offers; see `Destination.append`."""
        session = self._trying(self._named)
        policy = AppendPolicy(
            self.account,
            repair=self._repair,
            limit=_limit(session.capabilities),
            permanent=self._permanent_flags,
        )
        if session.has(b"LITERAL+") or self._connections == 1:
            return append_pipelined(self._link, policy, parcels, self._pace)
        return append_in_parallel(
            self._link,
            self._new_link,
            policy,
            parcels,
            connections=self._connections,
            note=self._note,
        )

    def set_flags(
        self, mailbox: MailboxPath, changes: Mapping[int, tuple[frozenset[str], frozenset[str]]]
    ) -> Sequence[int]:
        """Add and remove flags, equal changes together; returns the UIDs that are still there.

        Raises MailboxError.
        """
        return self._trying(lambda: store_flags(self._link, mailbox, changes))

    def close(self) -> None:
        """Say goodbye without waiting; idempotent."""
        self._link.close()

    def _trying(self, ask: Callable[[], Done]) -> Done:
        """Do something that may be done twice, again after a broken connection."""
        while True:
            try:
                done = ask()
            except StoreUnavailable as error:
                self._link.recover(error)
            else:
                self._link.progressed()
                return done

    def _made(self, wanted: Sequence[Mailbox]) -> Mapping[MailboxPath, MailboxError | None]:
        self._named()
        return self._maker.make(self._link, wanted)

    def _named(self) -> Session:
        """Return a session whose mailbox names are known."""
        self._names = self._link.session.names
        return self._link.session

    def _permanent_flags(self, mailbox: MailboxPath) -> frozenset[str] | None:
        """Return the flags a mailbox keeps, as `create` learned them; None, which lets everything
        be tried, where it was not asked.
        """
        return self._maker.permanent.get(mailbox)


def _limit(capabilities: frozenset[bytes]) -> int | None:
    """Read APPENDLIMIT (RFC 7889); None when there is none that holds for all mailboxes."""
    for word in capabilities:
        name, _, number = word.partition(b"=")
        if name == b"APPENDLIMIT" and number.isdigit():
            return int(number)
    return None
