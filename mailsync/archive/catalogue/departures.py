"""Where the messages are that left a mailbox, and how many did: questions about losses."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Final

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path
from mailsync.model import VIEWS, LedgerKey, MailboxPath

_LEFT: Final = """
WITH left AS (
  SELECT p.mailbox, f.message, f.copy, max(p.gone_run) AS gone_run
  FROM placements p JOIN files f ON f.id = p.file
  WHERE p.mailbox = ?1 AND p.gone_run >= ?2
    AND NOT EXISTS (SELECT 1 FROM placements q
      WHERE q.file = p.file AND q.mailbox = p.mailbox AND q.gone_run IS NULL)
  GROUP BY p.file
)
"""
"""The files that left a mailbox in run ?2 or later, and are not in it under another UID."""

_CAME_TO: Final = """
SELECT DISTINCT m.identity, d.path FROM left l
  JOIN mailboxes a ON a.id = l.mailbox
  JOIN messages m ON m.id = l.message
  CROSS JOIN messages n ON n.identity = m.identity
  CROSS JOIN files f ON f.message = n.id
  CROSS JOIN placements q ON q.file = f.id
  CROSS JOIN mailboxes b ON b.id = q.mailbox
  CROSS JOIN folders d ON d.id = b.folder
WHERE q.gone_run IS NULL AND b.account = a.account
  AND (q.first_run >= l.gone_run
    OR (a.removed_run IS NULL AND ({view})))
"""
"""Those of them that are alive, with where: in the same mailbox, or where they came to in the run
that missed them or later. Where they had been before they are copies, and so still missing here;
but for a view, which shows what lives anywhere.
"""

_COPIES_OF_GONE: Final = """
SELECT m.identity, m.digest, f.copy, min(p.first_run) AS came,
  CASE WHEN sum(p.gone_run IS NULL) = 0 THEN max(p.gone_run) END
FROM placements p JOIN files f ON f.id = p.file JOIN messages m ON m.id = f.message
WHERE p.mailbox = ?1 AND m.identity IN (
  SELECT n.identity FROM placements q
    JOIN files g ON g.id = q.file JOIN messages n ON n.id = g.message
  WHERE q.mailbox = ?1 GROUP BY n.identity
  HAVING count(DISTINCT g.id) > 1 AND max(q.gone_run) IS NOT NULL)
GROUP BY f.id ORDER BY m.identity, came, f.id
"""
"""The copies of messages of which several were in a mailbox and one is gone, as they came."""


class Departures:
    """Questions about messages that left their mailbox."""

    def __init__(self, sql: Connection) -> None:
        self._sql = sql

    def left(self, mailbox: int, since: int) -> list[bytes]:
        """Return the messages (by identity) that left a mailbox in run `since` or later."""
        rows = self._sql.all(
            f"{_LEFT} SELECT m.identity FROM left l JOIN messages m ON m.id = l.message",
            (mailbox, since),
        )
        return [identity for (identity,) in rows]

    def moved(self, mailbox: int, since: int = 0) -> Mapping[bytes, tuple[MailboxPath, ...]]:
        """Return those of them that live on, each with the mailboxes it came to."""
        found: dict[bytes, tuple[MailboxPath, ...]] = {}
        paths: dict[str, MailboxPath] = {}
        view = " OR ".join(f"instr(b.attributes, '{use}')" for use in sorted(VIEWS))
        rows = self._sql.each(f"{_LEFT}{_CAME_TO.format(view=view)}", (mailbox, since))
        for identity, text in rows:
            path = paths.get(text) or paths.setdefault(text, read_path(text))
            found[identity] = (*found.get(identity, ()), path)
        return found

    def superseded(self, mailbox: int) -> Mapping[tuple[bytes, int], LedgerKey]:
        """Return the copies (by digest and number, with what the ledger calls them) that left a
        mailbox and for each of which another copy of the same message came afterwards: what a
        restore brought back, where every copy is kept.
        """
        rows = self._sql.each(_COPIES_OF_GONE, (mailbox,))
        found: dict[tuple[bytes, int], LedgerKey] = {}
        current = b""
        ended: list[tuple[int, bytes, int]] = []
        for identity, digest, copy, came, gone in rows:
            if identity != current:
                current, ended = identity, []
            if ended and ended[0][0] <= came:
                _, other, number = heapq.heappop(ended)
                found[other, number] = (identity, number)
            if gone is not None:
                heapq.heappush(ended, (gone, digest, copy))
        return found

    def restored(self, mailbox: int, destination: str) -> frozenset[tuple[bytes, int]]:
        """Return the messages (by digest and copy) that left a mailbox and were sent back to it
        afterwards, by the ledger of a destination, and that no pull has seen there yet.
        """
        rows = self._sql.all(
            f"{_LEFT} SELECT m.digest, l.copy FROM left l"
            " JOIN messages m ON m.id = l.message JOIN mailboxes b ON b.id = l.mailbox"
            " JOIN folders d ON d.id = b.folder"
            " JOIN ledger g ON g.destination = ?3 AND g.mailbox = d.path"
            "  AND g.identity = m.identity AND g.copy = l.copy"
            " WHERE g.state = 'sent' AND g.run > l.gone_run",
            (mailbox, 0, destination),
        )
        return frozenset((digest, copy) for digest, copy in rows)

    def unconfirmed(self, mailbox: int) -> frozenset[tuple[bytes, int]]:
        """Return the messages (by digest and copy) that count as live in a mailbox of an IMAP
        server only because nobody has looked since the catalogue was built again.
        """
        rows = self._sql.all(
            "SELECT m.digest, f.copy FROM placements p"
            " JOIN files f ON f.id = p.file JOIN messages m ON m.id = f.message"
            " WHERE p.mailbox = ? AND p.gone_run IS NULL"
            " GROUP BY f.id HAVING min(p.unconfirmed AND p.uid IS NOT NULL)",
            (mailbox,),
        )
        return frozenset((digest, copy) for digest, copy in rows)
