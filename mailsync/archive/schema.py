"""The tables of the catalogue.

Migrations go forward only; a catalogue from a newer mailsync is refused.

A *placement* is live from `since_run` with `flags` until `gone_run` (NULL: still). Its earlier
stretches, with the flags they had, are in `spans`, so that any past run can be listed. `size` of a
placement is what the server announced, `digest` the content it had there; its file may hold another
content of the same message.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from mailsync.archive.storage.disk import sync_directory
from mailsync.archive.translated import translated
from mailsync.errors import ArchiveError, ArchiveNotFound, SchemaTooNew

_FIRST: Final = """
CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, account INTEGER REFERENCES accounts, kind TEXT NOT NULL, destination TEXT,
  started INTEGER NOT NULL, ended INTEGER, complete INTEGER NOT NULL DEFAULT 0, report TEXT
);
CREATE TABLE folders (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE);
CREATE TABLE mailboxes (
  id INTEGER PRIMARY KEY, account INTEGER NOT NULL REFERENCES accounts,
  folder INTEGER NOT NULL REFERENCES folders,
  attributes TEXT NOT NULL DEFAULT '', subscribed INTEGER NOT NULL DEFAULT 0, object_id TEXT,
  uidvalidity INTEGER, uidnext INTEGER, messages INTEGER, highestmodseq INTEGER,
  complete_run INTEGER, complete_at INTEGER, incomplete INTEGER NOT NULL DEFAULT 1,
  removed_run INTEGER,
  UNIQUE (account, folder)
);
CREATE TABLE messages (
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
  identity BLOB NOT NULL, message_id TEXT NOT NULL,
  header BLOB NOT NULL, presence BLOB NOT NULL, subject TEXT NOT NULL, sender TEXT NOT NULL,
  first_run INTEGER NOT NULL
);
CREATE INDEX messages_identity ON messages (identity);
CREATE INDEX messages_message_id ON messages (message_id) WHERE message_id <> '';
CREATE INDEX messages_size ON messages (size, first_run);
CREATE TABLE files (
  id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folders,
  message INTEGER NOT NULL REFERENCES messages,
  copy INTEGER NOT NULL, base TEXT NOT NULL,
  internaldate INTEGER NOT NULL, flags TEXT NOT NULL DEFAULT '', damaged INTEGER NOT NULL DEFAULT 0,
  UNIQUE (folder, base)
);
CREATE INDEX files_message ON files (message, folder);
CREATE INDEX files_damaged ON files (damaged) WHERE damaged;
CREATE TABLE placements (
  id INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL REFERENCES mailboxes,
  file INTEGER NOT NULL REFERENCES files,
  digest BLOB NOT NULL, size INTEGER, uidvalidity INTEGER NOT NULL, uid INTEGER, uidl BLOB,
  object_id TEXT, internaldate INTEGER,
  flags TEXT NOT NULL, first_run INTEGER NOT NULL, since_run INTEGER NOT NULL, gone_run INTEGER,
  matched INTEGER NOT NULL DEFAULT 0, unconfirmed INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX placements_uid ON placements (mailbox, uidvalidity, uid) WHERE uid IS NOT NULL;
CREATE INDEX placements_uidl ON placements (mailbox, uidl) WHERE uid IS NULL;
CREATE INDEX placements_content ON placements (mailbox, digest) WHERE uid IS NULL AND uidl IS NULL;
CREATE INDEX placements_mailbox ON placements (mailbox, gone_run, uidvalidity);
CREATE INDEX placements_file ON placements (file);
CREATE INDEX placements_size ON placements (size, first_run);
CREATE INDEX placements_object ON placements (object_id) WHERE object_id IS NOT NULL;
CREATE TABLE spans (
  placement INTEGER NOT NULL REFERENCES placements, from_run INTEGER NOT NULL,
  to_run INTEGER NOT NULL, flags TEXT NOT NULL
);
CREATE INDEX spans_placement ON spans (placement);
CREATE TABLE traffic (
  account TEXT NOT NULL, direction TEXT NOT NULL, hour INTEGER NOT NULL, octets INTEGER NOT NULL,
  PRIMARY KEY (account, direction, hour)
) WITHOUT ROWID;
CREATE TABLE ledger (
  destination TEXT NOT NULL, mailbox TEXT NOT NULL, identity BLOB NOT NULL, copy INTEGER NOT NULL,
  state TEXT NOT NULL,
  uidvalidity INTEGER, uid INTEGER, flags TEXT NOT NULL, uidnext INTEGER NOT NULL,
  since INTEGER NOT NULL, run INTEGER NOT NULL,
  PRIMARY KEY (destination, mailbox, identity, copy)
) WITHOUT ROWID;
"""

MIGRATIONS: Final = (_FIRST,)
"""Scripts that lead from each version to the next; the number of them is the version of this
mailsync.
"""


NAME: Final = "catalogue.sqlite3"


def connect(directory: Path, *, writing: bool, name: str = NAME) -> sqlite3.Connection:
    """Open the catalogue of an archive, made or brought up to date when `writing`.

    Raises SchemaTooNew, ArchiveError.
    """
    path = directory / name
    with translated(directory):
        if writing and not path.exists():
            path.touch(mode=0o600)
            path.chmod(0o600)
            sync_directory(directory)
        # A pull and a push may share the writer's connection, taking turns.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{_mode(path, writing=writing)}",
            uri=True,
            timeout=60,
            isolation_level=None,
            check_same_thread=not writing,
        )
        try:
            _prepare(connection, directory, writing=writing)
        except BaseException as error:
            connection.close()
            if (
                isinstance(error, sqlite3.OperationalError)
                and error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
            ):
                # Only its very first run keeps a catalogue's journal in that way, and it was
                # killed.
                raise _never_filled(directory) from error
            raise
    return connection


def _mode(path: Path, *, writing: bool) -> str:
    if writing:
        return "mode=rw"
    # On a disk that takes no writing, SQLite must be told that nobody else writes either.
    frozen = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return "mode=ro&immutable=1" if frozen else "mode=ro"


def version_of(connection: sqlite3.Connection, directory: Path) -> int:
    """Return the version of a catalogue's schema, 0 for an empty one. Raises SchemaTooNew."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise SchemaTooNew(
            f"{directory} was written by a newer mailsync (catalogue version {version}, this one"
            f" knows {len(MIGRATIONS)}): install the newer version"
        )
    return version


def _prepare(connection: sqlite3.Connection, directory: Path, *, writing: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    version = version_of(connection, directory)
    if writing:
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE;{script}PRAGMA user_version = {number};COMMIT;"
            )
    elif not version:
        raise _never_filled(directory)
    elif version < len(MIGRATIONS):
        raise ArchiveError(
            f"{directory} was written by an older mailsync; the next `mailsync pull` brings its"
            " catalogue up to date"
        )


def _never_filled(directory: Path) -> ArchiveNotFound:
    return ArchiveNotFound(f"the archive at {directory} was never filled; `mailsync pull` does it")
