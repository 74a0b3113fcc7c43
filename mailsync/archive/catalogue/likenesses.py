"""Which stored content may be that of a message a server shows, by what it says of the message."""

from __future__ import annotations

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path, write_path
from mailsync.model import Entry, MailboxPath, UidlRef, UidRef


class Likenesses:
    """Questions about the contents under names that servers gave."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def named(self, account: int, entry: Entry) -> bytes | None:
        """Return the digest of the message that was last fetched under the UIDL of an entry, with
        its size, where it is stored as it was.
        """
        if not isinstance(entry.ref, UidlRef):
            return None
        row = self._sql.one(
            "SELECT p.digest FROM placements p"
            " JOIN mailboxes b ON b.id = p.mailbox"
            " JOIN files f ON f.id = p.file"
            " JOIN messages m ON m.id = f.message"
            " WHERE b.account = ? AND p.uid IS NULL AND p.uidl = ? AND +p.size IS ?"
            " AND p.retired = 0 AND p.digest = m.digest",
            account,
            entry.ref.uidl,
            entry.size,
        )
        return row[0] if row else None

    def same_object(self, account: int, entry: Entry) -> bytes | None:
        """Return the stored digest of a message to which the account's server gave this object id,
        size and INTERNALDATE; None where it gave them to several.
        """
        rows = self._sql.all(
            "SELECT DISTINCT s.digest FROM placements p"
            " JOIN mailboxes m ON m.id = p.mailbox"
            " JOIN files f ON f.id = p.file"
            " JOIN messages s ON s.id = f.message"
            " WHERE p.object_id = ? AND m.account = ? AND f.state = 'sound'"
            " AND +p.size = ? AND +p.internaldate = ? LIMIT 2",
            (entry.object_id, account, entry.size, entry.internaldate),
        )
        return rows[0][0] if len(rows) == 1 else None

    def same_place(self, account: int, entry: Entry, header: bytes) -> bytes | None:
        """Return the digest of the sound content of a mailbox, if it is the only one, that has lost
        its UID and has this size, INTERNALDATE and header.
        """
        # CROSS JOIN: begin with the few contents of that size.
        rows = self._sql.all(
            "SELECT DISTINCT m.digest FROM messages m"
            " CROSS JOIN files f ON f.message = m.id"
            " CROSS JOIN placements p ON p.file = f.id"
            " CROSS JOIN mailboxes b ON b.id = p.mailbox"
            " CROSS JOIN folders d ON d.id = b.folder"
            " WHERE m.size = ? AND m.header = ? AND f.internaldate = ? AND f.state = 'sound'"
            " AND (p.retired OR p.unconfirmed) AND p.uid IS NOT NULL"
            " AND b.account = ? AND d.path = ? LIMIT 2",
            (entry.size, header, entry.internaldate, account, write_path(entry.ref.mailbox)),
        )
        return rows[0][0] if len(rows) == 1 else None

    def named_here(self, account: int, entry: Entry, digest: bytes, before_run: int) -> bool:
        """Return whether the mailbox of an entry held this content before a run, under a name of
        the same numbering: a UID of this UIDVALIDITY, a UIDL.
        """
        uid = isinstance(entry.ref, UidRef)
        # CROSS JOIN: begin with the one content.
        row = self._sql.one(
            "SELECT 1 FROM messages m"
            " CROSS JOIN files f ON f.message = m.id"
            " CROSS JOIN placements p ON p.file = f.id"
            " CROSS JOIN mailboxes b ON b.id = p.mailbox"
            " CROSS JOIN folders d ON d.id = b.folder"
            " WHERE m.digest = ? AND NOT p.retired AND NOT p.unconfirmed AND p.first_run < ?"
            f" AND p.{'uid' if uid else 'uidl'} IS NOT NULL AND (? OR p.uidvalidity = ?)"
            " AND b.account = ? AND d.path = ? LIMIT 1",
            digest,
            before_run,
            not uid,
            entry.ref.uidvalidity if isinstance(entry.ref, UidRef) else 0,
            account,
            write_path(entry.ref.mailbox),
        )
        return row is not None

    def fetched(
        self, account: int, run: int, digest: bytes | None, path: MailboxPath | None
    ) -> list[tuple[Entry, bytes]]:
        """Return where an account has this content from fetching it, or, without a digest, what a
        run fetched from a mailbox, under names that still hold; each with its presence key.
        """
        chosen = "m.digest = ?"
        values: list[object] = [digest, account]
        if path is not None:
            chosen, values = "p.first_run = ? AND d.path = ?", [run, write_path(path), account]
        rows = self._sql.all(
            "SELECT d.path, p.uidvalidity, p.uid, p.uidl, p.size, m.presence FROM messages m"
            " JOIN files f ON f.message = m.id"
            " JOIN placements p ON p.file = f.id"
            " JOIN mailboxes b ON b.id = p.mailbox"
            " JOIN folders d ON d.id = b.folder"
            f" WHERE {chosen} AND b.account = ? AND p.digest = m.digest"
            " AND NOT p.retired AND NOT p.unconfirmed AND NOT p.matched AND p.gone_run IS NULL"
            " AND (p.uid IS NOT NULL OR p.uidl IS NOT NULL) AND p.size >= 0",
            tuple(values),
        )
        return [
            (
                Entry(
                    UidlRef(uidl, 0) if uid is None else UidRef(read_path(box), validity, uid), size
                ),
                presence,
            )
            for box, validity, uid, uidl, size, presence in rows
        ]
