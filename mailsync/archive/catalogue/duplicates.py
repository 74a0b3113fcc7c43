"""Which messages of an account are the same one, stored once, and which bear one Message-ID and are
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path
from mailsync.model import MailboxPath

_PLACES = "count(DISTINCT p.mailbox || ':' || coalesce(p.uid, hex(p.digest)))"
"""A UID is a place.

A server without them may give one message a new name each session, so there a content is.
"""


@dataclass(frozen=True, slots=True)
class Same:
    """One message in several places now: how many, as how many different contents it came, what
    storing it once saves.
    """

    digest: bytes
    subject: str
    message_id: str
    places: int
    contents: int
    saved: int
    mailboxes: tuple[MailboxPath, ...]


@dataclass(frozen=True, slots=True)
class Different:
    """One of the different messages that bear one Message-ID."""

    message_id: str
    digest: bytes
    subject: str
    sender: str
    size: int
    mailboxes: tuple[MailboxPath, ...]


class Duplicates:
    """Questions about the duplicates of an account."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def same(self, account: int) -> Iterator[Same]:
        """Yield the messages that an account's server shows in several places, those that save most
        first.
        """
        names = self._names(account)
        rows = self._sql.each(
            f"""
            SELECT min(m.digest), m.subject, m.message_id, {_PLACES} AS places,
              count(DISTINCT p.digest),
              sum(coalesce(p.size, m.size))
                - (SELECT sum(s.size) FROM messages s WHERE s.identity = m.identity) AS saved,
              group_concat(DISTINCT p.mailbox)
            FROM placements p
              JOIN files f ON f.id = p.file
              JOIN messages m ON m.id = f.message
            WHERE p.gone_run IS NULL
              AND p.mailbox IN (SELECT id FROM mailboxes WHERE account = ?)
            GROUP BY m.identity HAVING places > 1
            ORDER BY saved DESC, min(m.id)
            """,
            (account,),
        )
        for digest, subject, message_id, places, contents, saved, boxes in rows:
            yield Same(
                digest, subject, message_id, places, contents, max(0, saved), _named(names, boxes)
            )

    def different(self, account: int) -> Iterator[Different]:
        """Yield the messages of an account that share their Message-ID with a different message,
        those of one Message-ID together.
        """
        names = self._names(account)
        rows = self._sql.each(
            """
            SELECT m.message_id, m.digest, m.subject, m.sender, m.size,
              group_concat(DISTINCT p.mailbox)
            FROM messages m
              JOIN files f ON f.message = m.id
              JOIN placements p ON p.file = f.id
            WHERE p.mailbox IN (SELECT id FROM mailboxes WHERE account = ?)
              AND m.message_id IN (SELECT message_id FROM messages WHERE message_id <> ''
                GROUP BY message_id HAVING count(DISTINCT identity) > 1)
            GROUP BY m.id
            ORDER BY m.message_id, m.id
            """,
            (account,),
        )
        for message_id, digest, subject, sender, size, boxes in rows:
            yield Different(message_id, digest, subject, sender, size, _named(names, boxes))

    def _names(self, account: int) -> dict[int, MailboxPath]:
        rows = self._sql.all(
            "SELECT m.id, f.path FROM mailboxes m JOIN folders f ON f.id = m.folder"
            " WHERE m.account = ?",
            (account,),
        )
        return {row: read_path(text) for row, text in rows}


def _named(names: dict[int, MailboxPath], rows: str) -> tuple[MailboxPath, ...]:
    return tuple(sorted(names[int(row)] for row in rows.split(",")))
