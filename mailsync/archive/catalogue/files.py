"""The tables `messages` (contents) and `files` (where in the mail tree they lie)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import storable, write_flags, write_path
from mailsync.identity import Fingerprint
from mailsync.model import MailboxPath


class FileState(StrEnum):
    """What is known of a file; the catalogue holds these words."""

    SOUND = "sound"
    """It held what it should when it was last looked at."""
    DAMAGED = "damaged"
    """It does not hold what it should, or is not there; a pull fetches the message again."""
    CONDEMNED = "condemned"
    """`prune` is removing it; no placement names it any more."""


Alike: TypeAlias = tuple[int, bytes, bytes, int | None]
"""A stored content as (row, digest, identity, whether it is signed: None if nobody knows)."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A stored content."""

    id: int
    digest: bytes
    size: int
    message_id: str
    header: bytes


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of the tree: one content in one folder."""

    id: int
    folder: str
    base: str
    message: int
    flags: frozenset[str]
    state: FileState

    @property
    def sound(self) -> bool:
        """Whether it held what it should when it was last looked at."""
        return self.state is FileState.SOUND


class Messages:
    """Contents, each known by its digest."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def find(self, digest: bytes) -> int | None:
        """Return the row of a content."""
        row = self._sql.one("SELECT id FROM messages WHERE digest = ?", digest)
        return row[0] if row else None

    def header(self, digest: bytes) -> bytes | None:
        """Return the digest of the header of a content, None where there is no such content."""
        row = self._sql.one("SELECT header FROM messages WHERE digest = ?", digest)
        return row[0] if row else None

    def size(self, message: int) -> int:
        """Return how many octets a content has."""
        return int(self._sql.one("SELECT size FROM messages WHERE id = ?", message)[0])

    def between(self, low: bytes, high: bytes) -> list[bytes]:
        """Return the digests from one to another, in order."""
        rows = self._sql.all(
            "SELECT digest FROM messages WHERE digest BETWEEN ? AND ? ORDER BY digest", (low, high)
        )
        return [digest for (digest,) in rows]

    def alike(self, print_: Fingerprint) -> list[Alike]:
        """Return the contents with this digest or this identity, and one of those that only share
        its Message-ID.
        """
        # The condition on the empty text lets SQLite use the index, which leaves messages without a
        # Message-ID out; a device that writes one Message-ID into every message has thousands of
        # them, of which one is enough.
        return self._sql.look_up(
            "SELECT id, digest, identity, signed FROM messages WHERE digest = ?1 OR identity = ?2"
            " UNION ALL"
            " SELECT * FROM (SELECT id, digest, identity, signed FROM messages"
            " WHERE message_id = ?3 AND message_id <> '' AND +identity <> ?2 LIMIT 1)",
            (print_.digest, print_.identity, print_.message_id),
            print_.digest,
            print_.identity,
            print_.message_id,
        )

    def insert(self, print_: Fingerprint, size: int, shown: tuple[str, str], run: int) -> int:
        """Record a content, and return its row; `shown` are its subject and sender for people."""
        subject, sender = shown
        return self._sql.insert_later(
            "messages",
            (
                print_.digest,
                size,
                print_.identity,
                print_.message_id,
                print_.header,
                print_.presence,
                storable(subject),
                storable(sender),
                run,
                print_.signed,
            ),
            print_.digest,
            print_.identity,
            print_.message_id or print_.digest,
        )

    def set_signed(self, message: int, *, signed: bool) -> None:
        """Record whether a content's header bears signatures."""
        self._sql.execute("UPDATE messages SET signed = ? WHERE id = ?", (signed, message))

    def alone(self) -> list[tuple[int, bytes]]:
        """Return the contents that are the same message as no other one, as (row, digest)."""
        return self._sql.all("SELECT id, digest FROM messages WHERE identity = digest")

    def set_identity(self, message: int, identity: bytes) -> None:
        """Record another identity of a content than an earlier version gave it, under which what
        was sent of it is known too.
        """
        self._sql.execute(
            "INSERT OR IGNORE INTO ledger (destination, mailbox, identity, copy, state,"
            " uidvalidity, uid, flags, uidnext, since, run)"
            " SELECT l.destination, l.mailbox, ?1, l.copy, l.state,"
            " l.uidvalidity, l.uid, l.flags, l.uidnext, l.since, l.run"
            " FROM messages m JOIN ledger l ON l.identity = m.identity WHERE m.id = ?2",
            (identity, message),
        )
        self._sql.execute("UPDATE messages SET identity = ? WHERE id = ?", (identity, message))

    def of_size(self, size: int, before_run: int) -> list[MessageRow]:
        """Return the contents stored before a run that have this size, or had it where their server
        announced them.
        """
        rows = self._sql.all(
            "SELECT id, digest, size, message_id, header FROM messages WHERE id IN ("
            "SELECT id FROM messages WHERE size = ?1 AND first_run < ?2"
            " UNION SELECT f.message FROM placements p JOIN files f ON f.id = p.file"
            " WHERE p.size = ?1 AND p.first_run < ?2)",
            (size, before_run),
        )
        return [MessageRow(*row) for row in rows]

    def has_size(self, size: int, before_run: int) -> bool:
        """Return whether `of_size` would find any."""
        row = self._sql.one(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE size = ?1 AND first_run < ?2)"
            " OR EXISTS (SELECT 1 FROM placements WHERE size = ?1 AND first_run < ?2)",
            size,
            before_run,
        )
        return bool(row[0])

    def has_any(self, before_run: int) -> bool:
        """Return whether any content came before that run."""
        # Rows are numbered as they come, so that the first one tells.
        row = self._sql.one("SELECT first_run FROM messages ORDER BY id LIMIT 1")
        return row is not None and row[0] < before_run

    def next_copy(self, message: int, folder: int) -> int:
        """Return the next number among the copies of one message, in whatever contents, in a
        folder.
        """
        row = self._sql.one(
            "SELECT coalesce(max(f.copy), 0) + 1 FROM messages n"
            " CROSS JOIN messages m ON m.identity = n.identity"
            " CROSS JOIN files f ON f.message = m.id AND f.folder = ?"
            " WHERE n.id = ?",
            folder,
            message,
        )
        return int(row[0])

    def count(self) -> int:
        """Return how many messages there are: those that servers show, as often as they do, and
        those that no server shows any more.
        """
        row = self._sql.one(
            "SELECT (SELECT count(*) FROM placements WHERE gone_run IS NULL)"
            " + (SELECT count(*) FROM files f WHERE f.state <> 'condemned'"
            " AND NOT EXISTS (SELECT 1 FROM placements p"
            " WHERE p.file = f.id AND p.gone_run IS NULL))"
        )
        return int(row[0])


_COLUMNS = "f.id, d.name, f.base, f.message, f.flags, f.state"


class Files:
    """Files of the mail tree, each known by its folder and base name."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def get(self, file: int) -> FileRow:
        """Return a file by its row."""
        row = self._sql.one(
            f"SELECT {_COLUMNS} FROM files f JOIN folders d ON d.id = f.folder WHERE f.id = ?", file
        )
        return self._read(row)

    def of(self, message: int, *, folder: int | None = None) -> list[FileRow]:
        """Return the files that hold a content, sound ones first."""
        rows = self._sql.all(
            f"SELECT {_COLUMNS} FROM files f JOIN folders d ON d.id = f.folder"
            " WHERE f.message = ?1 AND (?2 IS NULL OR f.folder = ?2)"
            " ORDER BY f.state <> 'sound', f.id",
            (message, folder),
        )
        return [self._read(row) for row in rows]

    def all(self, newest: int | None = None) -> Iterator[tuple[FileRow, bytes]]:
        """Yield every file (up to that row) with the digest it must have, folder by folder."""
        rows = self._sql.each(
            f"SELECT {_COLUMNS}, m.digest FROM files f JOIN folders d ON d.id = f.folder"
            " JOIN messages m ON m.id = f.message"
            " WHERE f.state <> 'condemned' AND (?1 IS NULL OR f.id <= ?1)"
            " ORDER BY f.folder, f.id",
            (newest,),
        )
        return ((self._read(row), row[6]) for row in rows)

    def newest(self) -> int:
        """Return the row of the file that came last, 0 when there is none."""
        return int(self._sql.one("SELECT coalesce(max(id), 0) FROM files")[0])

    def count(self, newest: int | None = None) -> tuple[int, int]:
        """Return how many files there are (up to that row), and their octets."""
        row = self._sql.one(
            "SELECT count(*), coalesce(sum(m.size), 0)"
            " FROM files f JOIN messages m ON m.id = f.message"
            " WHERE ?1 IS NULL OR f.id <= ?1",
            newest,
        )
        return int(row[0]), int(row[1])

    def expected(self, account: int, path: MailboxPath) -> list[tuple[str, str, bytes, int]]:
        """Return the files that hold what is live in a mailbox, whatever is known of their state,
        as (folder, base name, digest, octets).
        """
        return self._sql.all(
            "SELECT DISTINCT d.name, f.base, m.digest, m.size FROM placements p"
            " JOIN mailboxes b ON b.id = p.mailbox"
            " JOIN folders d ON d.id = b.folder"
            " JOIN files f ON f.id = p.file"
            " JOIN messages m ON m.id = f.message"
            " WHERE b.account = ? AND d.path = ? AND p.gone_run IS NULL",
            (account, write_path(path)),
        )

    def bases(self, folder: str) -> dict[str, int]:
        """Return the base names the catalogue knows in a folder, with their rows."""
        rows = self._sql.all(
            "SELECT f.base, f.id FROM files f JOIN folders d ON d.id = f.folder WHERE d.name = ?",
            (folder,),
        )
        return dict(rows)

    def insert(  # noqa: PLR0917  the columns of a row
        self,
        folder: int,
        message: int,
        copy: int,
        base: str,
        internaldate: int,
        flags: frozenset[str],
    ) -> int:
        """Record a file, and return its row."""
        return self._sql.insert_later(
            "files", (folder, message, copy, base, internaldate, write_flags(flags))
        )

    def name_parts(self, file: int) -> tuple[int, int]:
        """Return the INTERNALDATE and the number of the copy that a file's name says."""
        row = self._sql.one("SELECT internaldate, copy FROM files WHERE id = ?", file)
        return int(row[0]), int(row[1])

    def set_flags(self, file: int, flags: frozenset[str]) -> None:
        """Record the flags that a file's name says."""
        self._sql.execute("UPDATE files SET flags = ? WHERE id = ?", (write_flags(flags), file))

    def set_content(self, file: int, message: int, base: str) -> None:
        """Record that a file, and so its placements, has another content now, which is sound."""
        self._sql.execute(
            "UPDATE files SET message = ?, base = ?, state = 'sound' WHERE id = ?",
            (message, base, file),
        )

    def mark(self, file: int, state: FileState) -> None:
        """Record what was found of a file."""
        self._sql.execute("UPDATE files SET state = ? WHERE id = ?", (state, file))

    def is_placed(self, file: int) -> bool:
        """Return whether any message that a server surely showed is in this file."""
        row = self._sql.one(
            "SELECT 1 FROM placements WHERE file = ? AND NOT unconfirmed LIMIT 1", file
        )
        return row is not None

    def is_known(self, file: int) -> bool:
        """Return whether any message is in this file, if only as a guess."""
        return bool(self._sql.one("SELECT 1 FROM placements WHERE file = ? LIMIT 1", file))

    # what prune takes out

    def condemn(self, files: Iterable[int]) -> None:
        """Record that these files go, and drop the placements of their messages."""
        rows = [(file,) for file in files]
        self._sql.execute_each("UPDATE files SET state = 'condemned' WHERE id = ?", rows)
        self._sql.execute_each(
            "DELETE FROM spans WHERE placement IN (SELECT id FROM placements WHERE file = ?)", rows
        )
        self._sql.execute_each("DELETE FROM placements WHERE file = ?", rows)

    def condemned(self) -> list[FileRow]:
        """Return the files that `prune` has to remove."""
        rows = self._sql.all(
            f"SELECT {_COLUMNS} FROM files f JOIN folders d ON d.id = f.folder"
            # Both conditions: the first one is that of the index.
            " WHERE f.state <> 'sound' AND f.state = 'condemned'"
        )
        return [self._read(row) for row in rows]

    def remove(self, files: Sequence[FileRow]) -> None:
        """Drop the rows of files that are no more, and of contents that no file holds any more."""
        self._sql.execute_each("DELETE FROM files WHERE id = ?", ((file.id,) for file in files))
        self._sql.execute_each(
            "DELETE FROM rebuilt WHERE message = ?1"
            " AND NOT EXISTS (SELECT 1 FROM files WHERE message = ?1)",
            ((file.message,) for file in files),
        )
        self._sql.execute_each(
            "DELETE FROM messages WHERE id = ?1"
            " AND NOT EXISTS (SELECT 1 FROM files WHERE message = ?1)",
            ((file.message,) for file in files),
        )

    def _read(self, row: Sequence[Any]) -> FileRow:
        return FileRow(
            row[0], row[1], row[2], row[3], self._sql.flags.read(row[4]), FileState(row[5])
        )
