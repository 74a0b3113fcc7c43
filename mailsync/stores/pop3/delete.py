"""Messages deleted by DELE and QUIT, which alone makes it true (RFC 1939 section 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailsync.errors import StoreUnavailable
from mailsync.model import Entry
from mailsync.stores.pop3.pipelining import WINDOW_COMMANDS
from mailsync.stores.pop3.reconnect import Pop3Connection


def delete(connection: Pop3Connection, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Delete messages and end the session; returns those that are really gone.

    Nothing is deleted unless this very session has just shown these messages' headers or contents,
    and nothing is gone unless the server answers QUIT well: after any failure it keeps everything,
    or the next listing tells what it kept.
    """
    session = connection.deletable()
    if session is None or not entries:
        return []
    marked: list[Entry] = []
    try:
        known = list(_shown(connection, entries))
        together = WINDOW_COMMANDS if session.pipelines else 1
        for start in range(0, len(known), together):
            burst = known[start : start + together]
            session.send(*(b"DELE %d" % number for _, number in burst))
            marked += [entry for entry, _ in burst if session.reply()[0]]
        session.send(b"QUIT")
        confirmed, _ = session.reply()
    except StoreUnavailable:
        confirmed = False
    connection.session = None
    session.connection.close()
    return marked if confirmed else []


def _shown(connection: Pop3Connection, entries: Sequence[Entry]) -> Iterator[tuple[Entry, int]]:
    """Yield those that this session listed with this size and then showed, with their numbers."""
    listing = connection.listing
    for entry in entries:
        number = listing.number(entry)
        if number in connection.shown and listing.entries[number].size == entry.size:
            yield entry, number
