"""Building the catalogue again: from the last sound one there is, and from what the mail tree
itself can prove.

The tree knows contents, mailboxes, dates of arrival and flags. Which UIDs messages had, what was
gone, how flags were before and what was pushed where is in a catalogue only: in the damaged one
nobody can trust it, in its copy of an earlier day it is as of that day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mailsync.archive.catalogue import COPY, NAME, Catalogue, begin_from_copy, is_sound
from mailsync.archive.durability import sync_directory, sync_file
from mailsync.archive.recovery import Recovery
from mailsync.archive.storage.archive_format import format_of, prepare, storage_of
from mailsync.archive.storage.base import Located
from mailsync.archive.storage.disk import disk_errors_translated
from mailsync.archive.storage.lock import Lock
from mailsync.archive.storage.quarantine import Quarantine
from mailsync.archive.stored_as import StoredAs
from mailsync.archive.verification import Verification
from mailsync.errors import ArchiveNotFound
from mailsync.model import INBOX
from mailsync.progress import Progress, Silence

NEW: Final = "catalogue.new.sqlite3"

Basis = Literal["catalogue", "copy", "tree"]


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What a catalogue was built from, and what came of it.

    `as_of` is when the copy was made (epoch seconds, None for another basis): what happened since
    is known by the tree alone. `adopted` files had no row; `unplaced` messages have no known place
    on a server until a pull confirms them, and `unrecognisable` ones among them can only be
    recognised by fetching them again; `damaged` files were put in quarantine, `missing` ones
    are not there; `aside` is where the catalogue lies that could not be used.
    """

    basis: Basis
    as_of: int | None
    files: int
    octets: int
    adopted: int
    unplaced: int
    unrecognisable: int
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
    on the server, fetches none of them that it can recognise, and what it does not find there is
    gone. `by_uid` says that
    the account is an IMAP one; of a POP3 account nothing is ever gone. A catalogue that cannot be
    read goes to quarantine, as damaged files do; nothing is deleted. A killed run changes nothing
    that the next one would not do again.
    """
    _demand_tree(directory)
    progress = progress or Silence()
    lock = Lock(directory, wait)
    try:
        with disk_errors_translated(directory):
            prepare(directory, format_of(directory / "mail") or "maildir")
            basis = _basis(directory)
            name = NAME if basis == "catalogue" else NEW
            as_of = _start(directory, basis)
            with closing(Catalogue.open(directory, writing=True, name=name)) as catalogue:
                done = _Rebuilding(directory, catalogue, dedupe, clock).run(
                    account, progress, by_uid=by_uid
                )
                catalogue.tidy(one_file=name == NEW)
            aside = _swap(directory) if name == NEW else None
    finally:
        lock.release()
    return Reindexed(basis, as_of, *done, aside)


def _demand_tree(directory: Path) -> None:
    with disk_errors_translated(directory):
        has_tree = (directory / "mail").is_dir()
    if not has_tree:
        raise ArchiveNotFound(f"there is no archive at {directory}: it has no directory `mail`")


def _basis(directory: Path) -> Basis:
    """Choose what to begin with: the catalogue itself if SQLite finds it sound, else its copy, else
    nothing. Raises SchemaTooNew.
    """
    if is_sound(directory):
        return "catalogue"
    return "copy" if is_sound(directory, COPY) else "tree"


def _start(directory: Path, basis: Basis) -> int | None:
    """Lay what the new catalogue begins with under its temporary name; returns the age of the
    copy.
    """
    if basis == "catalogue":
        return None
    for suffix in ("", "-wal", "-shm", "-journal"):
        (directory / f"{NEW}{suffix}").unlink(missing_ok=True)
    return begin_from_copy(directory, NEW) if basis == "copy" else None


def _swap(directory: Path) -> Path | None:
    """Put the new catalogue in the place of the damaged one, which goes to quarantine with its
    journal.

    The journal must be away before the new catalogue has its name, or SQLite would play it into
    that one. Killed in between, the archive is without a catalogue, which every command notices.
    """
    sync_file(directory / NEW)
    aside = None
    quarantine = Quarantine(directory / "quarantine")
    why = "could not be read any more; the catalogue was built again without it"
    for suffix in ("", "-wal", "-shm"):
        path = directory / f"{NAME}{suffix}"
        if path.exists():
            place = quarantine.move_in(path, why)
            aside = aside or place
    sync_directory(directory)
    (directory / NEW).replace(directory / NAME)
    sync_directory(directory)
    return aside


class _Rebuilding:
    """One pass over tree and catalogue, as a run of its own in the records."""

    def __init__(
        self,
        directory: Path,
        catalogue: Catalogue,
        dedupe: str,
        clock: Callable[[], float],
    ) -> None:
        self._catalogue = catalogue
        self._tree = storage_of(directory / "mail", writing=True)
        self._dedupe = dedupe
        self._clock = clock

    def run(
        self, account: str, progress: Progress, *, by_uid: bool
    ) -> tuple[int, int, int, int, int, tuple[Path, ...], int]:
        """Return files, octets, adopted files, unplaced messages, unrecognisable ones, damaged
        files, and how many are missing.
        """
        catalogue = self._catalogue
        catalogue.begin()
        row = catalogue.accounts.make(account)
        run = catalogue.runs.start(row, "reindex", int(self._clock()))
        newest = catalogue.files.newest()
        recovery = Recovery(catalogue, self._tree, self._dedupe)
        recovery.run(int(self._clock()), progress)
        catalogue.begin()
        missing, damaged = self._prove(newest, progress)
        StoredAs(catalogue, self._tree, self._dedupe).renew()
        unplaced = self._place(row, run, by_uid=by_uid)
        files, octets = catalogue.files.count()
        report = {
            "files": files,
            "adopted": recovery.adopted,
            "unplaced": unplaced,
            "damaged": len(damaged) + len(recovery.refused),
            "missing": missing,
        }
        catalogue.runs.end(run, int(self._clock()), complete=True, report=report)
        catalogue.commit()
        self._tree.close()
        aside = tuple(one.place for one in (*damaged, *recovery.refused))
        # Over IMAP size, INTERNALDATE and header recognise those, which POP3 does not tell.
        unrecognisable = 0 if by_uid else min(recovery.undelivered, unplaced)
        return files, octets, recovery.adopted, unplaced, unrecognisable, aside, missing

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
        for file, state in verification.marks:
            self._catalogue.files.mark(file, state)
        return missing, damaged

    def _place(self, account: int, run: int, *, by_uid: bool) -> int:
        """Give the account every message that nobody has, until a complete scan tells better; tells
        how many.
        """
        placements = self._catalogue.placements(run)
        unplaced = 0
        for folder, path in self._catalogue.folders.unplaced():
            if by_uid or path == INBOX:
                mailbox = self._catalogue.mailboxes.make(account, folder)
                unplaced += placements.place_unconfirmed(mailbox, folder, by_uid=by_uid)
        return unplaced
