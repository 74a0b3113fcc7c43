"""The catalogue's connection, with rows that may wait to be inserted many at a time.

Every statement lets the other threads run and then waits for its turn again, which costs several
times what SQLite does in it. So the rows of new messages get their numbers at once and are put off
until anything is asked that might have to see them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

MOST: Final = 600
"""Rows that wait at most."""

TABLES: Final = {
    "messages": (
        "(id, digest, size, identity, message_id, header, presence, subject, sender, first_run)"
    ),
    "files": "(id, folder, message, copy, base, internaldate, flags)",
    "placements": (
        "(id, mailbox, file, digest, size, uidvalidity, uid, uidl, object_id, internaldate, flags,"
        " first_run, since_run, matched)"
    ),
}
"""Tables whose rows may wait, in the order in which they refer to each other."""

_INSERTS: Final = {
    table: (f"INSERT INTO {table} {columns} VALUES ({', '.join('?' * (columns.count(',') + 1))})")
    for table, columns in TABLES.items()
}


class Statements:
    """One connection; not thread-safe."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._later: dict[str, list[Sequence[object]]] = {table: [] for table in TABLES}
        self._next: dict[str, int] = {}
        self._traits: set[Hashable] = set()
        self._count = 0

    def execute(
        self, statement: str, values: Sequence[object] | Mapping[str, object] = ()
    ) -> sqlite3.Cursor:
        """Execute a statement that sees everything inserted before it."""
        if self._count:
            self.write()
        return self.connection.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[Sequence[object]]) -> sqlite3.Cursor:
        """Execute a statement many times; it sees everything inserted before it."""
        if self._count:
            self.write()
        return self.connection.executemany(statement, rows)

    def ask(self, statement: str, values: Sequence[object], *traits: Hashable) -> list[Any]:
        """Return the rows of a question that only rows inserted with one of these traits could
        answer otherwise than the rest do.
        """
        if not self._traits.isdisjoint(traits):
            self.write()
        return self.connection.execute(statement, values).fetchall()

    def insert(self, table: str, values: Sequence[object], *traits: Hashable) -> int:
        """Insert a row some time before anything can miss it, and give its number; `ask` knows it
        by its traits.

        It must break no constraint: nobody would hear of it here.
        """
        row = self._next.get(table)
        if row is None:
            row = self.connection.execute(
                f"SELECT coalesce(max(id), 0) + 1 FROM {table}"
            ).fetchone()[0]
        self._next[table] = row + 1
        self._later[table].append((row, *values))
        self._traits.update(traits)
        self._count += 1
        if self._count >= MOST:
            self.write()
        return int(row)

    def write(self) -> None:
        """Insert what waits."""
        for table, rows in self._later.items():
            if rows:
                self.connection.executemany(_INSERTS[table], rows)
        self.forget()

    def forget(self) -> None:
        """Let what waits never have been."""
        for rows in self._later.values():
            rows.clear()
        self._next.clear()
        self._traits.clear()
        self._count = 0

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.connection.in_transaction

    def close(self) -> None:
        """Close the connection; what was not committed never was."""
        self.forget()
        self.connection.close()
