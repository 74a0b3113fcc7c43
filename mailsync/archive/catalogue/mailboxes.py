"""The tables `folders` (a mailbox's place in the mail tree) and `mailboxes` (an account's mailbox
and the state at which it was last seen whole).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path, write_flags, write_path
from mailsync.model import Mailbox, MailboxPath, Scan, SyncState


@dataclass(frozen=True, slots=True)
class ArchivedMailbox:
    """What the archive holds of a mailbox.

    `octets` counts each file once; `complete_at` is when it was last seen whole.

    `live` messages are as many as its server shows; `copies` of them are the same message as
    another of them, stored once. `gone` are those that its server shows no more, under whatever
    UID.
    """

    path: MailboxPath
    special_use: frozenset[str]
    subscribed: bool
    live: int
    gone: int
    octets: int
    complete_at: int | None
    incomplete: bool
    removed: bool
    copies: int = 0


_DESCRIBE: Final = """
WITH
  held AS (SELECT * FROM placements
    WHERE mailbox IN (SELECT id FROM mailboxes WHERE account = ?1)),
  placed AS (SELECT mailbox, file, sum(gone_run IS NULL) AS live
    FROM held GROUP BY mailbox, file),
  counts AS (SELECT mailbox,
    sum(live) AS live, sum(NOT live) AS gone, sum(live > 0) AS stored
    FROM placed GROUP BY mailbox),
  contents AS (SELECT DISTINCT h.mailbox, x.message
    FROM placed h JOIN files x ON x.id = h.file),
  sizes AS (SELECT c.mailbox, sum(s.size) AS octets
    FROM contents c JOIN messages s ON s.id = c.message GROUP BY c.mailbox)
SELECT f.path, m.attributes, m.subscribed, m.complete_at, m.incomplete,
  m.removed_run IS NOT NULL, coalesce(counts.live, 0), coalesce(counts.gone, 0),
  coalesce(sizes.octets, 0), coalesce(counts.live - counts.stored, 0)
FROM mailboxes m JOIN folders f ON f.id = m.folder
  LEFT JOIN counts ON counts.mailbox = m.id
  LEFT JOIN sizes ON sizes.mailbox = m.id
WHERE m.account = ?1
ORDER BY f.path <> 'INBOX', f.path
"""


class Folders:
    """The folders of the mail tree, which the accounts of an archive share."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def find(self, path: MailboxPath) -> tuple[int, str] | None:
        """Return a mailbox's folder as (row, name)."""
        row = self._sql.one("SELECT id, name FROM folders WHERE path = ?", write_path(path))
        return (row[0], row[1]) if row else None

    def path_of(self, name: str) -> MailboxPath | None:
        """Return the mailbox whose folder has this name."""
        row = self._sql.one("SELECT path FROM folders WHERE name = ?", name)
        return read_path(row[0]) if row else None

    def clashes(self, name: str) -> bool:
        """Return whether another folder has this name, or one that differs in case only."""
        return bool(self._sql.one("SELECT 1 FROM folders WHERE lower(name) = lower(?)", name))

    def make(self, path: MailboxPath, name: str) -> int:
        """Record a folder, and return its row."""
        cursor = self._sql.execute(
            "INSERT INTO folders (path, name) VALUES (?, ?)", (write_path(path), name)
        )
        return int(cursor.lastrowid or 0)

    def unplaced(self) -> list[tuple[int, MailboxPath]]:
        """Return the folders with files that no placement names, as (row, path)."""
        rows = self._sql.all(
            "SELECT DISTINCT d.id, d.path FROM files f JOIN folders d ON d.id = f.folder"
            " WHERE NOT EXISTS (SELECT 1 FROM placements p WHERE p.file = f.id)"
            " ORDER BY d.id"
        )
        return [(row, read_path(path)) for row, path in rows]


class Mailboxes:
    """The mailboxes of the accounts."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def find(self, account: int, path: MailboxPath) -> int | None:
        """Return the row of an account's mailbox."""
        row = self._sql.one(
            "SELECT m.id FROM mailboxes m JOIN folders f ON f.id = m.folder"
            " WHERE m.account = ? AND f.path = ?",
            account,
            write_path(path),
        )
        return row[0] if row else None

    def make(self, account: int, folder: int) -> int:
        """Return the row of an account's mailbox, made when missing."""
        self._sql.execute(
            "INSERT OR IGNORE INTO mailboxes (account, folder) VALUES (?, ?)", (account, folder)
        )
        row = self._sql.one(
            "SELECT id FROM mailboxes WHERE account = ? AND folder = ?", account, folder
        )
        return int(row[0])

    def state(self, mailbox: int) -> SyncState | None:
        """Return a mailbox's last complete state; None as well while a message of it is damaged and
        must be fetched anew.
        """
        row = self._sql.one(
            "SELECT uidvalidity, uidnext, messages, highestmodseq FROM mailboxes WHERE id = ?",
            mailbox,
        )
        if row is None or row[0] is None or self._misses_a_content(mailbox):
            return None
        return SyncState(*row)

    def all_at(self, account: int, mark: int, source: str = "") -> int:
        """Return how many mailboxes were seen whole at this HIGHESTMODSEQ; 0 where one of them was
        not, or a message is damaged. With `source`, it is the mark of the files of that name.
        """
        if source:
            rows = self._sql.all(
                "SELECT m.id, r.mark FROM readings r JOIN mailboxes m ON m.id = r.mailbox"
                " WHERE m.account = ? AND r.source = ?",
                (account, source),
            )
        else:
            rows = self._sql.all(
                "SELECT id, CASE WHEN uidvalidity = 0 AND NOT incomplete THEN highestmodseq END"
                " FROM mailboxes WHERE account = ?",
                (account,),
            )
        whole = [held == mark and not self._misses_a_content(row) for row, held in rows]
        return len(whole) if all(whole) else 0

    def _misses_a_content(self, mailbox: int) -> bool:
        # CROSS JOIN: begin with the few files that are not sound, not with the many placements.
        row = self._sql.one(
            "SELECT 1 FROM files f CROSS JOIN placements p ON p.file = f.id"
            " WHERE f.state <> 'sound' AND p.mailbox = ? AND p.gone_run IS NULL LIMIT 1",
            mailbox,
        )
        return bool(row)

    def listed(self, mailbox: int, shown: Mailbox) -> None:
        """Record that a mailbox is on its server, with its roles and subscription."""
        self._sql.execute(
            "UPDATE mailboxes SET attributes = ?, subscribed = ?, removed_run = NULL WHERE id = ?",
            (write_flags(shown.special_use), shown.subscribed, mailbox),
        )

    def not_removed(self, account: int) -> list[MailboxPath]:
        """Return the mailboxes of an account that were on its server when it was last asked; not
        those that came out of files only.
        """
        rows = self._sql.all(
            "SELECT f.path FROM mailboxes m JOIN folders f ON f.id = m.folder"
            " WHERE m.account = ? AND m.removed_run IS NULL AND (m.uidvalidity IS NOT NULL"
            " OR NOT EXISTS (SELECT 1 FROM readings r WHERE r.mailbox = m.id)) ORDER BY 1",
            (account,),
        )
        return [read_path(text) for (text,) in rows]

    def remove(self, mailbox: int, run: int) -> None:
        """Record that a mailbox is no longer on its server."""
        self._sql.execute(
            "UPDATE mailboxes SET removed_run = ?, uidvalidity = NULL, incomplete = 0 WHERE id = ?",
            (run, mailbox),
        )

    def reading(self, mailbox: int, source: str) -> int | None:
        """Return the mark of files when all of a mailbox in them was last read; None as well while
        a message of it is damaged and must be read anew.
        """
        row = self._sql.one(
            "SELECT mark FROM readings WHERE mailbox = ? AND source = ?", mailbox, source
        )
        return None if row is None or self._misses_a_content(mailbox) else int(row[0])

    def read_from(self, mailbox: int, source: str, scan: Scan, run: int, at: int) -> None:
        """Record that all of a mailbox in some files was read. What its server says of it stays as
        it is; one that no server ever showed is complete, with the roles it has in the files.
        """
        self._sql.execute(
            "INSERT INTO readings (mailbox, source, mark) VALUES (?1, ?2, ?3)"
            " ON CONFLICT DO UPDATE SET mark = ?3",
            (mailbox, source, scan.state.highestmodseq or 0),
        )
        shown = scan.mailbox
        self._sql.execute(
            "UPDATE mailboxes SET complete_run = ?, complete_at = ?, incomplete = 0,"
            " attributes = ?, subscribed = ? WHERE id = ? AND uidvalidity IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM placements WHERE mailbox = mailboxes.id"
            " AND uid IS NOT NULL)",
            (run, at, write_flags(shown.special_use), shown.subscribed, mailbox),
        )

    def complete(self, mailbox: int, state: SyncState, run: int, at: int) -> None:
        """Record that a mailbox was seen whole in this state."""
        self._sql.execute(
            "UPDATE mailboxes SET uidvalidity = ?, uidnext = ?, messages = ?, highestmodseq = ?,"
            " complete_run = ?, complete_at = ?, incomplete = 0 WHERE id = ?",
            (
                state.uidvalidity,
                state.uidnext,
                state.messages,
                state.highestmodseq,
                run,
                at,
                mailbox,
            ),
        )

    def checked(self, mailboxes: Iterable[int], at: int) -> None:
        """Record that mailboxes are as they were when they were last seen whole."""
        self._sql.execute_each(
            "UPDATE mailboxes SET complete_at = ? WHERE id = ?",
            ((at, mailbox) for mailbox in mailboxes),
        )

    def incomplete(self, mailbox: int) -> None:
        """Record that something of a mailbox is missing."""
        self._sql.execute("UPDATE mailboxes SET incomplete = 1 WHERE id = ?", (mailbox,))

    def drop_state(self, mailbox: int) -> None:
        """Have a mailbox scanned in full the next time, whatever its counters say."""
        self._sql.execute("UPDATE mailboxes SET uidvalidity = NULL WHERE id = ?", (mailbox,))

    def drop_states(self, account: int, paths: Iterable[MailboxPath]) -> None:
        """Have mailboxes of an account scanned in full the next time."""
        rows = [(account, write_path(path)) for path in paths]
        self._sql.execute_each(
            "UPDATE mailboxes SET uidvalidity = NULL"
            " WHERE account = ? AND folder = (SELECT id FROM folders WHERE path = ?)",
            rows,
        )
        self._sql.execute_each(
            "DELETE FROM readings WHERE mailbox = (SELECT m.id FROM mailboxes m"
            " JOIN folders f ON f.id = m.folder WHERE m.account = ? AND f.path = ?)",
            rows,
        )

    def describe(self, account: int) -> list[ArchivedMailbox]:
        """Return what is held of the mailboxes of an account, the inbox first, the rest by name."""
        # Each table is gone through once, however many mailboxes there are.
        rows = self._sql.all(
            _DESCRIBE,
            (account,),
        )
        return [
            ArchivedMailbox(
                read_path(path),
                self._sql.flags.read(uses),
                bool(subscribed),
                live,
                gone,
                octets,
                at,
                bool(incomplete),
                bool(removed),
                copies,
            )
            for path, uses, subscribed, at, incomplete, removed, live, gone, octets, copies in rows
        ]
