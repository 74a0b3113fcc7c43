"""What the errors of SQLite mean to the owner of an archive."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from mailsync.errors import ArchiveError, DiskFull, IntegrityError

ROOM: Final = 1 << 20
"""With less than this left, an I/O error of SQLite is a full disk: it cannot always tell."""

REINDEX: Final = "`mailsync reindex ACCOUNT` builds the catalogue again from it"
"""What helps an archive without a catalogue that can be used."""


def catalogue_error(error: sqlite3.Error, place: Path) -> ArchiveError:
    """Return the error a person understands for one of SQLite, in the archive at `place`."""
    text = str(error)
    # Without room for its journal SQLite only says that it cannot open the file.
    if "full" in text or (("I/O" in text or "unable to open" in text) and _is_full(place)):
        return DiskFull(
            f"no space left for the catalogue in {place}: make room and run it again; everything"
            " stored is safe"
        )
    if "malformed" in text or "not a database" in text:
        return IntegrityError(
            f"the catalogue of {place} is damaged ({text}); the mail itself lies in"
            f" {place / 'mail'}: {REINDEX}"
        )
    return ArchiveError(f"cannot use the catalogue of {place}: {text}")


def _is_full(place: Path) -> bool:
    try:
        disk = os.statvfs(place)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM
