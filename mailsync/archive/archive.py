"""The archive: one directory that holds a mail tree and its catalogue, and the only meeting point of pull and push."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mailsync import identity
from mailsync.archive import schema
from mailsync.archive.catalogue import ArchivedMailbox, Catalogue, FileRow, RunRecord
from mailsync.archive.disk import make_directory, translated
from mailsync.archive.lock import Lock
from mailsync.archive.maildir import MaildirTree
from mailsync.archive.pull_run import Memory, PullRun
from mailsync.archive.push_run import PushRun
from mailsync.archive.shelf import Shelf
from mailsync.archive.verification import Damage, Verification
from mailsync.errors import ArchiveError, ArchiveLocked, ArchiveNotFound, IntegrityError
from mailsync.formats import header, maildir
from mailsync.model import Letter, MailboxPath
from mailsync.progress import Progress

CONTAINERS = ("maildir",)
HEADER_READ = 64 * 1024
"""Octets read at a time when only the header of a file is wanted."""


class Archive:
    """An open archive; `open` for writing (locked), `read` for looking. A context manager."""

    def __init__(self, directory: Path, lock: Lock | None, dedupe: str, clock: Callable[[], float]) -> None:
        self.directory = directory
        self._lock = lock
        self._dedupe = dedupe
        self._clock = clock
        self._catalogue = Catalogue(schema.connect(directory, writing=lock is not None))
        self._tree = MaildirTree(directory / "mail", writing=lock is not None)

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
        """Open for writing; make what is missing, take in what a killed run left. Raises ArchiveError and its children.

        `wait` is how many seconds to wait for another writer.
        """
        if container not in CONTAINERS:
            raise ArchiveError(f"{directory}: no such archive format as {container!r}")
        with translated(directory):
            make_directory(directory)
        lock = Lock(directory, wait)
        try:
            with translated(directory):
                for part in ("cur", "new", "tmp"):
                    make_directory(directory / "mail" / part)
            archive = cls(directory, lock, dedupe, clock)
            with translated(directory):
                archive._recover()
        except BaseException:
            lock.release()
            raise
        return archive

    @classmethod
    def read(cls, directory: Path) -> Archive:
        """Open for looking, beside any writer. Raises ArchiveNotFound."""
        if not (directory / "catalogue.sqlite3").is_file():
            raise ArchiveNotFound(f"there is no archive at {directory}; `mailsync pull` makes one")
        return cls(directory, None, "message-id", time.time)

    def close(self) -> None:
        """Close; idempotent."""
        self._tree.close()
        with contextlib.suppress(ArchiveError), translated(self.directory):
            self._catalogue.sql.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # runs

    def pull(self, account: str) -> PullRun:
        """Begin a pull into this archive."""
        return PullRun(self._catalogue, self._tree, self.directory, account, dedupe=self._dedupe, clock=self._clock)

    def memory(self, account: str) -> Memory:
        """Give what a pull would remember, without beginning one."""
        return Memory(self._catalogue, account)

    def push(self, account: str, destination: str) -> PushRun:
        """Begin a push out of it; `destination` is the destination's key."""
        return PushRun(self._catalogue, self.directory, account, destination, self._clock)

    def spent(self, account: str, direction: str) -> int:
        """Tell how many octets went `down` from or `up` to an account (a name, or a destination's key) in the last 24 hours."""
        return self._catalogue.spent(account, direction, int(self._clock()))

    def spend(self, account: str, direction: str, octets: int) -> None:
        """Count octets; durable with the next commit of the run under way."""
        with translated(self.directory):
            self._catalogue.spend(account, direction, octets, int(self._clock()))

    # questions

    def accounts(self) -> Sequence[str]:
        """Name the accounts whose mail is here."""
        return self._catalogue.accounts()

    def mailboxes(self, account: str) -> Sequence[ArchivedMailbox]:
        """Describe an account's mailboxes, the inbox first."""
        row = self._catalogue.account(account)
        return [] if row is None else self._catalogue.mailboxes(row)

    def letters(self, account: str, mailbox: MailboxPath, *, include_gone: bool = False, as_of: int | None = None) -> Iterator[Letter]:
        """Give the letters of a mailbox, one a file, oldest first; live ones, or all, or those live at the end of run `as_of`."""
        row = self._catalogue.account(account)
        found = None if row is None else self._catalogue.mailbox(row, mailbox)
        return iter(()) if found is None else self._catalogue.letters(found, mailbox, include_gone=include_gone, as_of=as_of)

    def find(self, digest_prefix: str) -> Sequence[bytes]:
        """Give the digests that begin with these hex digits."""
        text = digest_prefix.lower()
        if not text or set(text) - set("0123456789abcdef"):
            return []
        low, high = (bytes.fromhex((text + fill * 64)[:64]) for fill in "0f")
        rows = self._catalogue.sql.execute("SELECT digest FROM messages WHERE digest BETWEEN ? AND ? ORDER BY digest", (low, high))
        return [digest for (digest,) in rows]

    def runs(self, account: str | None, limit: int) -> Sequence[RunRecord]:
        """Give the newest runs of an account, or of all."""
        return self._catalogue.runs(account, limit)

    def run_as_of(self, account: str, moment: int) -> RunRecord | None:
        """Give the last complete pull of an account that had ended by `moment` (epoch seconds)."""
        with translated(self.directory):
            return self._catalogue.run_as_of(account, moment)

    def content(self, digest: bytes) -> bytes:
        """Give a content, read and hashed. Raises IntegrityError when no file holds it any more, and remembers the damage."""
        for file, path in self._places(digest):
            with translated(self.directory):
                content = path.read_bytes()
            if identity.digest(content) == digest:
                return content
            self._mark(file, damaged=True)
        raise IntegrityError(f"the file of letter {digest.hex()[:12]} in {self.directory / 'mail'} is damaged or missing")

    def header(self, digest: bytes) -> bytes:
        """Give a content's header block, unproven. Raises IntegrityError when no file holds it."""
        for _, path in self._places(digest):
            with translated(self.directory), path.open("rb") as file:
                head = b""
                while more := file.read(HEADER_READ):
                    head += more
                    block = header.block(head)
                    if len(block) < len(head):
                        return block
                return head
        raise IntegrityError(f"the file of letter {digest.hex()[:12]} in {self.directory / 'mail'} is missing")

    def verify(self, progress: Progress) -> Iterator[Damage]:
        """Prove every file and give what is wrong; damage is remembered, so that the next pull mends it."""
        verification = Verification(self._catalogue, self._tree)
        with translated(self.directory):
            yield from verification.run(progress)
            self._remember(verification.marks)

    def _places(self, digest: bytes) -> Iterator[tuple[FileRow, Path]]:
        message = self._catalogue.message_by_digest(digest)
        for file in [] if message is None else self._catalogue.files_of(message):
            path = self._tree.locate(file.folder, file.base, file.flags)
            if path is not None:
                yield file, path
            elif not file.damaged:
                self._mark(file, damaged=True)

    def _mark(self, file: FileRow, *, damaged: bool) -> None:
        if self._lock is not None:
            with translated(self.directory):
                self._catalogue.mark(file.id, damaged=damaged)

    def _remember(self, marks: Sequence[tuple[int, bool]]) -> None:
        """Write down what a verification found; a reader does so only if nobody else is writing."""
        if not marks:
            return
        if self._lock is not None:
            self._write_marks(self._catalogue, marks)
            return
        with contextlib.suppress(ArchiveLocked):
            lock = Lock(self.directory)
            try:
                catalogue = Catalogue(schema.connect(self.directory, writing=True))
                self._write_marks(catalogue, marks)
                catalogue.sql.close()
            finally:
                lock.release()

    @staticmethod
    def _write_marks(catalogue: Catalogue, marks: Sequence[tuple[int, bool]]) -> None:
        catalogue.begin()
        for file, damaged in marks:
            catalogue.mark(file, damaged=damaged)
        catalogue.commit()

    # after a killed run

    def _recover(self) -> None:
        """Take in files that a killed run put in place without a row; drop its temporary files; end the run in the records."""
        unfinished = self._catalogue.unfinished_runs()
        if not unfinished:
            return
        self._catalogue.begin()
        shelf = Shelf(self._catalogue, self._tree, self.directory / "quarantine", self._dedupe, lambda: unfinished[-1])
        for folder, path in list(self._tree.folders()):
            for leftover in self._tree.leftovers(folder):
                leftover.unlink()
            known = self._catalogue.bases(folder)
            for base, file in list(self._tree.files(folder)):
                if base not in known and maildir.parse(base) is not None and not shelf.adopt(path, file, base):
                    self._tree.set_aside(file, self.directory / "quarantine", "left unfinished by a run that was killed")
        for run in unfinished:
            self._catalogue.end_run(run, int(self._clock()), complete=False, report={"killed": True})
        self._catalogue.commit()
