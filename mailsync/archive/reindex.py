"""Building the catalogue again: from the last sound one there is, and from what the mail tree
itself can prove.

The tree knows contents, mailboxes, dates of arrival and flags. Which UIDs messages had, what was
gone, how flags were before and what was pushed where is in a catalogue only: in the damaged one
nobody can trust it, in its copy of an earlier day it is as of that day.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mailsync.archive import schema
from mailsync.archive.catalogue import Catalogue
from mailsync.archive.recovery import Recovery
from mailsync.archive.safekeeping import COPY, copied
from mailsync.archive.storage.archive_format import format_of, prepare, storage_of
from mailsync.archive.storage.base import Located
from mailsync.archive.storage.disk import sync_directory
from mailsync.archive.storage.lock import Lock
from mailsync.archive.storage.quarantine import Quarantine
from mailsync.archive.translated import translated
from mailsync.archive.verification import Verification
from mailsync.errors import ArchiveNotFound, SchemaTooNew
from mailsync.model import INBOX
from mailsync.progress import Progress, Silence

NEW: Final = "catalogue.new.sqlite3"

Basis = Literal["catalogue", "copy", "tree"]


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What a catalogue was built from, and what came of it.

    `as_of` is when the copy was made (epoch seconds, None for another basis): what happened since
    is known by the tree alone. `adopted` files had no row; `unplaced` messages have no known place
    on a server until a pull confirms them; `damaged` files were put in quarantine, `missing` ones
    are not there; `aside` is where the catalogue lies that could not be used.
    """

    basis: Basis
    as_of: int | None
    files: int
    octets: int
    adopted: int
    unplaced: int
    damaged: tuple[Path, ...]
    missing: int
    aside: Path | None = None


def reindex(
    directory: Path,
    account: str,
    *,
    by_uid: bool,
    dedupe: str = "message-id",
    wait: float = 0.0,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.time,
) -> Reindexed:
    """Make the catalogue of an archive agree with its mail tree, whatever became of it.

    Raises ArchiveError and its children.

    Messages that no catalogue knows are given to `account`, unconfirmed: the next pull finds them
    on the server, fetches none of them, and what it does not find there is gone. `by_uid` says that
    the account is an IMAP one; of a POP3 account nothing is ever gone. A catalogue that cannot be
    read goes to quarantine, as damaged files do; nothing is deleted. A killed run changes nothing
    that the next one would not do again.
    """
    with translated(directory):
        there = (directory / "mail").is_dir()
    if not there:
        raise ArchiveNotFound(f"there is no archive at {directory}: it has no directory `mail`")
    progress = progress or Silence()
    lock = Lock(directory, wait)
    try:
        with translated(directory):
            prepare(directory, format_of(directory / "mail") or "maildir")
            basis = _basis(directory)
            name = schema.NAME if basis == "catalogue" else NEW
            as_of = _start(directory, basis)
            with closing(schema.connect(directory, writing=True, name=name)) as connection:
                done = _Rebuilding(directory, connection, dedupe, clock).run(
                    account, progress, by_uid=by_uid
                )
                connection.execute(
                    "PRAGMA journal_mode = DELETE" if name == NEW else "PRAGMA optimize"
                )
            aside = _swap(directory) if name == NEW else None
    finally:
        lock.release()
    return Reindexed(basis, as_of, *done, aside)


def _basis(directory: Path) -> Basis:
    """Choose what to begin with: the catalogue itself if SQLite finds it sound, else its copy, else
    nothing. Raises SchemaTooNew.
    """
    if _is_sound(directory, schema.NAME):
        return "catalogue"
    return "copy" if _is_sound(directory, COPY) else "tree"


def _is_sound(directory: Path, name: str) -> bool:
    path = directory / name
    if not path.is_file() or not path.stat().st_size:
        return False
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=60)
        ) as connection:
            version = schema.version_of(connection, directory)
            return (
                version > 0
                and connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
            )
    except SchemaTooNew:
        raise
    except sqlite3.DatabaseError:
        return False


def _start(directory: Path, basis: Basis) -> int | None:
    """Lay what the new catalogue begins with under its temporary name; returns the age of the
    copy.
    """
    if basis == "catalogue":
        return None
    for suffix in ("", "-wal", "-shm", "-journal"):
        (directory / f"{NEW}{suffix}").unlink(missing_ok=True)
    if basis == "tree":
        return None
    with closing(
        sqlite3.connect(f"{(directory / COPY).absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    ) as copy:
        (directory / NEW).touch(mode=0o600)
        copied(copy, directory / NEW)
    return int((directory / COPY).stat().st_mtime)


def _swap(directory: Path) -> Path | None:
    """Put the new catalogue in the place of the damaged one, which goes to quarantine with its
    journal.

    The journal must be away before the new catalogue has its name, or SQLite would play it into
    that one. Killed in between, the archive is without a catalogue, which every command notices.
    """
    descriptor = os.open(directory / NEW, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    aside = None
    quarantine = Quarantine(directory / "quarantine")
    why = "could not be read any more; the catalogue was built again without it"
    for suffix in ("", "-wal", "-shm"):
        path = directory / f"{schema.NAME}{suffix}"
        if path.exists():
            place = quarantine.move_in(path, why)
            aside = aside or place
    sync_directory(directory)
    (directory / NEW).replace(directory / schema.NAME)
    sync_directory(directory)
    return aside


class _Rebuilding:
    """One pass over tree and catalogue, as a run of its own in the records."""

    def __init__(
        self,
        directory: Path,
        connection: sqlite3.Connection,
        dedupe: str,
        clock: Callable[[], float],
    ) -> None:
        self._catalogue = Catalogue(connection)
        self._tree = storage_of(directory / "mail", writing=True)
        self._dedupe = dedupe
        self._clock = clock

    def run(
        self, account: str, progress: Progress, *, by_uid: bool
    ) -> tuple[int, int, int, int, tuple[Path, ...], int]:
        """Return files, octets, adopted files, unplaced messages, damaged files, and how many are
        missing.
        """
        catalogue = self._catalogue
        catalogue.begin()
        row = catalogue.make_account(account)
        run = catalogue.start_run(row, "reindex", int(self._clock()))
        newest = catalogue.newest_file()
        recovery = Recovery(catalogue, self._tree, self._dedupe)
        recovery.run(int(self._clock()), progress)
        catalogue.begin()
        missing, damaged = self._prove(newest, progress)
        unplaced = self._place(row, run, by_uid=by_uid)
        files, octets = catalogue.count_files()
        report = {
            "files": files,
            "adopted": recovery.adopted,
            "unplaced": unplaced,
            "damaged": len(damaged) + len(recovery.refused),
            "missing": missing,
        }
        catalogue.end_run(run, int(self._clock()), complete=True, report=report)
        catalogue.commit()
        self._tree.close()
        aside = tuple(one.place for one in (*damaged, *recovery.refused))
        return files, octets, recovery.adopted, unplaced, aside, missing

    def _prove(self, newest: int, progress: Progress) -> tuple[int, list[Located]]:
        """Hash what was known before (what was taken in just now was read for that); what is
        damaged goes to quarantine.
        """
        verification = Verification(self._catalogue, self._tree, newest=newest)
        missing, damaged = 0, []
        for one in verification.run(progress):
            if not one.damaged:
                continue
            if one.located is not None and one.located.set_aside(one.what):
                damaged.append(one.located)
            else:
                missing += 1
        for file, is_damaged in verification.marks:
            self._catalogue.mark(file, damaged=is_damaged)
        return missing, damaged

    def _place(self, account: int, run: int, *, by_uid: bool) -> int:
        """Give the account every message that nobody has, until a complete scan tells better; tells
        how many.
        """
        unplaced = 0
        for folder, path in self._catalogue.unplaced_folders():
            if by_uid or path == INBOX:
                mailbox = self._catalogue.make_mailbox(account, folder)
                unplaced += self._catalogue.place_unconfirmed(mailbox, folder, run, by_uid=by_uid)
        return unplaced
