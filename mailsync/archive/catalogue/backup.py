"""A last good copy of the catalogue, one a day and one a prune: it holds what the mail tree alone
cannot tell (history, ledger).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from mailsync.archive.catalogue import schema
from mailsync.archive.catalogue.connection import NAME, Connection, translated_error
from mailsync.archive.durability import sync_directory, sync_file
from mailsync.errors import SchemaTooNew

COPY: Final = "catalogue.copy.sqlite3"
DAY: Final = 86_400


def keep_copy(catalogue: Connection, directory: Path, now: int, *, age: int = DAY) -> bool:
    """Copy the catalogue beside itself unless the copy is younger than `age` seconds; returns
    whether it did. Raises ArchiveError, OSError.

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
        if not copied(catalogue.sqlite, fresh):
            return False
        os.utime(fresh, (now, now))
        sync_file(fresh)
        fresh.replace(copy)
        sync_directory(directory)
    except sqlite3.Error as error:
        raise translated_error(error, directory) from error
    finally:
        fresh.unlink(missing_ok=True)
    return True


def begin_from_copy(directory: Path, name: str) -> int:
    """Make a new catalogue of that name out of the copy; returns when the copy was made (epoch
    seconds). Raises ArchiveError, OSError.
    """
    copy = directory / COPY
    try:
        with closing(
            sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as source:
            (directory / name).touch(mode=0o600)
            copied(source, directory / name)
    except sqlite3.Error as error:
        raise translated_error(error, directory) from error
    return int(copy.stat().st_mtime)


def is_sound(directory: Path, name: str = NAME) -> bool:
    """Return whether SQLite finds nothing wrong with a catalogue, or a copy of it.

    Raises SchemaTooNew.
    """
    path = directory / name
    if not path.is_file() or not path.stat().st_size:
        return False
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=60)
        ) as sqlite:
            version = schema.version_of(sqlite, directory)
            return version > 0 and sqlite.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    except SchemaTooNew:
        raise
    except sqlite3.DatabaseError:
        return False


def copied(source: sqlite3.Connection, to: Path) -> bool:
    """Copy an open catalogue into an empty file; returns whether SQLite finds the copy sound."""
    with closing(sqlite3.connect(to, isolation_level=None)) as target:
        # Page by page into a file nobody knows yet: its own journal would only be written for
        # nothing.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target)
        return bool(target.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
