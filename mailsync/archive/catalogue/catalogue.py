"""The catalogue of an archive: its tables by name, and its transactions."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from mailsync.archive.catalogue import backup
from mailsync.archive.catalogue.connection import NAME, Connection, connect
from mailsync.archive.catalogue.departures import Departures
from mailsync.archive.catalogue.duplicates import Duplicates
from mailsync.archive.catalogue.files import Files, Messages
from mailsync.archive.catalogue.holdings import Holdings
from mailsync.archive.catalogue.ledger import Destinations, Ledger
from mailsync.archive.catalogue.likenesses import Likenesses
from mailsync.archive.catalogue.mailboxes import Folders, Mailboxes
from mailsync.archive.catalogue.moves import Moves
from mailsync.archive.catalogue.placements import Placements
from mailsync.archive.catalogue.pruning import PrunableFiles
from mailsync.archive.catalogue.rebuilt import Rebuilt
from mailsync.archive.catalogue.runs import Accounts, Runs, Traffic


class Catalogue:
    """One open catalogue, for one thread at a time; commits nothing by itself.

    Everything here raises ArchiveError and its children, nothing of SQLite's own.
    """

    def __init__(self, sql: Connection) -> None:
        self.sql = sql
        self.accounts = Accounts(sql)
        self.runs = Runs(sql)
        self.traffic = Traffic(sql)
        self.folders = Folders(sql)
        self.mailboxes = Mailboxes(sql)
        self.messages = Messages(sql)
        self.files = Files(sql)
        self.holdings = Holdings(sql)
        self.likenesses = Likenesses(sql)
        self.departures = Departures(sql)
        self.moves = Moves(sql)
        self.destinations = Destinations(sql)
        self.duplicates = Duplicates(sql)
        self.prunable = PrunableFiles(sql)
        self.rebuilt = Rebuilt(sql)

    @classmethod
    def open(cls, directory: Path, *, writing: bool, name: str = NAME) -> Self:
        """Open the catalogue of an archive, made or brought up to date when `writing`.

        Raises SchemaTooNew, ArchiveError, OSError.
        """
        return cls(connect(directory, writing=writing, name=name))

    def placements(self, run: int) -> Placements:
        """Return the placements, for a run to write."""
        return Placements(self.sql, run)

    def ledger(self, destination: str) -> Ledger:
        """Return the ledger of a destination, by its key."""
        return Ledger(self.sql, destination)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.sql.in_transaction

    def begin(self) -> None:
        """Open a transaction unless one is open."""
        self.sql.begin()

    def commit(self) -> None:
        """Make everything since `begin` durable."""
        self.sql.commit()

    def rollback(self) -> None:
        """Undo everything since `begin`."""
        self.sql.rollback()

    def keep_copy(self, directory: Path, now: int, *, age: int = backup.DAY) -> bool:
        """Do as `backup.keep_copy` does."""
        return backup.keep_copy(self.sql, directory, now, age=age)

    def tidy(self, *, one_file: bool) -> None:
        """Finish many changes: leave `one_file` without a journal beside it, or have SQLite look at
        its statistics again.
        """
        self.sql.execute("PRAGMA journal_mode = DELETE" if one_file else "PRAGMA optimize")

    def close(self) -> None:
        """Close; what was not committed never was."""
        self.sql.close()
