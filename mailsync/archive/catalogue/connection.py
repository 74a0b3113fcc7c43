"""The connection to a catalogue: opening, transactions, statements, and rows that may wait to be
inserted many at a time.

What SQLite raises leaves here as ArchiveError and its children, which say what helps.

Every statement lets the other threads run and then waits for its turn again, which costs several
times what SQLite does in it. So the rows of new messages get their numbers at once and wait until
a statement comes that might have to see them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

from mailsync.archive.catalogue import schema
from mailsync.archive.catalogue.text import FlagSets
from mailsync.archive.durability import sync_directory
from mailsync.errors import ArchiveError, DiskFull, IntegrityError

NAME: Final = "catalogue.sqlite3"

REINDEX: Final = "`mailsync reindex ACCOUNT` builds the catalogue again from it"
"""What helps an archive without a catalogue that can be used."""

MOST_WAITING: Final = 600
"""Rows that wait at most."""

ROOM: Final = 1 << 20
"""With less than this left, an I/O error of SQLite is a full disk: it cannot always tell."""

WAITING_COLUMNS: Final = {
    "messages": (
        "(id, digest, size, identity, message_id, header, presence, subject, sender, first_run,"
        " signed)"
    ),
    "rebuilt": "(id, message, message_id)",
    "files": "(id, folder, message, copy, base, internaldate, flags)",
    "placements": (
        "(id, mailbox, file, digest, size, uidvalidity, uid, uidl, object_id, internaldate, flags,"
        " first_run, since_run, matched)"
    ),
}
"""Tables whose rows may wait, in the order in which they refer to each other."""

_INSERTS: Final = {
    table: f"INSERT INTO {table} {columns} VALUES ({', '.join('?' * (columns.count(',') + 1))})"
    for table, columns in WAITING_COLUMNS.items()
}

_REFUSALS: Final = (sqlite3.Error, OverflowError, UnicodeEncodeError)
"""What `sqlite3` raises: also for numbers and text that SQLite cannot hold, which nobody may hand
over, but which must not look like a mistake of mailsync's own.
"""

Values: TypeAlias = Sequence[object] | Mapping[str, object]


class Connection:
    """One open catalogue; not thread-safe. Every method raises ArchiveError and its children."""

    def __init__(self, sqlite: sqlite3.Connection, directory: Path) -> None:
        self.sqlite = sqlite
        self.flags = FlagSets()
        self._directory = directory
        self._waiting: dict[str, list[Sequence[object]]] = {table: [] for table in WAITING_COLUMNS}
        self._next_ids: dict[str, int] = {}
        self._waiting_keys: set[Hashable] = set()
        self._count = 0

    # statements, which see everything inserted before them

    def execute(self, statement: str, values: Values = ()) -> sqlite3.Cursor:
        """Execute a statement that changes rows, or sets something."""
        if self._count:
            self._insert_waiting()
        try:
            return self.sqlite.execute(statement, values)
        except _REFUSALS as error:
            raise self._translated(error) from error

    def execute_each(self, statement: str, rows: Iterable[Sequence[object]]) -> sqlite3.Cursor:
        """Execute a statement once for each of many rows of values."""
        if self._count:
            self._insert_waiting()
        try:
            return self.sqlite.executemany(statement, rows)
        except _REFUSALS as error:
            raise self._translated(error) from error

    def one(self, query: str, *values: object) -> Any:  # noqa: ANN401  a row of SQLite is untyped
        """Return the first row of a query, None when it has none."""
        cursor = self.execute(query, values)
        try:
            return cursor.fetchone()
        except _REFUSALS as error:
            raise self._translated(error) from error

    def all(self, query: str, values: Values = ()) -> list[Any]:
        """Return the rows of a query."""
        cursor = self.execute(query, values)
        try:
            return cursor.fetchall()
        except _REFUSALS as error:
            raise self._translated(error) from error

    def each(self, query: str, values: Values = ()) -> Iterator[Any]:
        """Yield the rows of a query, which need not fit into memory."""
        cursor = self.execute(query, values)
        try:
            yield from cursor
        except _REFUSALS as error:
            raise self._translated(error) from error

    # rows that wait

    def insert_later(self, table: str, values: Sequence[object], *keys: Hashable) -> int:
        """Return the number of a new row, which is inserted before any statement can miss it.

        `keys` is all that a `look_up` may look for this row by. The row must break no constraint:
        nobody would hear of it here.
        """
        row = self._next_ids.get(table)
        if row is None:
            # No row of this table waits, and those of others may go on waiting: not by `one`.
            query = f"SELECT coalesce(max(id), 0) + 1 FROM {table}"
            row = int(self.look_up(query, ())[0][0])
        self._next_ids[table] = row + 1
        self._waiting[table].append((row, *values))
        self._waiting_keys.update(keys)
        self._count += 1
        if self._count >= MOST_WAITING:
            self._insert_waiting()
        return row

    def look_up(self, query: str, values: Sequence[object], *keys: Hashable) -> list[Any]:
        """Return the rows of a query that looks for rows by these keys only.

        It is cheaper than `all` while rows wait: a query for one digest can miss no waiting row
        but one with that digest. So only if a row was put off under one of the same keys, all that
        wait are inserted first; else they go on waiting.
        """
        if not self._waiting_keys.isdisjoint(keys):
            self._insert_waiting()
        try:
            return self.sqlite.execute(query, values).fetchall()
        except _REFUSALS as error:
            raise self._translated(error) from error

    def _insert_waiting(self) -> None:
        try:
            for table, rows in self._waiting.items():
                if rows:
                    self.sqlite.executemany(_INSERTS[table], rows)
        except _REFUSALS as error:
            raise self._translated(error) from error
        self._drop_waiting()

    def _drop_waiting(self) -> None:
        for rows in self._waiting.values():
            rows.clear()
        self._next_ids.clear()
        self._waiting_keys.clear()
        self._count = 0

    # transactions

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.sqlite.in_transaction

    def begin(self) -> None:
        """Open a transaction unless one is open."""
        if not self.sqlite.in_transaction:
            self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make everything since `begin` durable."""
        if self.sqlite.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        """Undo everything since `begin`."""
        self._drop_waiting()
        if self.sqlite.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        """Close; what was not committed never was."""
        self._drop_waiting()
        try:
            self.sqlite.close()
        except _REFUSALS as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> ArchiveError:
        return translated_error(error, self._directory)


def connect(directory: Path, *, writing: bool, name: str = NAME) -> Connection:
    """Open the catalogue of an archive, made or brought up to date when `writing`.

    To be read, one of an older mailsync is copied into a temporary database, and the copy is
    brought up to date. Raises SchemaTooNew, ArchiveError, OSError.
    """
    path = directory / name
    if writing and not path.exists():
        path.touch(mode=0o600)
        path.chmod(0o600)
        sync_directory(directory)
    try:
        # A pull and a push may share the writer's connection, taking turns.
        sqlite = sqlite3.connect(
            f"{path.absolute().as_uri()}?{_mode(path, writing=writing)}",
            uri=True,
            timeout=60,
            isolation_level=None,
            check_same_thread=not writing,
        )
    except sqlite3.Error as error:
        raise translated_error(error, directory) from error
    try:
        if writing:
            _prepare(sqlite, directory)
        elif not schema.is_newest(sqlite, directory):
            sqlite = _brought_up_to_date(sqlite, directory)
        sqlite.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as error:
        sqlite.close()
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_ROLLBACK:
            # Only its very first run keeps a catalogue's journal in that way, and it was killed.
            raise schema.never_filled(directory) from error
        raise translated_error(error, directory) from error
    except BaseException:
        sqlite.close()
        raise
    return Connection(sqlite, directory)


def _mode(path: Path, *, writing: bool) -> str:
    if writing:
        return "mode=rw"
    # On a disk that takes no writing, SQLite must be told that nobody else writes either.
    frozen = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return "mode=ro&immutable=1" if frozen else "mode=ro"


def _prepare(sqlite: sqlite3.Connection, directory: Path) -> None:
    schema.version_of(sqlite, directory)
    sqlite.execute("PRAGMA cache_size = -16000")
    sqlite.execute("PRAGMA journal_mode = WAL")
    sqlite.execute("PRAGMA synchronous = FULL")
    schema.migrate(sqlite, directory)


def _brought_up_to_date(sqlite: sqlite3.Connection, directory: Path) -> sqlite3.Connection:
    """Return a copy of a catalogue in the newest schema, in a file of SQLite's own without a name:
    who only looks may have no right to write, or come beside an older mailsync that writes.
    """
    copy = sqlite3.connect("", isolation_level=None)
    try:
        with closing(sqlite):
            sqlite.backup(copy)
        schema.migrate(copy, directory)
    except BaseException:
        copy.close()
        raise
    return copy


def translated_error(error: Exception, directory: Path) -> ArchiveError:
    """Return what to raise for an error of SQLite over the catalogue of an archive."""
    text = str(error)
    # Without room for its journal SQLite only says that it cannot open the file.
    if "full" in text or (("I/O" in text or "unable to open" in text) and _is_full(directory)):
        return DiskFull(
            f"no space left for the catalogue in {directory}: make room and run it again;"
            " everything stored is safe"
        )
    if "malformed" in text or "not a database" in text:
        return IntegrityError(
            f"the catalogue of {directory} is damaged ({text}); the mail itself lies in"
            f" {directory / 'mail'}: {REINDEX}"
        )
    return ArchiveError(f"cannot use the catalogue of {directory}: {text}")


def _is_full(directory: Path) -> bool:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM
