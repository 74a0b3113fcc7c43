"""Where the messages are that left a mailbox, and how many did: questions about losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailsync.archive.catalogue.connection import Connection
from mailsync.archive.catalogue.text import read_path
from mailsync.model import VIEWS, MailboxPath

_LEFT: Final = """
WITH left AS (
  SELECT p.mailbox, f.message, max(p.gone_run) AS gone_run
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
  AND (q.first_run >= l.gone_run OR q.mailbox = l.mailbox
    OR (a.removed_run IS NULL AND ({view})))
"""
"""Those of them that are alive, with where: in the same mailbox, or where they came to in the run
that missed them or later. Where they had been before they are copies, and so still missing here;
but for a view, which shows what lives anywhere.
"""


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
