"""Taking messages out of an archive for good, which nothing else here ever does: those that left
their server long ago.

First the catalogue says, durably, which files are condemned, and forgets their placements; then the
files go; then the rest of their rows. A run that is killed anywhere in between is finished by
whoever opens the archive next, and no file comes back. The copy of the catalogue is made anew in
between, since an older one would call missing what was pruned, should it ever be needed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailsync.archive.catalogue import Catalogue
from mailsync.archive.paths import read_path
from mailsync.archive.safekeeping import keep_copy
from mailsync.archive.storage.base import Removing, Storage
from mailsync.errors import ArchiveError
from mailsync.model import MailboxPath

CONDEMNED: Final = 2
"""What `files.damaged` says of a file that is to be removed."""


@dataclass(frozen=True, slots=True)
class Prunable:
    """What may go from a mailbox: messages, and the octets the disk gets back, which is none for
    what another mailbox keeps.
    """

    mailbox: MailboxPath
    messages: int
    octets: int


def demand_prunable(tree: Storage, directory: Path) -> None:
    """Raise ArchiveError for an archive from which nothing can be taken out."""
    if not isinstance(tree, Removing):
        raise ArchiveError(
            f"messages cannot be taken out of {directory}: it is kept as mbox, which is only ever"
            " appended to"
        )


def prune(  # noqa: PLR0917  the parts of one archive, and what is asked of it
    catalogue: Catalogue,
    tree: Storage,
    directory: Path,
    account: str,
    asked: tuple[int, Callable[[MailboxPath], bool]],
    clock: Callable[[], float],
) -> list[Prunable]:
    """Remove, as a run of its own, what had left its server by a time (epoch seconds) from
    mailboxes that are chosen; tell what.
    """
    catalogue.begin()
    row = catalogue.make_account(account)
    run = catalogue.start_run(row, "prune", int(clock()))
    pruning = Pruning(catalogue, tree)
    files = pruning.find(row, *asked)
    weighed = pruning.weigh(files)
    report = {
        "messages": sum(one.messages for one in weighed),
        "octets": sum(one.octets for one in weighed),
    }
    pruning.condemn(file for rows in files.values() for file in rows)
    catalogue.note_run(run, report)
    catalogue.commit()
    # A full disk may have no room for the copy, and is a reason to prune: then it is made
    # afterwards.
    copied = not files
    with suppress(OSError, sqlite3.Error):
        copied = copied or keep_copy(catalogue.sql.connection, directory, int(clock()), age=0)
    catalogue.begin()
    pruning.execute()
    catalogue.end_run(run, int(clock()), complete=True, report=report)
    catalogue.commit()
    with suppress(OSError, sqlite3.Error):
        copied = copied or keep_copy(catalogue.sql.connection, directory, int(clock()), age=0)
    return weighed


class Pruning:
    """The files of one account whose every placement is an IMAP message that had left its server by
    the time `before`.

    A placement of any account that does not meet that keeps its file: a message that is there, that
    left later, or that came by POP3.
    """

    def __init__(self, catalogue: Catalogue, tree: Storage) -> None:
        self._catalogue = catalogue
        self._sql = catalogue.sql
        self._tree = tree

    def find(
        self, account: int, before: int, chosen: Callable[[MailboxPath], bool]
    ) -> dict[MailboxPath, list[int]]:
        """Return the rows of these files by mailbox; `before` in epoch seconds."""
        # Clocks are set back at times: only what came before the first run that is too young is old
        # enough.
        run = self._sql.execute(
            "SELECT min(id) FROM runs WHERE coalesce(ended, started) > ?", (before,)
        ).fetchone()[0]
        limit = "" if run is None else f"AND p.gone_run < {int(run)}"
        old = f"p.uid IS NOT NULL AND p.gone_run IS NOT NULL AND NOT p.unconfirmed {limit}"
        rows = self._sql.execute(
            "SELECT d.path, f.id FROM files f JOIN folders d ON d.id = f.folder "
            f"WHERE f.damaged < ?2 AND EXISTS (SELECT 1 FROM placements p JOIN mailboxes m "
            f"ON m.id = p.mailbox WHERE p.file = f.id AND m.account = ?1) "
            f"AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.file = f.id AND NOT ({old})) ORDER"
            " BY d.path <> 'INBOX', d.path, f.id",
            (account, CONDEMNED),
        )
        found: dict[MailboxPath, list[int]] = {}
        for text, file in rows.fetchall():
            path = read_path(text)
            if chosen(path):
                found.setdefault(path, []).append(file)
        return found

    def weigh(self, files: dict[MailboxPath, list[int]]) -> list[Prunable]:
        """Return what removing them returns back; a content that several of them hold counts in the
        first.
        """
        self._sql.execute("CREATE TEMP TABLE IF NOT EXISTS going (file INTEGER PRIMARY KEY)")
        self._sql.execute("DELETE FROM going")
        self._sql.executemany(
            "INSERT INTO going VALUES (?)", ((file,) for rows in files.values() for file in rows)
        )
        freed = dict(
            self._sql.execute(
                "SELECT min(f.id), m.size FROM files f JOIN messages m ON m.id = f.message GROUP BY"
                " m.id HAVING count(*) = sum(f.id IN (SELECT file FROM going))"
            ).fetchall()
        )
        return [
            Prunable(path, len(rows), sum(freed.get(file, 0) for file in rows))
            for path, rows in files.items()
        ]

    def condemn(self, files: Iterator[int]) -> None:
        """Say that these files go, and forget where their messages were; the caller commits."""
        rows = [(file,) for file in files]
        self._sql.executemany(f"UPDATE files SET damaged = {CONDEMNED} WHERE id = ?", rows)
        self._sql.executemany(
            "DELETE FROM spans WHERE placement IN (SELECT id FROM placements WHERE file = ?)", rows
        )
        self._sql.executemany("DELETE FROM placements WHERE file = ?", rows)

    def execute(self) -> None:
        """Remove what is condemned, files first; the caller commits."""
        rows = self._sql.execute(
            "SELECT f.id, d.name, f.base, f.message FROM files f JOIN folders d ON d.id = f.folder"
            " WHERE f.damaged = ?",
            (CONDEMNED,),
        ).fetchall()
        # Nothing is condemned where nothing can be removed.
        if isinstance(self._tree, Removing):
            self._tree.remove((folder, base) for _, folder, base, _ in rows)
        self._sql.executemany("DELETE FROM files WHERE id = ?", ((file,) for file, *_ in rows))
        self._sql.executemany(
            "DELETE FROM messages WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM files WHERE message"
            " = ?1)",
            ((message,) for *_, message in rows),
        )

    def is_unfinished(self) -> bool:
        """Return whether a killed run left anything condemned."""
        return (
            self._sql.execute(
                "SELECT 1 FROM files WHERE damaged = ? LIMIT 1", (CONDEMNED,)
            ).fetchone()
            is not None
        )
