"""Flags changed by UID STORE, and which messages are still there (RFC 9051 section 6.4.6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from mailsync.model import SYSTEM_FLAGS, MailboxPath
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.fetch_response import line_of
from mailsync.stores.imap.list import OUTSTANDING
from mailsync.stores.imap.permanent_flags import allowed, permanent_flags
from mailsync.stores.imap.presence import WINDOW
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.search import searched
from mailsync.stores.imap.session import Session
from mailsync.stores.imap.uid_set import uid_set
from mailsync.stores.refusals import trouble


def store_flags(
    link: ReconnectingSession,
    mailbox: MailboxPath,
    changes: Mapping[int, tuple[frozenset[str], frozenset[str]]],
) -> list[int]:
    """Add and remove flags, equal changes together, and look which messages are there, all in
    flight behind one SELECT's answer; returns the UIDs that are. Raises MailboxError.
    """
    session = link.session
    link.forget_selected()
    selected = session.queue.send(b"SELECT ", session.mailbox(session.names.written(mailbox)))
    session.done(selected, mailbox)
    stores = _alike(changes, permanent_flags(selected))
    flights = _in_flight(
        session, [*map(_store, stores), *(b"UID SEARCH UID " + some for some in _sets(changes))]
    )
    refused = [
        store
        for command, store in zip(flights, stores, strict=False)
        if not _stored(session, command, store[1], mailbox)
    ]
    for command in flights[len(stores) :]:
        session.done(command, mailbox)
    # What remains without the keywords must be taken.
    system = [
        (sign, flags & SYSTEM_FLAGS, some) for sign, flags, some in refused if flags & SYSTEM_FLAGS
    ]
    for command in _in_flight(session, [_store(one) for one in system]):
        session.done(command, mailbox)
    existing = _existing(session, mailbox, changes.keys(), flights)
    link.leave()  # GNU Mailutils makes flags known when the mailbox is left
    return [uid for uid in changes if uid in existing]


def _existing(
    session: Session, mailbox: MailboxPath, uids: Collection[int], flights: Sequence[Command]
) -> set[int]:
    """Return which messages are there. What is called gone is never sent again, so a search alone
    does not settle it. Raises MailboxError.
    """
    # Dovecot answers a search before it says that an earlier change is done, so any command may
    # have got the answer.
    existing = {uid for command in flights for uid in searched(command)}
    unseen = [uid for uid in uids if uid not in existing]
    asks = [b"UID FETCH " + some + b" (UID FLAGS)" for some in _sets(unseen)]
    for command in _in_flight(session, asks):
        session.done(command, mailbox)
        lines = (line_of(answer, session.account) for answer in command.answers)
        existing |= {line.uid for line in lines if line is not None and line.uid}
    return existing


def _alike(
    changes: Mapping[int, tuple[frozenset[str], frozenset[str]]], permanent: frozenset[str] | None
) -> list[tuple[bytes, frozenset[str], bytes]]:
    """Put equal changes together: sign, flags, and a set of UIDs."""
    alike: dict[tuple[bytes, frozenset[str]], list[int]] = {}
    for uid, (add, remove) in changes.items():
        for sign, flags in (
            (b"+", allowed(add, permanent)),
            (b"-", allowed(remove, permanent)),
        ):
            if flags:
                alike.setdefault((sign, flags), []).append(uid)
    return [(sign, flags, some) for (sign, flags), uids in alike.items() for some in _sets(uids)]


def _stored(
    session: Session, command: Command, flags: frozenset[str], mailbox: MailboxPath
) -> bool:
    """Return whether a change was made; a refusal that keywords may be the reason for is none
    yet. Raises MailboxError.
    """
    result = session.queue.wait(command)
    if flags <= SYSTEM_FLAGS or result.ok:
        return session.done(command, mailbox).ok
    stop = trouble(session.account, result.refusal, "changing flags")
    if stop is not None:
        raise stop
    return False


def _in_flight(session: Session, lines: Sequence[bytes]) -> list[Command]:
    """Send commands, as many in flight as is safe."""
    flights: list[Command] = []
    waiting = 0
    for line in lines:
        while session.queue.outstanding > OUTSTANDING:
            session.queue.wait(flights[waiting])
            waiting += 1
        flights.append(session.queue.send(line))
    return flights


def _store(change: tuple[bytes, frozenset[str], bytes]) -> bytes:
    """Write the command for one change of some messages."""
    sign, flags, uids = change
    return (
        b"UID STORE "
        + uids
        + b" "
        + sign
        + b"FLAGS.SILENT ("
        + " ".join(sorted(flags)).encode("ascii")
        + b")"
    )


def _sets(uids: Iterable[int]) -> Iterator[bytes]:
    """Write UIDs as sets short enough for one command line."""
    ordered = sorted(uids)
    return (uid_set(ordered[start : start + WINDOW]) for start in range(0, len(ordered), WINDOW))
