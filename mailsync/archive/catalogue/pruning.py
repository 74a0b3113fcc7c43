"""Which files `prune` may remove: the queries over files and all their placements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path
from mailsync.model import MailboxPath


@dataclass(frozen=True, slots=True)
class Prunable:
    """What may go from a mailbox: messages, and the octets the disk gets back, which is none for
    what another mailbox keeps.
    """

    mailbox: MailboxPath
    messages: int
    octets: int


class PrunableFiles:
    """The files of one account whose every placement is an IMAP message that had left its server
    before a run.

    A placement of any account that does not meet that keeps its file: a message that is there, that
    left later, or that came by POP3.
    """

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def find(
        self, account: int, before_run: int | None, chosen: Callable[[MailboxPath], bool]
    ) -> dict[MailboxPath, list[int]]:
        """Return the rows of these files by mailbox, but for those of messages that were sent from
        that run on: they were brought back. `before_run` None sets no limit.
        """
        old = (
            "p.uid IS NOT NULL AND p.gone_run IS NOT NULL AND NOT p.unconfirmed"
            " AND (?2 IS NULL OR p.gone_run < ?2)"
        )
        rows = self._sql.all(
            "SELECT d.path, f.id FROM files f JOIN folders d ON d.id = f.folder"
            " WHERE f.state <> 'condemned'"
            " AND EXISTS (SELECT 1 FROM placements p JOIN mailboxes m ON m.id = p.mailbox"
            " WHERE p.file = f.id AND m.account = ?1)"
            f" AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.file = f.id AND NOT ({old}))"
            " AND ((SELECT m.identity FROM messages m WHERE m.id = f.message), f.copy) NOT IN"
            " (SELECT identity, copy FROM ledger WHERE state = 'sent' AND run >= ?2)"
            " ORDER BY d.path <> 'INBOX', d.path, f.id",
            (account, before_run),
        )
        found: dict[MailboxPath, list[int]] = {}
        for text, file in rows:
            path = read_path(text)
            if chosen(path):
                found.setdefault(path, []).append(file)
        return found

    def weigh(self, files: dict[MailboxPath, list[int]]) -> list[Prunable]:
        """Return what removing them gives back; a content that several of them hold counts in the
        first.
        """
        self._sql.execute("CREATE TEMP TABLE IF NOT EXISTS going (file INTEGER PRIMARY KEY)")
        self._sql.execute("DELETE FROM going")
        self._sql.execute_each(
            "INSERT INTO going VALUES (?)", ((file,) for rows in files.values() for file in rows)
        )
        freed = dict(
            self._sql.all(
                "SELECT min(f.id), m.size FROM files f JOIN messages m ON m.id = f.message"
                " GROUP BY m.id HAVING count(*) = sum(f.id IN (SELECT file FROM going))"
            )
        )
        return [
            Prunable(path, len(rows), sum(freed.get(file, 0) for file in rows))
            for path, rows in files.items()
        ]
