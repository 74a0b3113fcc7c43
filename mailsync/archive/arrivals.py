"""Messages in the order in which they came into the archive, for a push that runs beside the
pull.
"""

from __future__ import annotations

from mailsync.archive.catalogue import Catalogue
from mailsync.archive.paths import read_path
from mailsync.model import ArchivedMessage


def newest(catalogue: Catalogue) -> int:
    """Return the number of the placement that came last, 0 when there is none."""
    return int(catalogue.sql.execute("SELECT coalesce(max(id), 0) FROM placements").fetchone()[0])


def arrived(
    catalogue: Catalogue, account: int, above: int, most: int
) -> tuple[int, list[ArchivedMessage]]:
    """Return the live messages of an account placed after `above`, the first `most` of them, and
    the number of the last one.
    """
    # CROSS JOIN: begin with the few new placements.
    rows = catalogue.sql.execute(
        "SELECT p.id, d.path, p.flags, m.digest, m.identity, m.size, f.internaldate, f.copy,"
        " m.message_id, m.presence, m.subject, m.sender FROM placements p CROSS JOIN mailboxes b ON"
        " b.id = p.mailbox CROSS JOIN folders d ON d.id = b.folder CROSS JOIN files f ON f.id ="
        " p.file CROSS JOIN messages m ON m.id = f.message WHERE p.id > ? AND b.account = ? AND"
        " p.gone_run IS NULL ORDER BY p.id LIMIT ?",
        (above, account, most),
    ).fetchall()
    read = catalogue.flags.read
    messages = [
        ArchivedMessage(read_path(path), digest, identity, size, read(flags), *told)
        for _, path, flags, digest, identity, size, *told in rows
    ]
    return (rows[-1][0] if rows else above), messages
