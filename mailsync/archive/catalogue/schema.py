"""The tables of the catalogue, and how a catalogue of an earlier mailsync is brought up to them.

Migrations go forward only; a catalogue from a newer mailsync is refused.

A *placement* is live from `since_run` with `flags` until `gone_run` (NULL: still). Its earlier
stretches, with the flags they had, are in `spans`, so that any past run can be listed. `size` of a
placement is what the server announced, `digest` the content it had there; its file may hold another
content of the same message. A *retired* placement has a UID that names nothing on the server any
more, since the mailbox's UIDs mean other messages now, or that nobody knows yet. `uid` is NULL for
messages of a POP3 server.

An account's `server` is the one its UIDs and UIDLs are of; `moved_run` the last run that was told
that the same mail has another one.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from mailsync.errors import ArchiveNotFound, SchemaTooNew

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

_STATES_AND_RETIRED: Final = """
CREATE TABLE files_with_state (
  id INTEGER PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folders,
  message INTEGER NOT NULL REFERENCES messages,
  copy INTEGER NOT NULL, base TEXT NOT NULL,
  internaldate INTEGER NOT NULL, flags TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT 'sound' CHECK (state IN ('sound', 'damaged', 'condemned')),
  UNIQUE (folder, base)
);
INSERT INTO files_with_state (id, folder, message, copy, base, internaldate, flags, state)
  SELECT id, folder, message, copy, base, internaldate, flags,
    CASE damaged WHEN 0 THEN 'sound' WHEN 1 THEN 'damaged' ELSE 'condemned' END
  FROM files;
DROP TABLE files;
ALTER TABLE files_with_state RENAME TO files;
CREATE INDEX files_message ON files (message, folder);
CREATE INDEX files_not_sound ON files (state) WHERE state <> 'sound';
DROP INDEX placements_uid;
DROP INDEX placements_mailbox;
ALTER TABLE placements ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
UPDATE placements SET retired = 1, uidvalidity = 0 WHERE uidvalidity < 0;
CREATE UNIQUE INDEX placements_uid ON placements (mailbox, uidvalidity, uid)
  WHERE uid IS NOT NULL AND retired = 0;
CREATE INDEX placements_mailbox ON placements (mailbox, gone_run, retired, uidvalidity);
"""
"""Files had a number `damaged` (0, 1, and 2 for one that prune was removing); a retired placement
had its own negative number as UIDVALIDITY.
"""

_SERVERS: Final = """
ALTER TABLE accounts ADD COLUMN server TEXT;
ALTER TABLE accounts ADD COLUMN moved_run INTEGER;
ALTER TABLE messages ADD COLUMN signed INTEGER;
"""
"""Which server an account's mail came from was not known (NULL: the next one it is pulled
from), nor whether a message's header bears signatures (NULL: its file tells).
"""

_READINGS: Final = """
CREATE TABLE readings (
  mailbox INTEGER NOT NULL REFERENCES mailboxes, source TEXT NOT NULL, mark INTEGER NOT NULL,
  PRIMARY KEY (mailbox, source)
) WITHOUT ROWID;
"""
"""What files were read into the archive of another account, and by which mark they are known when
nothing changed in them.
"""

_REBUILT: Final = """
CREATE TABLE rebuilt (
  id INTEGER PRIMARY KEY, message INTEGER NOT NULL UNIQUE REFERENCES messages,
  message_id TEXT NOT NULL
);
CREATE INDEX rebuilt_message_id ON rebuilt (message_id);
"""
"""Contents that were put together again by a store, and are not what was sent."""

MIGRATIONS: Final = (_FIRST, _STATES_AND_RETIRED, _SERVERS, _READINGS, _REBUILT)
"""Scripts that lead from each version to the next; the number of them is the version of this
mailsync.
"""


def version_of(connection: sqlite3.Connection, directory: Path) -> int:
    """Return the version of a catalogue's schema, 0 for an empty one. Raises SchemaTooNew."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise SchemaTooNew(
            f"{directory} was written by a newer mailsync (catalogue version {version}, this one"
            f" knows {len(MIGRATIONS)}): install the newer version"
        )
    return version


def migrate(connection: sqlite3.Connection, directory: Path) -> None:
    """Bring a catalogue to the newest schema, in one transaction: broken off anywhere, it is as it
    was. Raises SchemaTooNew.
    """
    version = version_of(connection, directory)
    if version < len(MIGRATIONS):
        # A table that others refer to is made anew under another name; this setting is heeded
        # outside of transactions only.
        connection.execute("PRAGMA foreign_keys = OFF")
        scripts = "".join(MIGRATIONS[version:])
        connection.executescript(
            f"BEGIN IMMEDIATE;{scripts}PRAGMA user_version = {len(MIGRATIONS)};COMMIT;"
        )


def is_newest(connection: sqlite3.Connection, directory: Path) -> bool:
    """Return whether a catalogue that is only read has the newest schema.

    Raises SchemaTooNew, ArchiveNotFound.
    """
    version = version_of(connection, directory)
    if not version:
        raise never_filled(directory)
    return version == len(MIGRATIONS)


def never_filled(directory: Path) -> ArchiveNotFound:
    """Return the error that says of an archive that nothing was ever pulled into it."""
    return ArchiveNotFound(f"the archive at {directory} was never filled; `mailsync pull` does it")
