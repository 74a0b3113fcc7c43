"""Messages and header blocks brought by RETR and TOP, several asked for ahead where the server
pipelines (RFC 1939 sections 5 and 7), and no answer taken for another message's.

Over POP3 only their order tells answers apart: one too many, and every message behind it would get
its neighbour's name. So what comes must fit the size in LIST; where two messages asked for one
after the other have one size, `LIST n` behind the second shows that the answers are in step. What
does not fit is asked for once more, alone (`alone`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from mailsync.errors import ConnectionLost, ProtocolViolation, StoreUnavailable
from mailsync.model import Entry, Unfetched
from mailsync.stores.pop3.alone import Part, ask_alone, most_octets
from mailsync.stores.pop3.pipelining import WINDOW_COMMANDS, Doubt, Flight
from mailsync.stores.pop3.reconnect import Pop3Connection
from mailsync.stores.pop3.size import Fit, fit, fits_exactly, is_most
from mailsync.stores.refusals import NONE, Refusal

Got: TypeAlias = bytes | Part | Unfetched

_ATTEMPTS = 2
_CONFUSIONS = 6
"""So many messages in a row that nobody could make sense of: the server is not worth more."""


def retrieve(
    connection: Pop3Connection, wanted: Iterable[Entry], command: bytes
) -> Iterator[tuple[Entry, Got]]:
    """Ask for each entry by `command` (`RETR %d`) and yield what came, one result an entry."""
    return _Retrieval(connection, wanted, command).run()


class _Astray(ConnectionLost):
    """What came is no answer to this message's command; its connection is of no more use."""

    attempts = 0


class _Endless(_Astray):
    """A message went on far beyond what was announced: it is tried once more only."""

    attempts = 1


class _Retrieval:
    def __init__(self, connection: Pop3Connection, wanted: Iterable[Entry], command: bytes) -> None:
        self._connection = connection
        self._flight = Flight(wanted)
        self._command = command
        self._whole = command.startswith(b"RETR")
        self._session = connection.quiet()
        self._confused = 0
        self._refusal: Doubt | None = None

    def run(self) -> Iterator[tuple[Entry, Got]]:
        """Yield one result an entry."""
        flight, connection = self._flight, self._connection
        try:
            while True:
                if self._session is not connection.session:
                    # Whoever makes or takes the entries used the account meanwhile, and our answers
                    # went with the connection.
                    flight.back()
                    self._session = connection.quiet()
                if flight.doubts and not flight.flying:
                    yield from self._settle()
                    continue
                ahead, unlisted = flight.ahead(
                    WINDOW_COMMANDS if self._session.pipelines else 1, connection.listing.unlisted
                )
                for unfetched in unlisted:
                    yield unfetched.entry, unfetched
                if self._session is not connection.session:
                    flight.back(ahead)
                    continue
                if not (ahead or flight.flying):
                    if unlisted:
                        continue
                    return
                yield from self._next(ahead)
        finally:
            if flight.flying and self._session is connection.session:
                connection.drop()

    def _next(self, ahead: Sequence[Entry]) -> Iterator[tuple[Entry, Got]]:
        """Ask for what may be asked for, and yield the oldest answer in flight, unless it is
        doubtful.
        """
        flight = self._flight
        try:
            got = self._ask(ahead)
        except StoreUnavailable as error:
            self._doubt(None)
            if isinstance(error, _Astray):
                flight.doubts.append(Doubt(flight.landed(), attempts=error.attempts))
            if isinstance(error, ProtocolViolation) and flight.doubts:
                # What follows a message that ended too early is the rest of it.
                error = ConnectionLost(self._session.account, str(error))
            flight.back()
            self._session = self._connection.again(self._session, error)
            return
        marked = flight.marked[0]
        entry = flight.landed()
        if isinstance(got, Doubt):
            self._doubt(got)
            return
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            # It was this message's own, if behind it comes what surely is the next one's answer.
            exact = isinstance(got, bytes) and fits_exactly(entry.size, got)
            if marked or (exact and entry.size != refusal.entry.size):
                yield refusal.entry, _refused(refusal.entry, refusal.refusal or NONE)
            else:
                flight.doubts.append(refusal)
        self._confused = 0
        yield entry, got

    def _doubt(self, doubt: Doubt | None) -> None:
        """Put a doubt to the others; a refusal only once the next answer has not dispelled it."""
        if self._refusal is not None:
            self._flight.doubts.append(self._refusal)
        self._refusal = doubt if doubt and doubt.refusal and self._flight.flying else None
        if doubt is not None and self._refusal is None:
            self._flight.doubts.append(doubt)

    def _ask(self, ahead: Sequence[Entry]) -> bytes | Unfetched | Doubt:
        """Send the commands for `ahead`, and read the oldest answer in flight."""
        flight, session = self._flight, self._session
        if session.connection.buffered and not session.owed:
            raise ConnectionLost(session.account, f"{session.endpoint} said more than it was asked")
        session.send(*self._commands(ahead))
        entry = flight.flying[0]
        ok, said = session.reply()
        try:
            content = session.content(most_octets(entry)) if ok else b""
        except ProtocolViolation as error:
            raise _Endless(session.account, str(error)) from error
        if flight.marked[0]:
            if not session.pipelines:
                session.send(b"LIST %d" % (self._connection.listing.number(entry) or 0))
            self._demand_step(entry)
        if not ok:
            return self._refused(entry, said)
        self._connection.progressed()
        if self._whole and not self._is_credible(entry, content):
            return Doubt(entry, hashlib.sha256(content).digest())
        self._connection.shown.add(self._connection.listing.number(entry) or 0)
        return content

    def _commands(self, ahead: Iterable[Entry]) -> Iterator[bytes]:
        session = self._session
        for entry in ahead:
            number = self._connection.listing.number(entry) or 0
            yield self._command % number
            mark = session.pipelines or session.experience.astray
            marked = self._flight.begin(entry, mark=mark and session.experience.lists_one)
            if marked and session.pipelines:
                yield b"LIST %d" % number

    def _demand_step(self, entry: Entry) -> None:
        """Read the answer that shows whether the one before it was this entry's."""
        session = self._session
        line = session.line()
        told = [line.removeprefix(b"+OK")]
        if line.rstrip() == b"+OK" and session.connection.peek(1).isdigit():
            # It lists all messages though it was asked for one; that costs too much each time.
            told = session.lines()
            session.experience.lists_one = False
        number = b"%d" % (self._connection.listing.number(entry) or 0)
        if not any(line.split()[:1] == [number] for line in told):
            session.experience.one_at_a_time = session.experience.astray = True
            raise _Astray(
                session.account,
                f"the answers of {session.endpoint} are not those to what it was asked",
            )

    def _refused(self, entry: Entry, said: Refusal) -> Unfetched | Doubt:
        busy = self._session.trouble(said, "fetching")
        if busy is not None:
            if self._flight.hesitant is not entry:
                # Perhaps it means all messages, perhaps this one alone: a second refusal of the
                # same message tells.
                self._flight.hesitant = entry
                raise busy
        elif self._whole and not self._flight.marked[0]:
            # Perhaps it is the answer to nothing at all, and this entry's comes behind it.
            return Doubt(entry, refusal=said)
        return _refused(entry, said)

    def _is_credible(self, entry: Entry, content: bytes) -> bool:
        """Return whether what came is surely, and wholly, the message that was asked for."""
        found = fit(entry.size, content)
        if found is Fit.EXACT:
            return True
        if content.startswith((b"+OK", b"-ERR")) or self._is_a_neighbours(entry, content):
            return False
        if found is Fit.SHORT:
            estimates = self._session.experience.estimates
            return estimates and is_most(entry.size, content)
        # A message that a lone dot cut ends before something that is no answer.
        return not self._session.owed or self._session.connection.peek(1) in {b"+", b"-"}

    def _is_a_neighbours(self, entry: Entry, content: bytes) -> bool:
        number = self._connection.listing.number(entry) or 0
        entries = self._connection.listing.entries
        near = (entries.get(number + step) for step in (-2, -1, 1, 2))
        return any(other is not None and fits_exactly(other.size, content) for other in near)

    def _settle(self) -> Iterator[tuple[Entry, Got]]:
        """Ask for a doubtful message alone, in a session that owes nothing, and yield it."""
        doubt = self._flight.doubts.popleft()
        unlisted = self._connection.listing.unlisted(doubt.entry)
        if unlisted is not None:
            yield doubt.entry, unlisted
            return
        number = self._connection.listing.number(doubt.entry) or 0
        try:
            got = ask_alone(self._session, doubt, number)
        except StoreUnavailable as error:
            yield from self._unsettled(doubt, error)
            return
        content = got.content if isinstance(got, Part) else got
        if isinstance(content, bytes) and (
            fit(doubt.entry.size, content) in {Fit.SHORT, Fit.LONG}
            and self._is_a_neighbours(doubt.entry, content)
        ):
            got = Unfetched(doubt.entry, "the server sends another message in its place")
        if not isinstance(got, Unfetched):
            self._connection.progressed()
            self._connection.shown.add(number)
        self._confused = 0
        yield doubt.entry, got

    def _unsettled(self, doubt: Doubt, error: StoreUnavailable) -> Iterator[tuple[Entry, Got]]:
        """Try once more over another connection, then leave the message."""
        doubt.attempts += 1
        self._confused += 1
        if self._confused >= _CONFUSIONS:
            raise error
        if isinstance(error, ProtocolViolation):
            error = ConnectionLost(self._session.account, str(error))
        self._session = self._connection.again(self._session, error)
        if doubt.attempts < _ATTEMPTS:
            self._flight.doubts.appendleft(doubt)
            return
        yield doubt.entry, Unfetched(doubt.entry, f"it could not be fetched: {error}")


def _refused(entry: Entry, said: Refusal) -> Unfetched:
    return Unfetched(entry, f"the server will not give it: {said}")
