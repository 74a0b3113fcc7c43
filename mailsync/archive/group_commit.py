"""How everything that the runs over one open archive say becomes durable, group by group."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from mailsync.archive.catalogue import Catalogue
from mailsync.archive.storage.base import Storage
from mailsync.archive.storage.disk import disk_error
from mailsync.errors import ArchiveError

GROUP_FILES: Final = 2048
GROUP_OCTETS: Final = 64 << 20
GROUP_SECONDS: Final = 3.0
"""A pull's group is committed when it has so many files or octets, or is so old: large ones cost
the fast line the fewest waits for the disk, and a slow line loses no more than seconds' worth when
the process dies.
"""


class GroupCommit:
    """The catalogue and the storage of one open archive, and the one way to commit to them.

    A pull and a push may be under way together, each in a thread of its own; whoever is in `turn`,
    or in `storing`, may speak. Both write in one catalogue transaction, so that every commit first
    puts on disk what the pull took in: a row never names a file that could vanish.

    Where anything breaks off within `storing`, what is half said may not be committed: the pull is
    over, and so is what a push beside it could still record, until the pull has ended and its group
    is rolled back. The last commit stays the truth.
    """

    def __init__(self, directory: Path, catalogue: Catalogue, tree: Storage) -> None:
        self.directory = directory
        self.catalogue = catalogue
        self.tree = tree
        lock = threading.RLock()
        self.turn = _Turn(self, lock, storing=False)
        """A context manager: waits for the other thread, and raises ArchiveError for what the disk
        raises.
        """
        self.storing = _Turn(self, lock, storing=True)
        """The same, for a pull that takes something in."""
        self.taken = self.durable = 0
        """How many messages the pull took in, and how many of them, the first ones, are durable."""
        self._pulling = False
        self._failure: BaseException | None = None
        self._waiting = 0
        self._due = 0.0

    # a pull's group

    def begin_pull(self) -> None:
        """Begin the first group of a pull."""
        self.taken = self.durable = 0
        self._failure = None
        self._pulling = True
        self._begin_group()

    def take_in(self, *, message: bool = True) -> None:
        """Count something that was taken in, a message or flags; commits once the group is full."""
        self.taken += message
        self._waiting += 1
        if (
            max(self.tree.waiting_messages, self._waiting) >= GROUP_FILES
            or self.tree.waiting_octets >= GROUP_OCTETS
            or time.monotonic() >= self._due
        ):
            self.flush()

    def end_pull(self) -> None:
        """Commit what was said since the last `flush`, and end the pull."""
        self.catalogue.commit()
        self._pulling = False

    def break_off_pull(self) -> None:
        """End a pull that was interrupted: what it took in whole is kept, what broke off within
        `storing` is undone with all that was taken in since the last commit.
        """
        try:
            if self._pulling and self._failure is None:
                with contextlib.suppress(ArchiveError):
                    self.commit()
        finally:
            if self._pulling:
                self._pulling = False
                self.catalogue.rollback()
            self.tree.discard_waiting()

    # commits

    def flush(self) -> None:
        """Commit, and go on within a new transaction."""
        self.commit()
        self.catalogue.begin()

    def flush_pull(self) -> None:
        """Flush if a pull under way took in anything since the last commit."""
        if self._pulling and self.durable < self.taken:
            self.flush()

    def commit(self) -> None:
        """Put on disk all that was taken in, then commit it with all else that was said.

        While a pull is under way its next group begins at once.
        """
        if not self._pulling:
            self.catalogue.commit()
            return
        with self.storing:
            self.demand_whole()
            self.tree.sync()
            self.catalogue.commit()
            self.durable = self.taken
            self._begin_group()

    def demand_whole(self) -> None:
        """Raise ArchiveError where the pull could not write something: then it is over."""
        if isinstance(self._failure, ArchiveError):
            # Also to a push beside the pull, or to the pull when it failed in the hands of that
            # push: the cause is what helps.
            raise self._failure
        if self._failure is not None:
            raise ArchiveError(
                f"nothing more is stored in {self.directory} by this run, because something could"
                " not be written"
            )

    def broke_off(self, error: BaseException) -> None:
        """Remember what first broke off while something was being stored."""
        self._failure = self._failure or error

    def _begin_group(self) -> None:
        self.catalogue.begin()
        self._waiting = 0
        self._due = time.monotonic() + GROUP_SECONDS


class _Turn:
    """A turn to speak, for one thread at a time; it may be taken again within itself.

    Entered for every message, so it is made once.
    """

    __slots__ = ("_group", "_lock", "_storing")

    def __init__(self, group: GroupCommit, lock: threading.RLock, *, storing: bool) -> None:
        self._group = group
        self._lock = lock
        self._storing = storing

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                return
            shown = (
                disk_error(error, self._group.directory) if isinstance(error, OSError) else error
            )
            if self._storing:
                self._group.broke_off(shown)
            if shown is not error:
                raise shown from error
        finally:
            self._lock.release()
