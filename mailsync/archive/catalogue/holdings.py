"""What the mailboxes hold: all queries that read the tables `placements` and `spans`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path
from mailsync.model import (
    ArchivedMessage,
    Known,
    KnownMessage,
    MailboxPath,
    SyncState,
)
from mailsync.plan import flags_of_copies

_CHUNK: Final = 500

_KNOWN: Final = (
    "p.size, p.flags, p.gone_run IS NOT NULL, f.state <> 'sound', p.internaldate"
    " FROM placements p JOIN files f ON f.id = p.file"
)

_MESSAGE: Final = (
    "m.digest, m.identity, m.size, f.internaldate, f.copy, m.message_id, m.presence, m.subject,"
    " m.sender"
)

_APART: Final = "\x1f"

_COPIES: Final = "group_concat(CASE WHEN p.gone_run IS NULL THEN p.flags END, char(31))"
"""The flags of all live placements, each a text of its own."""

_IMPORTED: Final = "min(p.first_run IN (SELECT id FROM runs WHERE kind = 'import'))"
"""Whether all placements are of files that were read into the account of a server."""


class Holdings:
    """Questions about what was seen in the mailboxes of a server, and what of it is stored."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    # for a pull

    def by_uidl(self, mailbox: int, state: SyncState | None) -> Known:
        """Return every message of a mailbox that has a UIDL."""
        rows = self._sql.each(
            f"SELECT p.uidl, {_KNOWN}"
            " WHERE p.mailbox = ? AND p.uid IS NULL AND p.uidl IS NOT NULL AND p.retired = 0"
            " ORDER BY p.id",
            (mailbox,),
        )
        messages = self._known(rows)
        return Known(state, messages, sum(not message.gone for message in messages.values()))

    def by_uid(self, mailbox: int, uidvalidity: int, state: SyncState | None) -> Known:
        """Return every message of a mailbox under this UIDVALIDITY."""
        rows = self._sql.each(
            f"SELECT p.uid, {_KNOWN}"
            " WHERE p.mailbox = ? AND p.uidvalidity = ? AND p.uid IS NOT NULL AND p.retired = 0"
            " ORDER BY p.id",
            (mailbox, uidvalidity),
        )
        messages = self._known(rows)
        return Known(state, messages, sum(not message.gone for message in messages.values()))

    def named_by_delta(
        self,
        mailbox: int,
        uidvalidity: int,
        state: SyncState | None,
        uids: Iterable[int],
        spans: Iterable[range],
    ) -> Known:
        """Return the messages with these UIDs, and the live ones within `spans`; costs as much as
        they are many.
        """
        select = (
            f"SELECT p.uid, {_KNOWN} WHERE p.mailbox = ? AND p.uidvalidity = ? AND p.retired = 0"
        )
        rows: list[Any] = []
        wanted = list(uids)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            rows += self._sql.all(
                f"{select} AND p.uid IN ({marks})", (mailbox, uidvalidity, *chunk)
            )
        for span in spans:
            rows += self._sql.all(
                f"{select} AND p.gone_run IS NULL AND p.uid BETWEEN ? AND ?",
                (mailbox, uidvalidity, span.start, span.stop - 1),
            )
        live = self._sql.one(
            "SELECT count(*) FROM placements"
            " WHERE mailbox = ? AND uidvalidity = ? AND retired = 0 AND gone_run IS NULL",
            mailbox,
            uidvalidity,
        )[0]
        return Known(state, self._known(rows), live)

    def _known(self, rows: Iterable[Any]) -> dict[int | bytes, KnownMessage]:
        read = self._sql.flags.read
        return {
            key: KnownMessage(size, read(flags), bool(gone), bool(damaged), arrived)
            for key, size, flags, gone, damaged, arrived in rows
        }

    def stored_as_fetched(
        self, mailbox: int, uidl: bytes, size: int, before: int
    ) -> tuple[bytes, int] | None:
        """Return the digest and size of the sound content of a POP3 message that a run that began
        by `before` fetched and stored as it was.
        """
        row = self._sql.one(
            "SELECT m.digest, m.size FROM placements p"
            " JOIN files f ON f.id = p.file"
            " JOIN messages m ON m.id = f.message"
            " JOIN runs r ON r.id = p.first_run"
            " WHERE p.mailbox = ? AND p.uid IS NULL AND p.uidl = ? AND +p.size = ?"
            " AND p.retired = 0"
            " AND p.digest = m.digest AND NOT p.matched AND f.state = 'sound' AND r.started <= ?",
            mailbox,
            uidl,
            size,
            before,
        )
        return None if row is None else (row[0], row[1])

    # for a push, and for people

    def messages(
        self, mailbox: int, path: MailboxPath, *, include_gone: bool, as_of: int | None
    ) -> Iterator[ArchivedMessage]:
        """Yield one message a file, oldest first; its flags are those of its live placements
        together, else those of its newest one.

        With `as_of` those placements count that were live at the end of that run, with the flags
        they had then.
        """
        if as_of is not None:
            held = (
                "SELECT file, id, flags, NULL AS gone_run, first_run FROM placements"
                " WHERE mailbox = :mailbox AND since_run <= :run"
                " AND (gone_run IS NULL OR gone_run > :run)"
                " UNION ALL SELECT p.file, p.id, s.flags, NULL, p.first_run"
                " FROM placements p JOIN spans s ON s.placement = p.id"
                " WHERE p.mailbox = :mailbox AND s.from_run <= :run AND s.to_run > :run"
            )
        else:
            # Spelled out, so that the index on live messages serves.
            live = "" if include_gone else "AND gone_run IS NULL"
            held = (
                "SELECT file, id, flags, gone_run, first_run FROM placements"
                f" WHERE mailbox = :mailbox {live}"
            )
        rows = self._sql.each(
            f"SELECT {_MESSAGE}, p.flags, p.gone_run, {_COPIES}, {_IMPORTED},"
            " max((p.gone_run IS NULL) * 1000000000000 + p.id)"
            f" FROM ({held}) p JOIN files f ON f.id = p.file JOIN messages m ON m.id = f.message"
            " GROUP BY f.id ORDER BY f.internaldate, m.digest",
            {"mailbox": mailbox, "run": as_of},
        )
        for *columns, flags, gone_run, copies, imported, _ in rows:
            message = self._message(path, flags if copies is None else copies, columns, gone_run)
            yield replace(message, imported=True) if imported else message

    def imported(self, account: int) -> int:
        """Return how many messages have no live place in an account but those of imported files."""
        row = self._sql.one(
            "SELECT count(*) FROM (SELECT p.file FROM placements p"
            " JOIN mailboxes b ON b.id = p.mailbox"
            f" WHERE b.account = ? AND p.gone_run IS NULL GROUP BY p.file HAVING {_IMPORTED})",
            account,
        )
        return int(row[0])

    def places(self, account: int, digest: bytes) -> list[ArchivedMessage]:
        """Return a content as each mailbox of an account holds it, or held it, by their names."""
        rows = self._sql.all(
            f"SELECT {_MESSAGE}, d.path, p.flags, p.gone_run, {_COPIES},"
            " max((p.gone_run IS NULL) * 1000000000000 + p.id)"
            " FROM messages m JOIN files f ON f.message = m.id JOIN placements p ON p.file = f.id"
            " JOIN mailboxes b ON b.id = p.mailbox JOIN folders d ON d.id = b.folder"
            " WHERE m.digest = ? AND b.account = ?"
            " GROUP BY f.id, b.id ORDER BY d.path <> 'INBOX', d.path, f.copy",
            (digest, account),
        )
        return [
            self._message(read_path(path), flags if copies is None else copies, columns, gone)
            for *columns, path, flags, gone, copies, _ in rows
        ]

    def tells_flags(self, mailbox: int) -> bool:
        """Return whether a mailbox has placements of a server with flags, or none with a UIDL."""
        uid, uidl = self._sql.one(
            "SELECT EXISTS (SELECT 1 FROM placements WHERE mailbox = ?1 AND uid IS NOT NULL),"
            " EXISTS (SELECT 1 FROM placements"
            " WHERE mailbox = ?1 AND uid IS NULL AND uidl IS NOT NULL)",
            mailbox,
        )
        return bool(uid) or not uidl

    def newest(self) -> int:
        """Return the row of the placement that came last, 0 when there is none."""
        return int(self._sql.one("SELECT coalesce(max(id), 0) FROM placements")[0])

    def arrived(self, account: int, above: int, most: int) -> tuple[int, list[ArchivedMessage]]:
        """Return the live messages of an account placed after row `above`, the first `most` of
        them, and the row of the last one.
        """
        # CROSS JOIN: begin with the few new placements.
        rows = self._sql.all(
            f"SELECT {_MESSAGE}, d.path, (SELECT {_COPIES} FROM placements p"
            " WHERE p.file = f.id AND p.mailbox = b.id), p.id FROM placements p"
            " CROSS JOIN mailboxes b ON b.id = p.mailbox"
            " CROSS JOIN folders d ON d.id = b.folder"
            " CROSS JOIN files f ON f.id = p.file"
            " CROSS JOIN messages m ON m.id = f.message"
            " WHERE p.id > ? AND b.account = ? AND p.gone_run IS NULL"
            " ORDER BY p.id LIMIT ?",
            (above, account, most),
        )
        messages = [
            self._message(read_path(path), flags, columns, None)
            for *columns, path, flags, _ in rows
        ]
        return (rows[-1][-1] if rows else above), messages

    def _flags(self, copies: str) -> frozenset[str]:
        read = self._sql.flags.read
        texts = set(copies.split(_APART))
        return read(texts.pop()) if len(texts) == 1 else flags_of_copies([*map(read, texts)])

    def _message(
        self, path: MailboxPath, flags: str, columns: list[Any], gone_run: int | None
    ) -> ArchivedMessage:
        digest, identity, size, date, copy, message_id, presence, subject, sender = columns
        return ArchivedMessage(
            path,
            digest,
            identity,
            size,
            self._flags(flags),
            date,
            copy,
            message_id,
            presence,
            subject,
            sender,
            gone_run is not None,
            gone_run,
        )
