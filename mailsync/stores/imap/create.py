"""Making the mailboxes of a destination, all in one flight (RFC 9051 sections 6.3.4 and 6.3.7),
under plainer names where it must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailsync.errors import MailboxError, StoreUnavailable
from mailsync.mapping import respelled, show
from mailsync.model import INBOX, Mailbox, MailboxPath, SyncState
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.examine import Examined
from mailsync.stores.imap.list import OUTSTANDING
from mailsync.stores.imap.list_response import listed
from mailsync.stores.imap.permanent_flags import permanent_flags
from mailsync.stores.imap.plainer_names import proposals
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.response import Result
from mailsync.stores.imap.search import searched
from mailsync.stores.imap.search_check import exists_of
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import is_about_the_name, trouble
from mailsync.stores.retry import longer


@dataclass(frozen=True, slots=True)
class _Flight:
    """The commands about one mailbox: CREATE where it is not known to be there, SELECT, and UID
    SEARCH where it is said to be empty.
    """

    mailbox: Mailbox
    made: Command | None
    selected: Command
    search: Command | None


class MailboxMaker:
    """What is known of the mailboxes of one destination, and how more are made.

    `existing`: those that can be selected. `empty`: those of them that a list says hold nothing.
    `permanent`: the flags each keeps, None where the server
    did not say. `opened`: the state each had when it was selected, None where the server did not
    tell it. `instead`: those that are called otherwise there, and how.
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self.existing: set[MailboxPath] = set()
        self.empty: set[MailboxPath] = set()
        self.permanent: dict[MailboxPath, frozenset[str] | None] = {}
        self.opened: dict[MailboxPath, SyncState | None] = {}
        self.instead: dict[MailboxPath, MailboxPath] = {}
        self._listing: Command | None = None

    def make(
        self, link: ReconnectingSession, wanted: Sequence[Mailbox]
    ) -> dict[MailboxPath, MailboxError | None]:
        """Make what is missing and learn which flags each mailbox keeps.

        A mailbox that can be selected is there, whatever was said. What was made stays made when a
        server is busy in between. Raises StoreUnavailable.
        """
        special = link.session.has(b"CREATE-SPECIAL-USE")
        self._listing = None
        unlisted = [mailbox for mailbox in wanted if mailbox.path not in self.existing]
        refusals = self._flight(link, wanted, special=special)
        # A server may make the mailbox but not give it the role (RFC 6154 section 3).
        plain = [
            mailbox
            for mailbox in wanted
            if special and mailbox.special_use and refusals[mailbox.path] is not None
        ]
        refusals |= self._flight(link, plain, special=False)
        taken = {mailbox.path for mailbox in wanted}
        self._take_respellings(link, unlisted, refusals, taken)
        self._make_below_inbox(link, wanted, refusals, taken)
        for mailbox in wanted:
            refusal = refusals[mailbox.path]
            if refusal is not None and is_about_the_name(refusal.said):
                refusals[mailbox.path] = self._made_plainer(link, mailbox, refusal, taken)
        return {
            mailbox.path: None if refusal is None else self._not_made(mailbox, refusal)
            for mailbox in wanted
            for refusal in [refusals[mailbox.path]]
        }

    def _take_respellings(
        self,
        link: ReconnectingSession,
        unlisted: Sequence[Mailbox],
        refusals: dict[MailboxPath, Result | None],
        taken: set[MailboxPath],
    ) -> None:
        """Find mailboxes under the names that the server really gave them; one that it takes for
        another of those wanted counts as refused.
        """
        listed_now = self._listed_now(link.session)
        for mailbox in unlisted:
            if mailbox.path == INBOX or mailbox.path in listed_now:
                continue
            path = respelled(mailbox.path, listed_now)
            if path in taken:
                refusals[mailbox.path] = Result(b"NO", words=b"it is another's name")
            elif path is not None and self._opens(link, mailbox, path, taken):
                refusals[mailbox.path] = None

    def _listed_now(self, session: Session) -> set[MailboxPath]:
        """Return which mailboxes are listed since the last flight made some; none where it did
        not.
        """
        listing, self._listing = self._listing, None
        if listing is None:
            return set()
        session.queue.wait(listing)
        lines = [line for line in map(listed, listing.answers) if line and line.name]
        paths = [
            session.names.learn(line.name, line.delimiter)
            for line in lines
            if "\\Noselect" not in line.attributes
        ]
        return {path for path in paths if path is not None}

    def _opens(
        self,
        link: ReconnectingSession,
        mailbox: Mailbox,
        path: MailboxPath,
        taken: set[MailboxPath],
        *,
        new: bool = False,
    ) -> bool:
        """Return whether a mailbox can be had under another path, a `new` or a listed one; if so,
        it is known by that.
        """
        if not new:
            self.existing.add(path)
        if self._flight(link, [replace(mailbox, path=path)], special=False)[path] is not None:
            other = respelled(path, self._listed_now(link.session)) if new else None
            return (
                other is not None
                and other not in taken
                and self._opens(link, mailbox, other, taken)
            )
        self.instead[mailbox.path] = path
        taken.add(path)
        return True

    def _make_below_inbox(
        self,
        link: ReconnectingSession,
        wanted: Sequence[Mailbox],
        refusals: dict[MailboxPath, Result | None],
        taken: set[MailboxPath],
    ) -> None:
        """Make refused mailboxes below INBOX where nothing is listed beside it: that is how a
        server without NAMESPACE shows that it has mailboxes nowhere else.
        """
        refused = [
            replace(mailbox, path=(*INBOX, *mailbox.path))
            for mailbox in wanted
            if refusals[mailbox.path] is not None
            and mailbox.path[0] != "INBOX"
            and (*INBOX, *mailbox.path) not in taken
        ]
        beside = {path for path in self.existing if path[0] != "INBOX"}
        session = link.session
        if not refused or beside or session.has(b"NAMESPACE") or not session.names.delimiter:
            return
        for path, refusal in self._flight(link, refused, special=False).items():
            if refusal is None:
                self.instead[path[1:]] = path
                taken.add(path)
                refusals[path[1:]] = None

    def _made_plainer(
        self,
        link: ReconnectingSession,
        mailbox: Mailbox,
        refusal: Result,
        taken: set[MailboxPath],
    ) -> Result | None:
        """Try plainer names; these are few, so each may wait. Returns the refusal if none helps."""
        for path in proposals(mailbox.path):
            if path not in taken and self._opens(link, mailbox, path, taken, new=True):
                return None
        return refusal

    def _flight(
        self, link: ReconnectingSession, wanted: Sequence[Mailbox], *, special: bool
    ) -> dict[MailboxPath, Result | None]:
        """Send CREATE, SUBSCRIBE and SELECT for all, again for those that a busy server put off;
        returns what was refused, and None for what can be selected.
        """
        found: dict[MailboxPath, Result | None] = {}
        rest = list(wanted)
        while rest:
            busy: StoreUnavailable | None = None
            put_off: list[Mailbox] = []
            flights = self._send(link, rest, special=special)
            for flight in flights:
                mailbox = flight.mailbox
                stop = self._judge(link.session, flight, found)
                if stop is not None:
                    busy = longer(busy, stop)
                    put_off.append(mailbox)
            if len(put_off) < len(rest):
                link.progressed()
            rest = put_off
            if busy is not None:
                link.recover(busy)
        return found

    def _judge(
        self,
        session: Session,
        flight: _Flight,
        found: dict[MailboxPath, Result | None],
    ) -> StoreUnavailable | None:
        """Take in the answers about one mailbox; returns why it must be asked for later."""
        mailbox, made, selected = flight.mailbox, flight.made, flight.selected
        result = session.queue.wait(selected)
        if result.ok:
            self.existing.add(mailbox.path)
            self.permanent[mailbox.path] = permanent_flags(selected)
            state = Examined(mailbox.path, session, selected).state
            told = exists_of(selected) is not None and state.uidvalidity
            self.opened[mailbox.path] = _searched(session, flight, state) if told else None
            found[mailbox.path] = None
            return None
        refused = None if made is None or made.result is None else made.result.refusal
        for refusal, doing in (
            (refused, "making a mailbox"),
            (result.refusal, "opening a mailbox"),
        ):
            stop = trouble(self._account, refusal, doing)
            if stop is not None:
                return stop
        found[mailbox.path] = result if made is None or refused is None else made.result
        return None

    def _send(
        self, link: ReconnectingSession, wanted: Sequence[Mailbox], *, special: bool
    ) -> list[_Flight]:
        """Send the commands: each mailbox with its CREATE, if it needs one, its SELECT and, where
        it is said to be empty, a SEARCH; a LIST after them tells how the server wrote the names of
        what it made.
        """
        session, self._listing = link.session, None
        flights: list[_Flight] = []
        waiting = 0
        for mailbox in wanted:
            while session.queue.outstanding > OUTSTANDING:
                session.queue.wait(flights[waiting].selected)
                waiting += 1
            name = session.mailbox(session.names.written(mailbox.path))
            made = None
            if mailbox.path not in self.existing:
                role = min(mailbox.special_use, default="") if special else ""
                made = session.queue.send(
                    b"CREATE ", name, b" (USE (" + role.encode("ascii") + b"))" if role else b""
                )
            if mailbox.subscribed:
                session.queue.send(b"SUBSCRIBE ", name)
            selected = session.queue.send(b"SELECT ", name)
            asks = made is not None or mailbox.path in self.empty
            search = session.queue.send(b"UID SEARCH ALL") if asks else None
            flights.append(_Flight(mailbox, made, selected, search))
        link.forget_selected()
        link.leave()
        if any(flight.made is not None for flight in flights):
            self._listing = session.queue.send(b'LIST "" "*"')
        return flights

    def _not_made(self, mailbox: Mailbox, refusal: Result) -> MailboxError:
        words = refusal.text or "no reason given"
        return MailboxError(
            self._account,
            mailbox.path,
            f"the server will not make mailbox {show(mailbox.path)}: {words}; give it another name"
            " with `map:`",
        )


def _searched(session: Session, flight: _Flight, state: SyncState) -> SyncState:
    """Return the state of a mailbox; of one whose counters say that nothing was ever in it (those
    of an index that was lost) by what a search finds.
    """
    if flight.search is None or state.messages or state.uidnext > 1:
        return state
    found = searched(flight.search) if session.queue.wait(flight.search).ok else []
    if not found:
        return state
    return replace(state, messages=len(set(found)), uidnext=max(found) + 1)
