"""A last good copy of the catalogue, one a day and one a prune: it holds what the mail tree alone
cannot tell (history, ledger).
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from mailsync.archive.storage.disk import sync_directory

COPY: Final = "catalogue.copy.sqlite3"
DAY: Final = 86_400


def keep_copy(catalogue: sqlite3.Connection, directory: Path, now: int, *, age: int = DAY) -> bool:
    """Copy the catalogue beside itself unless the copy is younger than `age` seconds; returns
    whether it did.

    The copy replaces the older one only once it is whole, found sound by SQLite, and on disk.
    """
    copy = directory / COPY
    if copy.exists() and 0 <= now - copy.stat().st_mtime < age:
        return False
    fresh = directory / f"{COPY}.new"
    fresh.unlink(missing_ok=True)
    try:
        fresh.touch(mode=0o600)
        fresh.chmod(0o600)
        if not copied(catalogue, fresh):
            return False
        os.utime(fresh, (now, now))
        descriptor = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(copy)
        sync_directory(directory)
    finally:
        fresh.unlink(missing_ok=True)
    return True


def copied(catalogue: sqlite3.Connection, to: Path) -> bool:
    """Copy an open catalogue into an empty file; returns whether SQLite finds the copy sound."""
    target = sqlite3.connect(to, isolation_level=None)
    try:
        # Page by page into a file nobody knows yet: its own journal would only be written for
        # nothing.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        catalogue.backup(target)
        return bool(target.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    finally:
        target.close()
