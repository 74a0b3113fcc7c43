"""A catalogue in the first schema is brought to the newest one whole, or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from mailsync.archive import Archive
from mailsync.archive.catalogue import FileState
from mailsync.archive.catalogue.schema import MIGRATIONS
from mailsync.errors import ArchiveError
from mailsync.model import INBOX, Entry, Known, Mailbox, Scan, SyncState, UidRef
from tests.archive.archive_steps import files, messages, opened, pull, pulling, sha256, uid
from tests.messages import plain

FIRST: Final = """
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
"""The schema of version 1 as it was released."""

WITHDRAWN: Final = 5
"""The message whose UID meant another one in the end: its UIDVALIDITY was its own row, negative."""


def first_schema(directory: Path) -> Path:
    """Make an archive of the messages 1 to 6 of an inbox, with its catalogue in the first schema:
    2 is damaged, 4 gone, 5 and 6 have lost their UIDs, and 6 was only guessed by a reindex.
    """
    with opened(directory) as archive:
        pull(archive, [uid(number, plain(number)) for number in range(1, 7)])
        rows = {
            table: archive._catalogue.sql.all(f"SELECT * FROM {table} ORDER BY 1")
            for table in ("accounts", "runs", "folders", "mailboxes", "messages")
        }
        stored = archive._catalogue.sql.all(
            "SELECT id, folder, message, copy, base, internaldate, flags, 0 FROM files"
        )
        placed = archive._catalogue.sql.all(
            "SELECT id, mailbox, file, digest, size, uidvalidity, uid, uidl, object_id,"
            " internaldate, flags, first_run, since_run, gone_run, matched, unconfirmed"
            " FROM placements"
        )
    path = directory / "catalogue.sqlite3"
    path.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript(FIRST)
        for table, found in {**rows, "files": stored, "placements": placed}.items():
            # Columns that came later stand behind the first ones.
            width = len(old.execute(f"PRAGMA table_info({table})").fetchall())
            marks = ", ".join("?" * width)
            then = [row[:width] for row in found]
            old.executemany(f"INSERT INTO {table} VALUES ({marks})", then)
        old.executescript(
            "UPDATE files SET damaged = 1 WHERE id = 2;"
            "UPDATE placements SET gone_run = 1 WHERE id = 4;"
            "UPDATE placements SET uidvalidity = -id WHERE id IN (5, 6);"
            "UPDATE placements SET uid = 0, unconfirmed = 1 WHERE id = 6;"
            "INSERT INTO spans VALUES (1, 1, 2, '\\Seen');"
            "PRAGMA user_version = 1"
        )
    return path


def condemn(path: Path, file: int) -> None:
    """Leave a file as a prune does that was killed before it removed it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript(
            f"UPDATE files SET damaged = 2 WHERE id = {file};"
            f"DELETE FROM placements WHERE file = {file};"
            "INSERT INTO runs (account, kind, started) VALUES (1, 'prune', 1)"
        )


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as catalogue:
        return [
            *catalogue.iterdump(),
            str(catalogue.execute("PRAGMA user_version").fetchone()),
        ]


def described(catalogue: sqlite3.Connection) -> Any:
    """The tables and indexes, columns and their types."""
    return {
        name: (kind, catalogue.execute(f"PRAGMA table_info({name})").fetchall())
        for kind, name in catalogue.execute(
            "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
    }


def known(archive: Archive) -> Known:
    scan = Scan(Mailbox(INBOX), SyncState(1, 9, 6), ())
    return archive.last_known("alice").known(scan)


def test_what_the_numbers_meant_is_said_in_words(tmp_path: Path) -> None:
    path = first_schema(tmp_path / "a")
    condemn(path, 3)
    with closing(sqlite3.connect(path)) as old:
        before = old.execute("SELECT * FROM placements WHERE id IN (1, 2, 4)").fetchall()
    with Archive.read(tmp_path / "a") as archive:
        sql = archive._catalogue.sql
        states = dict(sql.all("SELECT id, state FROM files"))
        assert states == {
            1: FileState.SOUND,
            2: FileState.DAMAGED,
            3: FileState.CONDEMNED,
            4: FileState.SOUND,
            5: FileState.SOUND,
            6: FileState.SOUND,
        }
        retired = sql.all("SELECT id, uidvalidity, uid FROM placements WHERE retired")
        assert retired == [(5, 0, 5), (6, 0, 0)]
        after = sql.all("SELECT * FROM placements WHERE id IN (1, 2, 4)")
        assert after == [(*row, 0) for row in before]
        assert sql.all("SELECT * FROM spans") == [(1, 1, 2, "\\Seen")]
        assert sql.all("PRAGMA foreign_key_check") == []
        found = known(archive)
        assert set(found.messages) == {1, 2, 4}
        assert [key for key, one in found.messages.items() if one.damaged] == [2]
        assert [key for key, one in found.messages.items() if one.gone] == [4]


def test_messages_that_had_lost_their_uids_are_renewed_or_gone_by_the_next_full_scan(
    tmp_path: Path,
) -> None:
    first_schema(tmp_path / "a")
    kept = [uid(number, plain(number)) for number in (1, 2, 3)]
    renewed = uid(7, plain(WITHDRAWN))
    with opened(tmp_path / "a") as archive:
        with pulling(archive) as run:
            assert run.add(renewed).kind != "new"
            entries = tuple(one.entry for one in (*kept, renewed))
            assert run.complete(Scan(Mailbox(INBOX), SyncState(1, 8, 4), entries)) == 0
        alive = {message.digest for message in messages(archive)}
        assert alive == {sha256(plain(number)) for number in (1, 2, 3, WITHDRAWN)}
        assert len(messages(archive, gone=True)) == 6


def test_a_prune_that_the_older_one_was_killed_in_is_finished(tmp_path: Path) -> None:
    condemn(first_schema(tmp_path / "a"), 4)
    with opened(tmp_path / "a") as archive:
        assert archive.find(sha256(plain(4)).hex()) == []
        assert len(files(tmp_path / "a")) == 5


def test_a_new_catalogue_and_one_brought_up_to_date_have_the_same_tables(tmp_path: Path) -> None:
    first_schema(tmp_path / "a")
    with opened(tmp_path / "a") as old, opened(tmp_path / "b") as new:
        assert described(old._catalogue.sql.sqlite) == described(new._catalogue.sql.sqlite)


STATEMENTS: Final = [part + ";" for part in MIGRATIONS[1].split(";")[:-1]]


@pytest.mark.parametrize("done", range(1, len(STATEMENTS) + 1))
def test_broken_off_after_any_statement_the_catalogue_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    path = first_schema(tmp_path / "a")
    before = dump(path)
    broken = (MIGRATIONS[0], "".join(STATEMENTS[:done]) + "INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr("mailsync.archive.catalogue.schema.MIGRATIONS", broken)
    with pytest.raises(ArchiveError, match="nowhere"):
        opened(tmp_path / "a")
    assert dump(path) == before
    monkeypatch.undo()
    with opened(tmp_path / "a") as archive:
        assert set(known(archive).messages) == {1, 2, 3, 4}


def test_a_reader_sees_an_older_catalogue_as_a_writer_would_and_writes_nothing(
    tmp_path: Path,
) -> None:
    path = first_schema(tmp_path / "a")
    before, names = dump(path), sorted(entry.name for entry in (tmp_path / "a").iterdir())
    with Archive.read(tmp_path / "a") as reader:
        seen = [reader.mailboxes("alice"), reader.size(), reader.runs(None, 9)]
        held = list(reader.messages("alice", INBOX, include_gone=True))
    assert dump(path) == before
    assert sorted(entry.name for entry in (tmp_path / "a").iterdir()) == names
    with opened(tmp_path / "a") as writer:
        assert [writer.mailboxes("alice"), writer.size(), writer.runs(None, 9)] == seen
        assert list(writer.messages("alice", INBOX, include_gone=True)) == held
    assert dump(path) != before


def test_a_uid_may_mean_another_message_once_the_first_has_lost_it(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(2, plain(2))])
        with pulling(archive) as run:
            run.retire(INBOX)
            assert run.known(Scan(Mailbox(INBOX), SyncState(1, 3, 2), ())).messages == {}
            run.add(uid(1, plain(2)))
            run.retire(INBOX)
            run.add(uid(1, plain(3)))
            held = run.known(Scan(Mailbox(INBOX), SyncState(1, 2, 1), ()))
            assert held.live == 1
            one = Entry(UidRef(INBOX, 1, 1), len(plain(3)))
            assert run.complete(Scan(Mailbox(INBOX), SyncState(1, 2, 1), (one,))) == 3
        assert [message.digest for message in messages(archive)] == [sha256(plain(3))]
