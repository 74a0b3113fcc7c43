"""What a store can do, as narrow protocols; nothing here does anything.

Words: a *scan* lists a mailbox without content, a *fetch* brings content, an *append* adds a
message. All iterators are lazy and must be consumed in the thread that created them; stores look
ahead inside, bounded by octets. A store raises `StoreUnavailable` (or a child of it) when the
account cannot go on, and `MailboxError` only where a method says so; library errors never get out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from mailsync.errors import MailboxError
from mailsync.model import (
    Appended,
    Entry,
    Excerpt,
    Mailbox,
    MailboxPath,
    Message,
    Parcel,
    Present,
    Refused,
    Room,
    Scan,
    ScanRequest,
    SyncState,
    Unanswered,
    Unfetched,
)


class Store(Protocol):
    """A logged-in connection to one account; `close` says goodbye without waiting and is
    idempotent.
    """

    account: str

    def mailboxes(self) -> Sequence[Mailbox]:
        """List the mailboxes there are, in the server's order, `\\Noselect` parents included."""

    def capabilities(self) -> Sequence[str]:
        """Return what the server announced after login, upper case, sorted."""

    def close(self) -> None:
        """End the session."""


class Source(Store, Protocol):
    """Where mail comes from. Nothing a source does changes the server."""

    def scan(self, requests: Iterable[ScanRequest]) -> Iterator[Scan | MailboxError]:
        """Look at each mailbox in turn; one result a request, in order, several in flight.

        A mailbox that cannot be looked at (removed meanwhile, refused) is yielded as a
        `MailboxError`, not raised.
        """

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        """Bring the content of each wanted entry; exactly one result an entry, in any order.

        `wanted` is read lazily, only as far ahead as the window of octets in flight allows. A
        connection that breaks is opened again and what is missing asked for anew; only when retries
        are used up is `ConnectionLost` raised.
        """


@runtime_checkable
class ListingSource(Protocol):
    """A source whose list of mailboxes may hold lines that nobody can read."""

    def unreadable(self) -> Sequence[str]:
        """Return those lines of the last list, as shown to people; while there are any, a mailbox
        that the list does not name may be there all the same.
        """


@runtime_checkable
class HeaderSource(Protocol):
    """A source that can send header blocks alone."""

    def headers(self, wanted: Iterable[Entry]) -> Iterator[Excerpt]:
        """Bring the header block (with its blank line) of each entry; entries the server lost
        meanwhile are left out.
        """


@runtime_checkable
class TailSource(Protocol):
    """A source that can send the end of a message alone, or any piece of it."""

    def tails(self, wanted: Iterable[Entry], octets: int) -> Iterator[Excerpt]:
        """Bring the last `octets` octets of each entry, by its announced size; lost entries are
        left out.
        """

    def pieces(
        self, wanted: Iterable[Entry], start: Callable[[Entry], int], octets: int
    ) -> Iterator[Excerpt]:
        """Bring so many octets of each entry from a place on; lost entries are left out."""


@runtime_checkable
class BeginningSource(Source, Protocol):
    """A source that can send the beginning of a message alone, and whose refs may come to name
    other messages unseen: POP3.
    """

    def beginnings(self, wanted: Iterable[Entry], lines: int) -> Iterator[Excerpt]:
        """Bring the header block and the first `lines` of the body of each entry, as far as the
        server shows them.
        """


@runtime_checkable
class PortioningSource(Source, Protocol):
    """A source that may show a part of a mailbox only, and the next part in another session: POP3
    as Gmail has it.
    """

    def shows_portions(self) -> bool:
        """Return whether the last scan may be a part of what there is."""

    def renew(self) -> None:
        """End the session well; the next scan begins another one."""


@runtime_checkable
class SelectiveSource(Protocol):
    """A source that may show what somebody chose to hand over: files."""

    def shows_a_selection(self) -> bool:
        """Return whether a mailbox that is not listed may be there all the same, INBOX too."""


@runtime_checkable
class WholeSource(Source, Protocol):
    """A source whose mailboxes may be known only once all of it was read."""

    def mark(self) -> int | None:
        """Return the HIGHESTMODSEQ that every mailbox would be listed with, without reading
        anything; None where they are known without that. Raises StoreUnavailable.
        """


@runtime_checkable
class DeletingSource(BeginningSource, Protocol):
    """A source from which messages may be deleted when its owner's policy says so: POP3, and
    nothing else.
    """

    def delete(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Delete messages listed in this session and end it; returns those of which the server
        confirmed both deletion and end.

        Nothing is given, and nothing deleted, when the connection ends otherwise (RFC 1939 section
        6).
        """


class Destination(Store, Protocol):
    """Where mail goes to.

    A destination only ever adds messages and sets flags it is told to; it deletes nothing.
    """

    @property
    def key(self) -> str:
        """Name the destination for the ledger: `imap://user@host:port`, whatever the account is
        called locally.
        """

    def create(self, wanted: Sequence[Mailbox]) -> Mapping[MailboxPath, MailboxError | None]:
        """Create and (where `subscribed`) subscribe these mailboxes, parents included; already
        there is success (None).
        """

    def state(self, mailbox: MailboxPath) -> SyncState:
        """Return the mailbox's state now. Raises MailboxError when there is none such."""

    def presence(self, mailbox: MailboxPath, first_uid: int = 1) -> Iterator[Present]:
        """List the messages from `first_uid` on with their header blocks, in windows.

        Raises MailboxError.
        """

    def bodies(self, mailbox: MailboxPath, uids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Bring the contents of these messages, each with its UID, in one flight; those that are
        gone are left out. Raises MailboxError.
        """

    def append(self, parcels: Iterable[Parcel]) -> Iterator[Appended | Refused | Unanswered]:
        """Add each parcel; exactly one result a parcel, in any order, by the fastest way the server
        offers.

        `parcels` is read lazily, when the window of octets in flight has room; it may name any
        mailboxes, best grouped. Verbatim first; a refused message is tried once more as a repaired
        copy unless repairs are off. A broken connection makes everything in flight `Unanswered`, is
        opened again, and the rest goes on; `OverQuota` and used-up retries are raised after the
        results of everything already answered were yielded.
        """

    def set_flags(
        self, mailbox: MailboxPath, changes: Mapping[int, tuple[frozenset[str], frozenset[str]]]
    ) -> Sequence[int]:
        """Add and remove flags, `{uid: (add, remove)}`; returns the UIDs that still exist.

        Raises MailboxError.
        """


@runtime_checkable
class OpeningDestination(Destination, Protocol):
    """A destination that opens the mailboxes it is told to create."""

    def opened(self, mailbox: MailboxPath) -> SyncState | None:
        """Return the state of a mailbox when `create` opened it; None where it did not. Raises
        MailboxError where it cannot be told.
        """


@runtime_checkable
class BoundedDestination(Destination, Protocol):
    """A destination that can tell how much it still takes."""

    def rooms(self, mailboxes: Sequence[MailboxPath]) -> Sequence[Room]:
        """Return what bounds these mailboxes, there already or not; several may share a bound, and
        one may have several or none.
        """


@runtime_checkable
class NamingDestination(Destination, Protocol):
    """A destination that cannot have every name."""

    def fitted(self, mailboxes: Sequence[MailboxPath]) -> Mapping[MailboxPath, MailboxPath]:
        """Return the path under which each of these would be listed there; no two are the same."""

    def instead(self) -> Mapping[MailboxPath, MailboxPath]:
        """Return which mailboxes `create` made under other paths, because the server refused their
        names.
        """
