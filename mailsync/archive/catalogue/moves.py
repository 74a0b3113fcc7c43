"""What becomes of all tables when the mail of an account moved to another server."""

from __future__ import annotations

from mailsync.archive.catalogue.connection import Connection


class Moves:
    """Moves of accounts from server to server."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def make(self, account: int, server: str, run: int) -> None:
        """Record that the mail of an account comes from another server, as a run was told, and take
        away all that only the server before knew of it: UIDs, UIDLs and object ids mean other
        messages on another server, or nothing.

        What has a UID stays live until a complete scan; what came by POP3 until its content is seen
        again (see `Placements.confirm`).
        """
        self._sql.execute(
            "UPDATE accounts SET server = ?, moved_run = ? WHERE id = ?", (server, run, account)
        )
        self._sql.execute(
            "UPDATE placements SET retired = retired OR uid IS NOT NULL, unconfirmed = uid IS NULL,"
            " uidl = NULL, object_id = NULL"
            " WHERE mailbox IN (SELECT id FROM mailboxes WHERE account = ?)",
            (account,),
        )
        self._sql.execute(
            "UPDATE mailboxes SET uidvalidity = NULL, object_id = NULL WHERE account = ?",
            (account,),
        )
