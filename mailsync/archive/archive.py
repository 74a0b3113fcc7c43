"""The archive: one directory that holds a mail tree and its catalogue, and the only meeting point
of pull and push.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mailsync.archive.catalogue import NAME, REINDEX, Catalogue, Prunable
from mailsync.archive.files_run import FilesRun
from mailsync.archive.group_commit import GroupCommit
from mailsync.archive.prune import demand_prunable, find_prunable, prune
from mailsync.archive.pull_run import PullRun, ServerOf
from mailsync.archive.push_run import PushRun
from mailsync.archive.questions import Questions
from mailsync.archive.recovery import Recovery
from mailsync.archive.storage.archive_format import FORMATS, prepare, storage_of
from mailsync.archive.storage.disk import disk_errors_translated, make_directory
from mailsync.archive.storage.lock import Lock
from mailsync.archive.verification import Damage, Verification
from mailsync.errors import ArchiveError, ArchiveNotFound, IntegrityError
from mailsync.formats import maildir
from mailsync.model import MailboxPath
from mailsync.progress import Progress


class Archive(Questions):
    """An open archive; `open` for writing (locked), `read` for looking. A context manager."""

    def __init__(
        self, directory: Path, lock: Lock | None, dedupe: str, clock: Callable[[], float]
    ) -> None:
        writing = lock is not None
        with disk_errors_translated(directory):
            catalogue = Catalogue.open(directory, writing=writing)
            self._is_new = not catalogue.runs.has_any()
            tree = storage_of(directory / "mail", writing=writing)
        super().__init__(GroupCommit(directory, catalogue, tree), writing=writing)
        self._tree = tree
        self._lock = lock
        self._dedupe = dedupe
        self._clock = clock
        self._ran = False

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        container: str = "maildir",
        dedupe: str = "message-id",
        wait: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> Archive:
        """Open for writing; make what is missing, take in what a killed run left.

        Raises ArchiveError and its children.

        `wait` is how many seconds to wait for another writer.
        """
        if container not in FORMATS:
            raise ArchiveError(f"{directory}: no such archive format as {container!r}")
        with disk_errors_translated(directory):
            make_directory(directory)
        lock = Lock(directory, wait)
        try:
            _demand_catalogue(directory)
            with disk_errors_translated(directory):
                prepare(directory, container)
            archive = cls(directory, lock, dedupe, clock)
        except BaseException:
            lock.release()
            raise
        try:
            archive._recover()
        except BaseException:
            archive.close()
            raise
        return archive

    @classmethod
    def read(cls, directory: Path, clock: Callable[[], float] = time.time) -> Archive:
        """Open for looking, beside any writer; nothing is written there, whoever wrote it.

        Raises ArchiveNotFound, SchemaTooNew.
        """
        _demand_catalogue(directory)
        if not (directory / NAME).is_file():
            raise ArchiveNotFound(
                f"there is no archive at {directory} yet: `mailsync pull` makes it as soon as it"
                " can log in"
            )
        return cls(directory, None, "message-id", clock)

    def close(self) -> None:
        """Close; idempotent. Once a day an archive that is not new copies its catalogue first.

        However it is interrupted, the lock is let go of.
        """
        with contextlib.ExitStack() as steps:
            if self._lock is not None:
                steps.callback(self._lock.release)
            steps.callback(self._close_catalogue)
            self._tree.close()

    def _close_catalogue(self) -> None:
        with contextlib.suppress(ArchiveError), self._group.turn:
            try:
                if self._ran and not self._is_new and not self._catalogue.in_transaction:
                    self._catalogue.keep_copy(self.directory, int(self._clock()))
            finally:
                self._ran = False
                self._catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # runs

    def pull(self, account: str, server: ServerOf = ServerOf()) -> PullRun:  # noqa: B008  frozen
        """Begin a pull into this archive; it remembers the server once that has answered. A push
        beside it begins after it.
        """
        if self._ran:
            # An earlier run of this process may have broken off.
            self._recover()
        self._ran = True
        kind = FilesRun if server.files else PullRun
        return kind(self._group, account, server, dedupe=self._dedupe, clock=self._clock)

    def push(self, account: str, destination: str, *, rehearsal: bool = False) -> PushRun:
        """Begin a push out of it, or a rehearsal of one, for which it may be open for looking;
        `destination` is the destination's key.
        """
        self._ran = self._ran or not rehearsal
        return PushRun(self._group, account, destination, self._clock, rehearsal=rehearsal)

    def flush(self) -> None:
        """Make what a pull under way took in durable.

        Raises ArchiveError, and then the pull is over.
        """
        with self._group.turn:
            self._group.flush_pull()

    def spent(self, account: str, direction: str) -> int:
        """Return how many octets went `down` from or `up` to an account (a name, or a destination's
        key) in the last 24 hours.
        """
        with self._group.turn:
            return self._catalogue.traffic.spent(account, direction, int(self._clock()))

    def spend(self, account: str, direction: str, octets: int) -> None:
        """Count octets; durable with the next commit of the run under way."""
        with self._group.turn:
            self._catalogue.traffic.spend(account, direction, octets, int(self._clock()))

    # upkeep

    def verify(self, progress: Progress) -> Iterator[Damage]:
        """Prove every file and yield what is wrong; damage is remembered, so that the next pull
        mends it.
        """
        verification = Verification(self._catalogue, self._tree)
        with disk_errors_translated(self.directory):
            yield from verification.run(progress)
        self._findings.mark(verification.marks)

    def doubt(self, account: str, mailboxes: Collection[MailboxPath]) -> None:
        """Have the next pull look at all of these mailboxes again, whatever their counters say."""
        self._findings.doubt(account, mailboxes)

    def rename(self, old: str, new: str) -> None:
        """Give an account another name, with all its history. Raises ArchiveError where the archive
        does not know it, or knows another one of the new name.
        """
        names = self.accounts()
        if old not in names:
            there = ", ".join(names) or "no account"
            raise ArchiveError(f"{self.directory} knows no account {old}; there is: {there}")
        if new in names:
            raise ArchiveError(
                f"{self.directory} knows an account {new} already; give that another name first"
            )
        with self._group.turn:
            self._catalogue.begin()
            self._catalogue.accounts.rename(old, new)
            self._catalogue.commit()
        self._ran = True

    def prunable(
        self, account: str, before: int, chosen: Callable[[MailboxPath], bool]
    ) -> Sequence[Prunable]:
        """Return by mailbox what `prune` would remove: messages that had left their IMAP server by
        `before` (epoch seconds).

        Raises ArchiveError for an archive of mbox files, and where the clock cannot be believed.
        """
        demand_prunable(self._tree, self.directory)
        row = self._catalogue.accounts.find(account)
        if row is None:
            return []
        files = find_prunable(self._catalogue, row, before, chosen, self._clock())
        return self._catalogue.prunable.weigh(files)

    def prune(
        self, account: str, before: int, chosen: Callable[[MailboxPath], bool]
    ) -> Sequence[Prunable]:
        """Remove those messages for good, and return which.

        Killed, it is finished by the next opening.
        """
        demand_prunable(self._tree, self.directory)
        with self._group.turn:
            return prune(self._group, account, before, chosen, self._clock)

    def _recover(self) -> None:
        with self._group.turn:
            recovery = Recovery(self._catalogue, self._tree, self._dedupe)
            if recovery.needed:
                recovery.run(int(self._clock()))


def _demand_catalogue(directory: Path) -> None:
    """Raise IntegrityError where mail lies without its catalogue: a new one would know nothing of
    what was gone, or pushed where.
    """
    with disk_errors_translated(directory):
        if (directory / NAME).exists():
            return
        tree = storage_of(directory / "mail", writing=False)
        if any(
            maildir.parse(base) for folder, _ in tree.folders() for base, _ in tree.walk(folder)
        ):
            raise IntegrityError(
                f"the catalogue of {directory} is missing; the mail itself lies in"
                f" {directory / 'mail'}: {REINDEX}"
            )
