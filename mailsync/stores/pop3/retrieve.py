"""Messages and header blocks brought by RETR and TOP, several asked for ahead where the server
pipelines (RFC 1939 sections 5 and 7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mailsync.errors import StoreUnavailable
from mailsync.model import Entry, Unfetched
from mailsync.stores.pop3.pipelining import WINDOW_COMMANDS, Flight
from mailsync.stores.pop3.reconnect import Pop3Connection
from mailsync.stores.pop3.session import Pop3Session

MOST_OCTETS: Final = 1 << 26
"""Octets a message may have that was announced with fewer, or with none."""


def retrieve(
    connection: Pop3Connection, wanted: Iterable[Entry], command: bytes
) -> Iterator[tuple[Entry, bytes | Unfetched]]:
    """Ask for each entry by `command` (`RETR %d`) and yield what came, one result an entry."""
    flight = Flight(wanted)
    session = connection.quiet()
    try:
        while True:
            ahead, unlisted = flight.ahead(
                WINDOW_COMMANDS if session.pipelines else 1, connection.listing.unlisted
            )
            for unfetched in unlisted:
                yield unfetched.entry, unfetched
            if session is not connection.session:
                # Whoever makes or takes the entries used the account meanwhile, and our answers
                # went with the connection.
                flight.back(ahead)
                session = connection.quiet()
                continue
            if not (ahead or flight.flying):
                if unlisted:
                    continue
                return
            try:
                got = _ask(connection, session, flight, ahead, command)
            except StoreUnavailable as error:
                flight.back()
                session = connection.again(session, error)
                continue
            yield flight.landed(), got
    finally:
        if flight.flying and session is connection.session:
            connection.drop()


def _ask(
    connection: Pop3Connection,
    session: Pop3Session,
    flight: Flight,
    ahead: Sequence[Entry],
    command: bytes,
) -> bytes | Unfetched:
    """Send the commands for `ahead`, and read the oldest answer in flight."""
    flight.begin(ahead)
    if ahead:
        numbers = map(connection.listing.number, ahead)
        session.send(*(command % number for number in numbers if number is not None))
    ok, said = session.reply()
    if ok:
        content = session.content(_most(flight.flying[0]))
        connection.progressed()
        connection.shown.add(connection.listing.number(flight.flying[0]) or 0)
        return content
    entry = flight.flying[0]
    busy = session.trouble(said, "fetching")
    if busy is not None and flight.hesitant is not entry:
        # Perhaps it means all messages, perhaps this one alone: a second refusal of the same
        # message tells.
        flight.hesitant = entry
        raise busy
    return Unfetched(entry, f"the server will not give it: {said}")


def _most(entry: Entry) -> int:
    """Return how many octets are taken for a message before the server is not believed any more.

    Sizes in LIST are estimates on some servers, so that twice as much is borne.
    """
    return max(MOST_OCTETS, 2 * (entry.size or 0))
