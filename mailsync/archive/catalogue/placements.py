"""The tables `placements` and `spans`, as a run writes them: which message was seen where, under
which name of its server, with which flags, from when to when.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.files import FileState
from mailsync.archive.catalogue.text import write_flags
from mailsync.model import Entry, UidlRef, UidRef

LACKING: Final = -1
"""The size of a message of which only a part came: no listing shows it, so it is fetched again."""


class Placements:
    """The placements that run `run` writes.

    Their key is (mailbox, UIDVALIDITY, UID), or (mailbox, UIDL, announced size), unless they are
    retired, or, where a server has no UIDL, (mailbox, digest).

    The files' names say flags as well: after `replace` and `reflag` the caller renames the file
    whose row they return.
    """

    def __init__(self, sql: Connection, run: int) -> None:
        self._sql = sql
        self._run = run
        self._highest: dict[tuple[int, int], int] = {}

    def find(self, mailbox: int, entry: Entry, digest: bytes | None) -> int | None:
        """Return the row of the placement an entry is, if it was ever recorded."""
        ref = entry.ref
        values: tuple[object, ...]
        if isinstance(ref, UidRef):
            where = "uidvalidity = ? AND uid = ? AND retired = 0"
            values = (ref.uidvalidity, ref.uid)
        elif ref.uidl is not None:
            where = f"uid IS NULL AND uidl = ? AND +size IN (?, {LACKING}) AND retired = 0"
            if entry.size is None:
                where = "uid IS NULL AND uidl = ? AND +size IS ? AND retired = 0"
            values = (ref.uidl, entry.size)
        elif digest is not None:
            where, values = "uid IS NULL AND uidl IS NULL AND digest = ?", (digest,)
        else:
            return None
        rows = self._sql.look_up(
            f"SELECT id FROM placements WHERE mailbox = ? AND {where} LIMIT 1",
            (mailbox, *values),
            _key(mailbox, entry, digest),
        )
        return rows[0][0] if rows else None

    def file_of(self, placement: int) -> tuple[int, FileState]:
        """Return the file of a placement, and what is known of it."""
        file, state = self._sql.one(
            "SELECT f.id, f.state FROM placements p JOIN files f ON f.id = p.file WHERE p.id = ?",
            placement,
        )
        return int(file), FileState(state)

    def insert(
        self, mailbox: int, entry: Entry, file: int, digest: bytes, *, matched: bool
    ) -> bool:
        """Record a placement; False when it was recorded before."""
        ref = entry.ref
        uid, validity, uidl = (
            (ref.uid, ref.uidvalidity, None) if isinstance(ref, UidRef) else (None, 0, ref.uidl)
        )
        is_surely_new = uid is not None and self._is_highest(mailbox, validity, uid)
        if not is_surely_new and self.find(mailbox, entry, digest) is not None:
            return False
        self._sql.insert_later(
            "placements",
            (
                mailbox,
                file,
                digest,
                entry.size,
                validity,
                uid,
                uidl,
                entry.object_id,
                entry.internaldate,
                write_flags(entry.flags),
                self._run,
                self._run,
                matched,
            ),
            _key(mailbox, entry, digest),
        )
        return True

    def _is_highest(self, mailbox: int, uidvalidity: int, uid: int) -> bool:
        """Return whether a UID is above all recorded in a mailbox, as that of a new message is,
        without asking for each.
        """
        highest = self._highest.get((mailbox, uidvalidity))
        if highest is None:
            highest = self._sql.one(
                "SELECT coalesce(max(uid), 0) FROM placements"
                " WHERE mailbox = ? AND uidvalidity = ? AND uid IS NOT NULL AND retired = 0",
                mailbox,
                uidvalidity,
            )[0]
        self._highest[mailbox, uidvalidity] = max(highest, uid)
        return uid > highest

    def replace(self, mailbox: int, entry: Entry, file: int, digest: bytes) -> int | None:
        """Point a known placement at the content that was fetched again for it, and return the file
        whose flags that changed, if any.

        Another content under a UID is another message (RFC 9051 section 2.3.1.1 forbids it): the
        old one is kept, gone and retired, beside it. So is another message under a UIDL (RFC 1939
        section 7), only that it does not count as gone.
        """
        placement = self.find(mailbox, entry, digest)
        if placement is None:
            return None
        if isinstance(entry.ref, UidlRef) and _retired_uidl(self._sql, placement, file):
            self.insert(mailbox, entry, file, digest, matched=False)
            return None
        retired = self._sql.execute(
            "UPDATE placements SET retired = 1, gone_run = coalesce(gone_run, ?)"
            " WHERE id = ? AND uid IS NOT NULL AND digest <> ? AND NOT matched",
            (self._run, placement, digest),
        )
        if retired.rowcount == 1:
            self.insert(mailbox, entry, file, digest, matched=False)
            return None
        self._sql.execute(
            "UPDATE placements SET file = ?, digest = ?, size = coalesce(?, size), matched = 0,"
            " unconfirmed = 0 WHERE id = ?",
            (file, digest, entry.size, placement),
        )
        return self.reflag(placement, entry.flags)

    def doubt(self, mailbox: int, entry: Entry) -> None:
        """Have a message asked for again, as if a part of it had come."""
        known = self.find(mailbox, entry, None)
        self._sql.execute(f"UPDATE placements SET size = {LACKING} WHERE id = ?", (known,))

    def reflag(self, placement: int, flags: frozenset[str]) -> int | None:
        """Make a placement live, with these flags, and return its file; what it was goes to the
        spans. None when nothing changed.
        """
        file, old, since, gone = self._sql.one(
            "SELECT file, flags, since_run, gone_run FROM placements WHERE id = ?", placement
        )
        text = write_flags(flags)
        if old == text and gone is None:
            return None
        end = self._run if gone is None else gone
        if since < end:
            self._sql.execute(
                "INSERT INTO spans (placement, from_run, to_run, flags) VALUES (?, ?, ?, ?)",
                (placement, since, end, old),
            )
        self._sql.execute(
            "UPDATE placements SET flags = ?, since_run = ?, gone_run = NULL WHERE id = ?",
            (text, self._run, placement),
        )
        return int(file)

    def hold_anew(self, file: int) -> None:
        """Count the holding time of POP3 messages from this run on: a file of theirs was mended."""
        self._sql.execute(
            "UPDATE placements SET first_run = ?1 WHERE uid IS NULL AND file IN"
            " (SELECT id FROM files WHERE message = (SELECT message FROM files WHERE id = ?2))",
            (self._run, file),
        )

    def mark_gone(self, mailbox: int, uidvalidity: int, uids: Iterable[int]) -> int:
        """Record that live messages left their mailbox; returns how many."""
        cursor = self._sql.execute_each(
            "UPDATE placements SET gone_run = ?"
            " WHERE mailbox = ? AND uidvalidity = ? AND uid = ? AND retired = 0"
            " AND gone_run IS NULL",
            ((self._run, mailbox, uidvalidity, uid) for uid in uids),
        )
        return max(0, cursor.rowcount)

    def mark_all_gone(self, mailbox: int) -> None:
        """Record that the IMAP messages of a mailbox left."""
        self._sql.execute(
            "UPDATE placements SET gone_run = ?"
            " WHERE mailbox = ? AND gone_run IS NULL AND uid IS NOT NULL",
            (self._run, mailbox),
        )

    def live(self, mailbox: int) -> int:
        """Return how many messages of a mailbox are live."""
        row = self._sql.one(
            "SELECT count(*) FROM placements WHERE mailbox = ? AND gone_run IS NULL", mailbox
        )
        return int(row[0])

    def retire(self, mailbox: int) -> None:
        """Take their UIDs away from the messages of a mailbox: they mean other messages now."""
        self._sql.execute(
            "UPDATE placements SET retired = 1"
            " WHERE mailbox = ? AND uid IS NOT NULL AND retired = 0",
            (mailbox,),
        )

    def end_retired(self, mailbox: int, uidvalidity: int) -> int:
        """Make messages gone that are live, but retired or under another UIDVALIDITY; returns how
        many of them are not in the mailbox under this one.

        Messages of which nobody knew whether they were there do not count.
        """
        missed = 0
        # Ranges instead of `<>` and `OR`, which would read every message of the mailbox each time.
        for other in (
            "retired = 1 AND ?2 IS NOT NULL",
            "retired = 0 AND uidvalidity < ?2",
            "retired = 0 AND uidvalidity > ?2",
        ):
            missed += self._sql.one(
                "SELECT count(*) FROM placements o"
                f" WHERE mailbox = ?1 AND {other} AND uid IS NOT NULL AND gone_run IS NULL"
                " AND NOT unconfirmed"
                " AND NOT EXISTS (SELECT 1 FROM placements n WHERE n.file = o.file"
                " AND n.mailbox = ?1 AND n.uidvalidity = ?2 AND n.retired = 0)",
                mailbox,
                uidvalidity,
            )[0]
            self._sql.execute(
                "UPDATE placements SET gone_run = ?3"
                f" WHERE mailbox = ?1 AND {other} AND uid IS NOT NULL AND gone_run IS NULL",
                (mailbox, uidvalidity, self._run),
            )
        return missed

    def place_unconfirmed(self, mailbox: int, folder: int, *, by_uid: bool) -> int:
        """Place the files of a folder that no placement names in a mailbox, without a UIDL or a UID
        that anybody knows; returns how many.

        A rebuilt message without a place had to give it to the one that was sent. With `by_uid`
        they are retired, so that a complete scan makes those gone that it does not
        find.
        """
        cursor = self._sql.execute(
            "INSERT INTO placements (mailbox, file, digest, size, uidvalidity, uid, retired,"
            " internaldate, flags, first_run, since_run, unconfirmed)"
            " SELECT ?1, f.id, m.digest, m.size, 0, iif(?4, 0, NULL), ?4,"
            " f.internaldate, f.flags, ?3, ?3, 1"
            " FROM files f JOIN messages m ON m.id = f.message"
            " WHERE f.folder = ?2 AND m.id NOT IN (SELECT message FROM rebuilt)"
            " AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.file = f.id)",
            (mailbox, folder, self._run, by_uid),
        )
        return cursor.rowcount

    def confirm(self, mailbox: int) -> None:
        """Drop the places that a reindex only guessed where a scan has shown the true ones."""
        guessed = (
            "SELECT g.id FROM placements g WHERE g.mailbox = ?1 AND g.unconfirmed"
            " AND EXISTS (SELECT 1 FROM placements p"
            " WHERE p.file = g.file AND p.mailbox = ?1 AND NOT p.unconfirmed)"
        )
        self._sql.execute(f"DELETE FROM spans WHERE placement IN ({guessed})", (mailbox,))
        self._sql.execute(f"DELETE FROM placements WHERE id IN ({guessed})", (mailbox,))


def _retired_uidl(sql: Connection, placement: int, file: int) -> bool:
    """Retire the placement of a sound message that another one, in another file, has taken the
    UIDL of; tells whether it is such a placement.
    """
    retired = sql.execute(
        "UPDATE placements SET retired = 1"
        f" WHERE id = ?1 AND uidl IS NOT NULL AND file <> ?2 AND NOT unconfirmed"
        f" AND size IS NOT {LACKING}"
        " AND EXISTS (SELECT 1 FROM files f WHERE f.id = placements.file"
        " AND f.state = 'sound')",
        (placement, file),
    )
    return retired.rowcount == 1


def _key(mailbox: int, entry: Entry, digest: bytes | None) -> tuple[object, ...]:
    ref = entry.ref
    if isinstance(ref, UidRef):
        return mailbox, ref.uidvalidity, ref.uid
    if ref.uidl is None:
        return mailbox, "digest", digest
    return mailbox, "uidl", ref.uidl
