"""The table `ledger`: what was pushed where, and what is being pushed just now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path, write_flags, write_path
from mailsync.model import ArchivedMessage, LedgerKey, LedgerLine, MailboxPath, SyncState


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages sent to one mailbox under one UIDVALIDITY: `last` is the largest UID they got."""

    mailbox: MailboxPath
    uidvalidity: int
    last: int


class Destinations:
    """All destinations of which there are lines, by their keys."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def keys(self) -> list[str]:
        """Return their keys."""
        return [key for (key,) in self._sql.all("SELECT DISTINCT destination FROM ledger")]

    def sent(self, destination: str) -> list[Sent]:
        """Return what was sent to one, as far as its server told where it put it."""
        rows = self._sql.all(
            "SELECT mailbox, uidvalidity, max(uid) FROM ledger WHERE destination = ?"
            " AND uid IS NOT NULL AND uidvalidity IS NOT NULL GROUP BY mailbox, uidvalidity",
            (destination,),
        )
        return [Sent(read_path(mailbox), validity, last) for mailbox, validity, last in rows]


class Ledger:
    """The lines of one destination, each known by its mailbox there, identity and copy."""

    def __init__(self, sql: Connection, destination: str) -> None:
        self._sql = sql
        self._destination = destination

    def lines(self, mailbox: MailboxPath) -> dict[LedgerKey, LedgerLine]:
        """Return what is known of one mailbox, by (identity, copy)."""
        read = self._sql.flags.read
        rows = self._sql.all(
            "SELECT identity, copy, uidvalidity, uid, flags, state, uidnext, since, run FROM ledger"
            " WHERE destination = ? AND mailbox = ?",
            (self._destination, write_path(mailbox)),
        )
        return {
            (identity, copy): LedgerLine(
                validity,
                uid,
                read(flags),
                state == "intent",
                uidnext,
                since,
                state == "removed",
                state == "mangled",
                run,
            )
            for identity, copy, validity, uid, flags, state, uidnext, since, run in rows
        }

    def told(self, mailbox: MailboxPath) -> set[tuple[int, int, int]]:
        """Return under which UIDVALIDITY and UID messages were sent to a mailbox, with their sizes,
        as far as the destination told.
        """
        rows = self._sql.all(
            "SELECT l.uidvalidity, l.uid, m.size FROM ledger l"
            " JOIN messages m ON m.identity = l.identity"
            " WHERE l.destination = ? AND l.mailbox = ? AND l.state = 'sent' AND l.uid IS NOT NULL",
            (self._destination, write_path(mailbox)),
        )
        return {(validity, uid, size) for validity, uid, size in rows}

    def sent_again(self, run: int) -> list[tuple[MailboxPath, MailboxPath, LedgerKey]]:
        """Return what arrived in a run and had been sent to another mailbox in an earlier one: that
        mailbox, the new one, and the message.
        """
        rows = self._sql.all(
            "WITH now AS MATERIALIZED (SELECT mailbox, identity, copy FROM ledger"
            " WHERE destination = ?1 AND run = ?2 AND state = 'sent')"
            " SELECT before.mailbox, now.mailbox, now.identity, now.copy"
            " FROM ledger before JOIN now USING (identity, copy)"
            " WHERE before.destination = ?1 AND before.run < ?2 AND before.state = 'sent'"
            " AND before.mailbox <> now.mailbox",
            (self._destination, run),
        )
        return [
            (read_path(before), read_path(now), (identity, copy))
            for before, now, identity, copy in rows
        ]

    def newest(
        self, mailbox: MailboxPath, uidvalidity: int, most: int
    ) -> Mapping[int, Collection[bytes]]:
        """Return at most so many UIDs under which messages were sent to a mailbox, the newest
        first, each with the digests of its message.
        """
        uids = (
            "SELECT DISTINCT uid FROM ledger WHERE destination = ? AND mailbox = ?"
            " AND uidvalidity = ? AND state = 'sent' AND uid IS NOT NULL ORDER BY uid DESC LIMIT ?"
        )
        place = (self._destination, write_path(mailbox), uidvalidity)
        found: dict[int, set[bytes]] = {
            uid: set() for (uid,) in self._sql.all(uids, (*place, most))
        }
        rows = self._sql.all(
            "SELECT l.uid, m.digest FROM ledger l JOIN messages m ON m.identity = l.identity"
            " WHERE l.destination = ? AND l.mailbox = ? AND l.uidvalidity = ? AND l.state = 'sent'"
            " AND l.uid >= ?",
            (*place, min(found, default=0)),
        )
        for uid, digest in rows:
            found.setdefault(uid, set()).add(digest)
        return found

    def intend(
        self,
        mailbox: MailboxPath,
        state: SyncState,
        messages: Sequence[ArchivedMessage],
        *,
        run: int,
        now: int,
    ) -> None:
        """Record that these messages are about to be appended to a mailbox in this state."""
        self._sql.execute_each(
            "INSERT OR REPLACE INTO ledger (destination, mailbox, identity, copy, state,"
            " uidvalidity, uid, flags, uidnext, since, run)"
            " VALUES (?, ?, ?, ?, 'intent', ?, NULL, ?, ?, ?, ?)",
            (
                (
                    self._destination,
                    write_path(mailbox),
                    message.identity,
                    message.copy,
                    state.uidvalidity,
                    write_flags(message.flags),
                    state.uidnext,
                    now,
                    run,
                )
                for message in messages
            ),
        )

    def settle(
        self,
        mailbox: MailboxPath,
        key: LedgerKey,
        place: tuple[int | None, int | None],
        flags: frozenset[str],
        *,
        run: int,
        now: int,
    ) -> None:
        """Record that a message is there, at `place` (UIDVALIDITY, UID) as far as that is known."""
        self._sql.execute(
            "INSERT OR REPLACE INTO ledger (destination, mailbox, identity, copy, state,"
            " uidvalidity, uid, flags, uidnext, since, run)"
            " VALUES (?, ?, ?, ?, 'sent', ?, ?, ?, 0, ?, ?)",
            (
                self._destination,
                write_path(mailbox),
                *key,
                *place,
                write_flags(flags),
                now,
                run,
            ),
        )

    def withdraw(self, mailbox: MailboxPath, key: LedgerKey, state: str) -> None:
        """Drop a line that is in this state: an intent that came to nothing, or a message sent that
        is not there.
        """
        self._sql.execute(
            "DELETE FROM ledger WHERE destination = ? AND mailbox = ?"
            " AND identity = ? AND copy = ? AND state = ?",
            (self._destination, write_path(mailbox), *key, state),
        )

    def set_flags(self, mailbox: MailboxPath, key: LedgerKey, flags: frozenset[str]) -> None:
        """Record the flags last sent for a message."""
        self._sql.execute(
            "UPDATE ledger SET flags = ?"
            " WHERE destination = ? AND mailbox = ? AND identity = ? AND copy = ?",
            (write_flags(flags), self._destination, write_path(mailbox), *key),
        )

    def mark(self, mailbox: MailboxPath, keys: Iterable[LedgerKey], state: str) -> None:
        """Record of messages that were sent that they were `removed` on the destination since, or
        are there `mangled`.
        """
        self._sql.execute_each(
            "UPDATE ledger SET state = ?"
            " WHERE destination = ? AND mailbox = ? AND identity = ? AND copy = ?",
            ((state, self._destination, write_path(mailbox), *key) for key in keys),
        )
