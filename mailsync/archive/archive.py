"""The archive: one directory that holds a mail tree and its catalogue, and the only meeting point
of pull and push.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from mailsync import identity
from mailsync.archive import schema
from mailsync.archive.arrivals import arrived, newest
from mailsync.archive.catalogue import ArchivedMailbox, Catalogue, FileRow, RunRecord
from mailsync.archive.catalogue_error import REINDEX
from mailsync.archive.groups import Different, Same, different_messages, same_messages
from mailsync.archive.paths import write_path
from mailsync.archive.prune import Prunable, Pruning, demand_prunable, prune
from mailsync.archive.pull_run import Memory, PullRun
from mailsync.archive.push_run import PushRun
from mailsync.archive.recovery import Recovery
from mailsync.archive.safekeeping import keep_copy
from mailsync.archive.shared import Shared
from mailsync.archive.storage.archive_format import FORMATS, prepare, storage_of
from mailsync.archive.storage.disk import is_of_the_reader, make_directory
from mailsync.archive.storage.lock import Lock
from mailsync.archive.translated import translated
from mailsync.archive.verification import Damage, Verification
from mailsync.errors import ArchiveError, ArchiveNotFound, IntegrityError
from mailsync.formats import header, maildir
from mailsync.model import ArchivedMessage, MailboxPath
from mailsync.progress import Progress

HEADER_READ = 64 * 1024
"""Octets read at first when only the header of a file is wanted."""


class Archive:
    """An open archive; `open` for writing (locked), `read` for looking. A context manager."""

    def __init__(
        self, directory: Path, lock: Lock | None, dedupe: str, clock: Callable[[], float]
    ) -> None:
        self.directory = directory
        self._lock = lock
        self._dedupe = dedupe
        self._clock = clock
        self._ran = False
        self._catalogue = Catalogue(schema.connect(directory, writing=lock is not None))
        self._turn = threading.RLock()
        self._shared = Shared(self._catalogue, directory, self._turn, self._commit)
        self._pulling: PullRun | None = None
        with translated(directory):
            self._is_new = not self._catalogue.has_runs()
        self._tree = storage_of(directory / "mail", writing=lock is not None)

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
        with translated(directory):
            make_directory(directory)
        lock = Lock(directory, wait)
        try:
            _demand_catalogue(directory)
            with translated(directory):
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
    def read(cls, directory: Path) -> Archive:
        """Open for looking, beside any writer. Raises ArchiveNotFound."""
        _demand_catalogue(directory)
        if not (directory / schema.NAME).is_file():
            raise ArchiveNotFound(f"there is no archive at {directory}; `mailsync pull` makes one")
        return cls(directory, None, "message-id", time.time)

    def close(self) -> None:
        """Close; idempotent. Once a day an archive that is not new copies its catalogue first."""
        self._tree.close()
        with contextlib.suppress(ArchiveError), self._turn, translated(self.directory):
            try:
                if self._ran and not self._is_new and not self._catalogue.sql.in_transaction:
                    keep_copy(self._catalogue.sql.connection, self.directory, int(self._clock()))
            finally:
                self._ran = False
                self._catalogue.sql.close()
        if self._lock is not None:
            self._lock.release()

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

    def pull(self, account: str) -> PullRun:
        """Begin a pull into this archive. A push beside it begins after it."""
        if self._ran:
            # An earlier run of this process may have broken off.
            self._recover()
        self._ran = True
        self._pulling = PullRun(
            self._shared, self._tree, account, dedupe=self._dedupe, clock=self._clock
        )
        return self._pulling

    def memory(self, account: str) -> Memory:
        """Give what a pull would remember, without beginning one."""
        return Memory(self._catalogue, account)

    def push(self, account: str, destination: str, *, rehearsal: bool = False) -> PushRun:
        """Begin a push out of it, or a rehearsal of one, for which it may be open for looking;
        `destination` is the destination's key.
        """
        self._ran = self._ran or not rehearsal
        return PushRun(self._shared, account, destination, self._clock, rehearsal=rehearsal)

    def spent(self, account: str, direction: str) -> int:
        """Return how many octets went `down` from or `up` to an account (a name, or a destination's
        key) in the last 24 hours.
        """
        with self._turn, translated(self.directory):
            return self._catalogue.spent(account, direction, int(self._clock()))

    def spend(self, account: str, direction: str, octets: int) -> None:
        """Count octets; durable with the next commit of the run under way."""
        with self._turn, translated(self.directory):
            self._catalogue.spend(account, direction, octets, int(self._clock()))

    # while a pull and a push are under way together

    def flush(self) -> None:
        """Make what a pull under way took in durable.

        Raises ArchiveError, and then the pull is over.
        """
        with self._turn, translated(self.directory):
            if (
                self._pulling is not None
                and self._pulling.open
                and self._pulling.durable < self._pulling.taken
            ):
                self._pulling.flush()

    def newest(self) -> int:
        """Return a number that `arrived` counts from."""
        with self._turn, translated(self.directory):
            return newest(self._catalogue)

    def arrived(self, account: str, above: int, most: int) -> tuple[int, Sequence[ArchivedMessage]]:
        """Return the live messages that came after the one numbered `above`, at most so many, and
        the number of the last of them.

        Asked of an archive that is open for looking, these are durable. A message may come again
        under another flag or copy.
        """
        with self._turn, translated(self.directory):
            row = self._catalogue.account(account)
            return (above, []) if row is None else arrived(self._catalogue, row, above, most)

    # questions

    def accounts(self) -> Sequence[str]:
        """Name the accounts whose mail is here."""
        with translated(self.directory):
            return self._catalogue.accounts()

    def mailboxes(self, account: str) -> Sequence[ArchivedMailbox]:
        """Describe an account's mailboxes, the inbox first."""
        with translated(self.directory):
            row = self._catalogue.account(account)
            return [] if row is None else self._catalogue.mailboxes(row)

    def size(self) -> tuple[int, int, int]:
        """Count the messages, live and gone, the files that hold them, and the octets of these."""
        with translated(self.directory):
            return self._catalogue.count_messages(), *self._catalogue.count_files()

    def messages(
        self,
        account: str,
        mailbox: MailboxPath,
        *,
        include_gone: bool = False,
        as_of: int | None = None,
    ) -> Iterator[ArchivedMessage]:
        """Yield the messages of a mailbox, one a file, oldest first; live ones, or all, or those
        live at the end of run `as_of`.
        """
        with translated(self.directory):
            row = self._catalogue.account(account)
            found = None if row is None else self._catalogue.mailbox(row, mailbox)
            if found is not None:
                yield from self._catalogue.messages(
                    found, mailbox, include_gone=include_gone, as_of=as_of
                )

    def find(self, digest_prefix: str) -> Sequence[bytes]:
        """Return the digests that begin with these hex digits."""
        text = digest_prefix.lower()
        if not 0 < len(text) <= 64 or set(text) - set("0123456789abcdef"):
            return []
        low, high = (bytes.fromhex((text + fill * 64)[:64]) for fill in "0f")
        with translated(self.directory):
            rows = self._catalogue.sql.execute(
                "SELECT digest FROM messages WHERE digest BETWEEN ? AND ? ORDER BY digest",
                (low, high),
            )
            return [digest for (digest,) in rows]

    def runs(self, account: str | None, limit: int) -> Sequence[RunRecord]:
        """Return the newest runs of an account, or of all."""
        with translated(self.directory):
            return self._catalogue.runs(account, limit)

    def first_run_since(self, moment: int) -> int:
        """Return the first run that ended at `moment` (epoch seconds) or later, or that is still to
        come.
        """
        with translated(self.directory):
            return self._catalogue.first_run_since(moment)

    def vanishing(self, run: int) -> tuple[int | None, int]:
        """Return between which times (epoch seconds) a message vanished that `run` found gone; the
        first is None if nobody knows.
        """
        with translated(self.directory):
            return self._catalogue.vanishing(run)

    def first_complete(self, account: str) -> RunRecord | None:
        """Return the first complete pull of an account."""
        with translated(self.directory):
            return self._catalogue.first_complete(account)

    def run_as_of(self, account: str, moment: int) -> RunRecord | None:
        """Return the last complete pull of an account that had ended by `moment` (epoch s)."""
        with translated(self.directory):
            return self._catalogue.run_as_of(account, moment)

    def duplicates(self, account: str) -> tuple[Sequence[Same], Sequence[Different]]:
        """Return the messages of an account that are in several places, and those that share a
        Message-ID with a different message.
        """
        with translated(self.directory):
            row = self._catalogue.account(account)
            if row is None:
                return [], []
            return list(same_messages(self._catalogue, row)), list(
                different_messages(self._catalogue, row)
            )

    def content(self, digest: bytes) -> bytes:
        """Return a content, read and hashed.

        Raises IntegrityError when no file holds it any more, and remembers the damage.
        """
        with translated(self.directory):
            for file in self._files(digest):
                content = self._read(file)
                if content is not None and identity.digest(content) == digest:
                    return content
                if not file.damaged:
                    self._remember([(file.id, True)])
        raise IntegrityError(
            f"the file of message {digest.hex()[:12]} in {self.directory / 'mail'} is damaged or"
            " missing"
        )

    def header(self, digest: bytes) -> bytes:
        """Return a content's header block, unproven.

        Raises IntegrityError when no file holds it.
        """
        with translated(self.directory):
            for file in self._files(digest):
                head = self._read(file, HEADER_READ) or b""
                while head:
                    block = header.block(head)
                    if len(block) < len(head):
                        return block
                    more = self._read(file, 2 * len(head))
                    if more is None or len(more) == len(head):
                        return head
                    head = more
        raise IntegrityError(
            f"the file of message {digest.hex()[:12]} in {self.directory / 'mail'} is damaged or"
            " missing"
        )

    def verify(self, progress: Progress) -> Iterator[Damage]:
        """Prove every file and give what is wrong; damage is remembered, so that the next pull
        mends it.
        """
        verification = Verification(self._catalogue, self._tree)
        with translated(self.directory):
            yield from verification.run(progress)
            self._remember(verification.marks)

    def prunable(
        self, account: str, before: int, chosen: Callable[[MailboxPath], bool]
    ) -> Sequence[Prunable]:
        """Tell by mailbox what `prune` would remove: messages that had left their IMAP server by
        `before` (epoch seconds).

        Raises ArchiveError for an archive of mbox files.
        """
        with translated(self.directory):
            demand_prunable(self._tree, self.directory)
            row = self._catalogue.account(account)
            pruning = Pruning(self._catalogue, self._tree)
            return [] if row is None else pruning.weigh(pruning.find(row, before, chosen))

    def prune(
        self, account: str, before: int, chosen: Callable[[MailboxPath], bool]
    ) -> Sequence[Prunable]:
        """Remove those messages for good, and tell which.

        Killed, it is finished by the next opening.
        """
        with translated(self.directory):
            demand_prunable(self._tree, self.directory)
            return prune(
                self._catalogue, self._tree, self.directory, account, (before, chosen), self._clock
            )

    def _commit(self) -> None:
        """Make all that was said durable, and go on: what a pull took in first, since its rows are
        in the same transaction.
        """
        if self._pulling is not None and self._pulling.open:
            self._pulling.flush()
        else:
            self._catalogue.commit()

    def _recover(self) -> None:
        with translated(self.directory):
            recovery = Recovery(self._catalogue, self._tree, self._dedupe)
            if recovery.needed:
                recovery.run(int(self._clock()))

    def _files(self, digest: bytes) -> Sequence[FileRow]:
        message = self._catalogue.message_by_digest(digest)
        return [] if message is None else self._catalogue.files_of(message)

    def _read(self, file: FileRow, octets: int = -1) -> bytes | None:
        """Read a file, or its beginning; None when it is not there or its disk cannot read it."""
        for _ in range(2):
            located = self._tree.locate(file.folder, file.base, file.flags)
            if located is None:
                return None
            try:
                with located.open() as content:
                    return content.read(octets)
            except FileNotFoundError:
                # A mail program gave it another name just now.
                continue
            except OSError as error:
                if is_of_the_reader(error):
                    raise
                return None
        return None

    def doubt(self, account: str, mailboxes: Iterable[MailboxPath]) -> None:
        """Have the next pull look at all of these mailboxes again, whatever their counters say."""
        with translated(self.directory):
            row = self._catalogue.account(account)
        if row is not None:
            self._note(
                [
                    (
                        (
                            "UPDATE mailboxes SET uidvalidity = NULL WHERE account = ? AND folder ="
                            " (SELECT id FROM folders WHERE path = ?)"
                        ),
                        (row, write_path(path)),
                    )
                    for path in mailboxes
                ]
            )

    def _remember(self, marks: Sequence[tuple[int, bool]]) -> None:
        """Write down what was found of files."""
        self._note(
            [
                ("UPDATE files SET damaged = ? WHERE id = ?", (damaged, file))
                for file, damaged in marks
            ]
        )

    def _note(self, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        """Write down what was found; a reader does so only if it may and nobody else is writing."""
        if not statements:
            return
        if self._lock is not None:
            with self._turn:
                self._write(self._catalogue, statements)
            return
        with contextlib.suppress(ArchiveError), closing(Lock(self.directory)):
            catalogue = Catalogue(schema.connect(self.directory, writing=True))
            try:
                with translated(self.directory):
                    self._write(catalogue, statements)
            finally:
                catalogue.sql.close()

    @staticmethod
    def _write(catalogue: Catalogue, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        # Within a run they are part of it: its messages must not be committed before their files
        # are in place.
        running = catalogue.sql.in_transaction
        catalogue.begin()
        for statement, values in statements:
            catalogue.sql.execute(statement, values)
        if not running:
            catalogue.commit()


def _demand_catalogue(directory: Path) -> None:
    """Raise IntegrityError where mail lies without its catalogue: a new one would know nothing of
    what was gone, or pushed where.
    """
    with translated(directory):
        if (directory / schema.NAME).exists():
            return
        tree = storage_of(directory / "mail", writing=False)
        if any(
            maildir.parse(base) for folder, _ in tree.folders() for base, _ in tree.walk(folder)
        ):
            raise IntegrityError(
                f"the catalogue of {directory} is missing; the mail itself lies in"
                f" {directory / 'mail'}: {REINDEX}"
            )
