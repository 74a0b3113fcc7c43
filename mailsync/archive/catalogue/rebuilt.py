"""The table `rebuilt`: contents that a store put together again, which are not what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path
from mailsync.model import MailboxPath

_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Superseded:
    """A file of a rebuilt content that placements name: its folder, and its name's date and
    flags.
    """

    file: int
    path: MailboxPath
    internaldate: int
    flags: frozenset[str]


class Rebuilt:
    """Rebuilt contents, and the verbatim ones that bear the same Message-ID."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def has_any(self) -> bool:
        """Return whether any content is a rebuilt one."""
        return bool(self._sql.one("SELECT EXISTS (SELECT 1 FROM rebuilt)")[0])

    def record(self, message: int, message_id: str) -> None:
        """Say that a content is a rebuilt one."""
        self._sql.insert_later("rebuilt", (message, message_id), ("rebuilt", message_id))

    def holds(self, digest: bytes) -> bool:
        """Return whether a content is a rebuilt one."""
        row = self._sql.one(
            "SELECT 1 FROM rebuilt r JOIN messages m ON m.id = r.message WHERE m.digest = ?", digest
        )
        return bool(row)

    def bearing(self, message_id: str) -> list[tuple[int, bytes]]:
        """Return the rebuilt contents with this Message-ID, as (row, digest)."""
        return self._sql.look_up(
            "SELECT m.id, m.digest FROM rebuilt r JOIN messages m ON m.id = r.message"
            f" WHERE r.message_id = ? LIMIT {_MOST}",
            (message_id,),
            ("rebuilt", message_id),
        )

    def verbatim(self, message_id: str) -> list[tuple[int, bytes]]:
        """Return the contents with this Message-ID that are as they were sent, as (row, digest);
        two where there are more.
        """
        return self._sql.look_up(
            "SELECT m.id, m.digest FROM messages m WHERE m.message_id = ?1 AND m.message_id <> ''"
            " AND NOT EXISTS (SELECT 1 FROM rebuilt r WHERE r.message = m.id) LIMIT 2",
            (message_id,),
            message_id,
            ("rebuilt", message_id),
        )

    def placed(self, message: int) -> list[Superseded]:
        """Return the files of a content that placements name."""
        rows = self._sql.all(
            "SELECT f.id, d.path, f.internaldate, f.flags FROM files f"
            " JOIN folders d ON d.id = f.folder WHERE f.message = ?"
            " AND EXISTS (SELECT 1 FROM placements p WHERE p.file = f.id)",
            (message,),
        )
        read = self._sql.flags.read
        return [
            Superseded(file, read_path(path), date, read(flags)) for file, path, date, flags in rows
        ]

    def move(self, old: int, new: int) -> None:
        """Let every placement of one file name another."""
        self._sql.execute("UPDATE placements SET file = ? WHERE file = ?", (new, old))
