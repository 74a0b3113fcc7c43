"""All SQL over placements: which message was seen where, under which name of its server, with which
flags, from when to when.
"""

from __future__ import annotations

from mailsync.archive.catalogue import Catalogue
from mailsync.archive.shelf import Shelf
from mailsync.model import Entry, UidRef


class Placements:
    """The placements of one account, as run `run` writes them.

    Their key is (mailbox, UIDVALIDITY, UID), or (mailbox, UIDL, announced size), or, where a server
    has no UIDL, (mailbox, digest).
    """

    def __init__(self, catalogue: Catalogue, shelf: Shelf, run: int) -> None:
        self._catalogue = catalogue
        self._sql = catalogue.sql
        self._shelf = shelf
        self._run = run
        self._highest: dict[tuple[int, int], int] = {}

    def find(self, mailbox: int, entry: Entry, digest: bytes | None) -> int | None:
        """Return the row of the placement an entry is, if it was ever recorded."""
        ref = entry.ref
        if isinstance(ref, UidRef):
            where, values = "uidvalidity = ? AND uid = ?", (ref.uidvalidity, ref.uid)
        elif ref.uidl is not None:
            where, values = "uid IS NULL AND uidl = ? AND +size IS ?", (ref.uidl, entry.size)  # type: ignore[assignment]
        elif digest is not None:
            where, values = "uid IS NULL AND uidl IS NULL AND digest = ?", (digest,)  # type: ignore[assignment]
        else:
            return None
        question = f"SELECT id FROM placements WHERE mailbox = ? AND {where} LIMIT 1"
        rows = self._sql.ask(question, (mailbox, *values), _key(mailbox, entry, digest))
        return rows[0][0] if rows else None

    def file_of(self, placement: int) -> tuple[int, bool]:
        """Return the file of a placement, and whether it is known to be damaged."""
        file, damaged = self._sql.execute(
            "SELECT f.id, f.damaged FROM placements p JOIN files f ON f.id = p.file WHERE p.id = ?",
            (placement,),
        ).fetchone()
        return int(file), bool(damaged)

    def insert(
        self, mailbox: int, entry: Entry, file: int, digest: bytes, *, matched: bool
    ) -> bool:
        """Record a placement; False when it was recorded before."""
        ref = entry.ref
        uid, validity, uidl = (
            (ref.uid, ref.uidvalidity, None) if isinstance(ref, UidRef) else (None, 0, ref.uidl)
        )
        if (uid is None or not self._is_higher(mailbox, validity, uid)) and self.find(
            mailbox, entry, digest
        ) is not None:
            return False
        self._sql.insert(
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
                self._catalogue.flags.write(entry.flags),
                self._run,
                self._run,
                matched,
            ),
            _key(mailbox, entry, digest),
        )
        return True

    def _is_higher(self, mailbox: int, uidvalidity: int, uid: int) -> bool:
        """Return whether a UID is above all recorded in a mailbox, as that of a new message is,
        without asking for each.
        """
        highest = self._highest.get((mailbox, uidvalidity))
        if highest is None:
            highest = self._sql.execute(
                "SELECT coalesce(max(uid), 0) FROM placements WHERE mailbox = ? AND uidvalidity = ?"
                " AND uid IS NOT NULL",
                (mailbox, uidvalidity),
            ).fetchone()[0]
        self._highest[mailbox, uidvalidity] = max(highest, uid)
        return uid > highest

    def replace(self, mailbox: int, entry: Entry, file: int, digest: bytes) -> None:
        """Point a known placement at the content that was fetched again for it.

        Another content under a UID is another message (RFC 9051 section 2.3.1.1 forbids it): the
        old one is kept, gone, beside it.
        """
        placement = self.find(mailbox, entry, digest)
        moved = self._sql.execute(
            "UPDATE placements SET uidvalidity = -id, gone_run = coalesce(gone_run, ?) "
            "WHERE id = ? AND uid IS NOT NULL AND digest <> ? AND NOT matched",
            (self._run, placement, digest),
        )
        if moved.rowcount == 1:
            self.insert(mailbox, entry, file, digest, matched=False)
        elif placement is not None:
            self._sql.execute(
                "UPDATE placements SET file = ?, digest = ?, size = coalesce(?, size), matched = 0,"
                " unconfirmed = 0 WHERE id = ?",
                (file, digest, entry.size, placement),
            )
            self.reflag(placement, entry.flags)

    def reflag(self, placement: int, flags: frozenset[str]) -> bool:
        """Give a placement, live or gone, other flags and make it live; what it was goes to the
        spans. False when nothing changed.
        """
        file, old, since, gone = self._sql.execute(
            "SELECT file, flags, since_run, gone_run FROM placements WHERE id = ?", (placement,)
        ).fetchone()
        text = self._catalogue.flags.write(flags)
        if old == text and gone is None:
            return False
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
        self._shelf.reflag(file, flags)
        return True

    def lose(self, mailbox: int) -> int:
        """Say that the messages of a mailbox are no longer on its server; those of a POP3 server
        never count as lost.

        Returns how many of them are live nowhere else.
        """
        self._sql.execute(
            "UPDATE placements SET gone_run = ? WHERE mailbox = ? AND gone_run IS NULL AND uid IS"
            " NOT NULL",
            (self._run, mailbox),
        )
        row = self._sql.execute(
            "SELECT count(*) FROM placements p JOIN files f ON f.id = p.file WHERE p.mailbox = ?"
            " AND p.gone_run = ? AND NOT EXISTS (SELECT 1 FROM files g JOIN placements q ON q.file"
            " = g.id WHERE g.message = f.message AND q.gone_run IS NULL)",
            (mailbox, self._run),
        ).fetchone()
        return int(row[0])

    def retire(self, mailbox: int) -> None:
        """Take their UIDs away from the messages of a mailbox."""
        # A number of its own for each, since messages of several UIDVALIDITYs may have had the same
        # UID.
        self._sql.execute(
            "UPDATE placements SET uidvalidity = -id WHERE mailbox = ? AND uidvalidity > 0",
            (mailbox,),
        )

    def renew(self, mailbox: int, uidvalidity: int) -> int:
        """Make messages gone that are live under another UIDVALIDITY; returns how many of them are
        not there under this one.

        Messages of which nobody knew whether they were there do not count as lost now.
        """
        lost = 0
        # Two ranges instead of `<>`, which would read every message of the mailbox each time.
        for other in ("<", ">"):
            lost += self._sql.execute(
                "SELECT count(*) FROM placements o "
                f"WHERE o.mailbox = ?1 AND o.uidvalidity {other} ?2 AND o.uid IS NOT NULL AND"
                " o.gone_run IS NULL AND NOT o.unconfirmed "
                "AND NOT EXISTS (SELECT 1 FROM placements n WHERE n.file = o.file AND n.mailbox ="
                " ?1 AND n.uidvalidity = ?2)",
                (mailbox, uidvalidity),
            ).fetchone()[0]
            self._sql.execute(
                "UPDATE placements SET gone_run = ? "
                f"WHERE mailbox = ? AND uidvalidity {other} ? AND uid IS NOT NULL AND gone_run IS"
                " NULL",
                (self._run, mailbox, uidvalidity),
            )
        return lost

    def confirm(self, mailbox: int) -> None:
        """Forget the places that a reindex only guessed where a scan has shown the true ones."""
        guessed = (
            "SELECT g.id FROM placements g WHERE g.mailbox = ?1 AND g.unconfirmed AND EXISTS"
            " (SELECT 1 FROM placements p WHERE p.file = g.file AND p.mailbox = ?1 AND NOT"
            " p.unconfirmed)"
        )
        self._sql.execute(f"DELETE FROM spans WHERE placement IN ({guessed})", (mailbox,))
        self._sql.execute(f"DELETE FROM placements WHERE id IN ({guessed})", (mailbox,))


def _key(mailbox: int, entry: Entry, digest: bytes | None) -> tuple[object, ...]:
    ref = entry.ref
    if isinstance(ref, UidRef):
        return mailbox, ref.uidvalidity, ref.uid
    return (
        mailbox,
        "digest" if ref.uidl is None else "uidl",
        digest if ref.uidl is None else ref.uidl,
    )
