"""One pull into the archive: what it remembers, what it takes in, and when that becomes durable."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from mailsync import identity
from mailsync.archive.catalogue import Catalogue
from mailsync.archive.paths import read_path
from mailsync.archive.placements import Placements
from mailsync.archive.shared import Shared
from mailsync.archive.shelf import Shelf
from mailsync.archive.storage.base import Storage
from mailsync.archive.translated import guarded, translated
from mailsync.errors import ArchiveError
from mailsync.formats.header import block
from mailsync.model import (
    INBOX,
    Entry,
    Excerpt,
    Kind,
    Known,
    Mailbox,
    MailboxPath,
    Message,
    Scan,
    Stored,
    SyncState,
    UidlRef,
    UidRef,
)

GROUP_FILES: Final = 2048
GROUP_OCTETS: Final = 64 << 20
GROUP_SECONDS: Final = 3.0
"""A group is committed when it has so many files or octets, or is so old: large ones cost the fast
line the fewest waits for the disk, and a slow line loses no more than seconds' worth when the
process dies.
"""


P = ParamSpec("P")
T = TypeVar("T")


def _writing(method: Callable[Concatenate[PullRun, P], T]) -> Callable[Concatenate[PullRun, P], T]:
    """Make a method `guarded`; where it breaks off, nothing of its group may be committed any more,
    by a push beside it either.
    """

    @functools.wraps(method)
    def wrapper(self: PullRun, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._turn:
            try:
                with translated(self._root):
                    return method(self, *args, **kwargs)
            except BaseException as error:
                self._failed = self._failed or error
                raise

    return wrapper


class Memory:
    """What the catalogue remembers of an account's mailboxes; only asks."""

    def __init__(self, catalogue: Catalogue, account: str) -> None:
        self._catalogue = catalogue
        self._account = catalogue.account(account)

    def state(self, mailbox: MailboxPath) -> SyncState | None:
        """Return the state at which a mailbox was last complete; None when it must be scanned in
        full.
        """
        row = self._row(mailbox)
        return None if row is None else self._catalogue.state(row)

    def known(self, scan: Scan) -> Known:
        """Return what is held of the mailbox of `scan`: all of it for a full scan, only what a
        delta names otherwise.
        """
        row = self._row(scan.mailbox.path)
        if row is None:
            return Known(None, {}, 0)
        state = self._catalogue.state(row)
        if scan.since is None:
            return self._catalogue.known(row, scan.state.uidvalidity, state)
        uids = [entry.ref.uid for entry in scan.entries if isinstance(entry.ref, UidRef)]
        return self._catalogue.known_of(row, scan.state.uidvalidity, state, uids, scan.vanished)

    def held(self, entries: Sequence[Entry], before: int) -> dict[Entry, bytes]:
        """Return the messages of a POP3 listing that were fetched before that time and are stored
        as they were, with their digests.

        One that was only recognised, or that counts as another content of the same message, is not
        among them.
        """
        found: dict[Entry, bytes] = {}
        row = self._row(INBOX)
        for entry in entries:
            if not isinstance(entry.ref, UidlRef) or entry.ref.uidl is None or entry.size is None:
                continue
            stored = self._catalogue.sql.execute(
                "SELECT m.digest, m.size FROM placements p JOIN files f ON f.id = p.file JOIN"
                " messages m ON m.id = f.message JOIN runs r ON r.id = p.first_run WHERE p.mailbox"
                " = ? AND p.uid IS NULL AND p.uidl = ? AND +p.size = ? AND p.digest = m.digest AND"
                " NOT p.matched AND NOT f.damaged AND r.started <= ?",
                (row, entry.ref.uidl, entry.size, before),
            ).fetchone()
            # A server that adds a missing last line end sends two octets more than it announced.
            if stored is not None and stored[1] - entry.size in {0, 2}:
                found[entry] = stored[0]
        return found

    def _row(self, mailbox: MailboxPath) -> int | None:
        return None if self._account is None else self._catalogue.mailbox(self._account, mailbox)


class PullRun:
    """A context manager; an exception leaves the last commit as the truth and the run unfinished.

    Everything is in one catalogue transaction a group, committed only after the group's files and
    directories are on disk.
    """

    def __init__(
        self,
        archive: Shared,
        tree: Storage,
        account: str,
        *,
        dedupe: str,
        clock: Callable[[], float],
    ) -> None:
        catalogue, root = archive.catalogue, archive.root
        self._turn = archive.turn
        self._catalogue = catalogue
        self._sql = catalogue.sql
        self._tree = tree
        self._root = root
        self._clock = clock
        self.started = int(clock())
        self._dedupe = dedupe
        self.open = True
        """Whether it may still take in messages."""
        self.taken = self.durable = 0
        """How many messages were taken in, and how many of them, the first ones, are durable."""
        self._finished = False
        self._unwritten = 0
        self._due = time.monotonic() + GROUP_SECONDS
        self._failed: BaseException | None = None
        self._guesses: bool | None = None
        self._shelf = Shelf(catalogue, tree, dedupe, lambda: self.id)
        self._mailboxes: dict[MailboxPath, int] = {}
        with self._turn, translated(root):
            catalogue.begin()
            self._account = catalogue.make_account(account)
            self.id = catalogue.start_run(self._account, "pull", self.started)
            catalogue.commit()
            catalogue.begin()
            self._memory = Memory(catalogue, account)
        self._placements = Placements(catalogue, self._shelf, self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turn, translated(self._root):
            self.open = False
            if not self._finished:
                self._catalogue.rollback()
            self._tree.discard_waiting()

    # what is remembered

    @guarded
    def state(self, mailbox: MailboxPath) -> SyncState | None:
        """Return the state at which a mailbox was last complete; None when it must be scanned in
        full.
        """
        return self._memory.state(mailbox)

    @guarded
    def known(self, scan: Scan) -> Known:
        """Return what is held of the mailbox of `scan`: all of it for a full scan, only what a
        delta names otherwise.
        """
        return self._memory.known(scan)

    @guarded
    def candidates(self, entries: Sequence[Entry]) -> list[Entry]:
        """Name the entries whose size says that their content may have been here before this
        run.
        """
        if not self._catalogue.has_messages(self.id):
            return []
        return [
            entry
            for entry in entries
            if entry.size and self._catalogue.has_size(entry.size, self.id)
        ]

    @guarded
    def same_object(self, entry: Entry) -> bytes | None:
        """Return the stored digest of a message to which this account's server gave the same object
        id.
        """
        row = self._sql.execute(
            "SELECT s.digest FROM placements p JOIN mailboxes m ON m.id = p.mailbox JOIN files f ON"
            " f.id = p.file JOIN messages s ON s.id = f.message WHERE p.object_id = ? AND m.account"
            " = ? AND NOT f.damaged LIMIT 1",
            (entry.object_id, self._account),
        ).fetchone()
        return row[0] if row else None

    @guarded
    def recognise(self, header: Excerpt) -> bytes | None:
        """Return the digest of a stored content of that size with the same one Message-ID and an
        equal header block.
        """
        message_id = identity.message_id_key(header.content)
        if not message_id or header.entry.size is None:
            return None
        wanted = identity.header_digest(header.content)
        for row in self._catalogue.messages_of_size(header.entry.size, self.id):
            if (
                row.message_id == message_id
                and row.header == wanted
                and not self._all_damaged(row.id)
            ):
                return row.digest
        return None

    @guarded
    def tail_equals(self, digest: bytes, tail: Excerpt) -> bool:
        """Return whether the stored content ends in these octets."""
        message = self._catalogue.message_by_digest(digest)
        for file in self._catalogue.files_of(message) if message is not None else ():
            located = None
            if not file.damaged:
                located = self._tree.locate(file.folder, file.base, file.flags)
            if located is not None:
                with located.open() as content:
                    content.seek(max(0, located.stat().size - len(tail.content)))
                    return content.read() == tail.content
        return False

    def _all_damaged(self, message: int) -> bool:
        return all(file.damaged for file in self._catalogue.files_of(message))

    # what is taken in

    @_writing
    def mailbox(self, mailbox: Mailbox) -> None:
        """Remember that a mailbox is on the server, with its roles and subscription."""
        self._sql.execute(
            "UPDATE mailboxes SET attributes = ?, subscribed = ?, object_id = ?, removed_run = NULL"
            " WHERE id = ?",
            (
                self._catalogue.flags.write(mailbox.special_use),
                mailbox.subscribed,
                mailbox.object_id,
                self._mailbox(mailbox.path),
            ),
        )

    @_writing
    def absent(self, listed: Collection[MailboxPath]) -> dict[MailboxPath, int]:
        """Mark the mailboxes a complete list does not name, and their messages, as gone.

        Returns those not so marked before, with how many of their messages are in no other mailbox
        of the archive's accounts.
        """
        there = set(listed)
        rows = self._sql.execute(
            "SELECT f.path FROM mailboxes m JOIN folders f ON f.id = m.folder WHERE m.account = ?"
            " AND m.removed_run IS NULL ORDER BY 1",
            (self._account,),
        )
        lost = [path for (text,) in rows if (path := read_path(text)) not in there]
        counts = {}
        for path in lost:
            row = self._mailbox(path)
            counts[path] = self._placements.lose(row)
            self._sql.execute(
                "UPDATE mailboxes SET removed_run = ?, uidvalidity = NULL, incomplete = 0 WHERE"
                " id = ?",
                (self.id, row),
            )
        return counts

    @_writing
    def retire(self, mailbox: MailboxPath) -> None:
        """Say that the UIDs held of a mailbox mean other messages now; the messages stay live until
        the next complete scan.
        """
        self._placements.retire(self._mailbox(mailbox))
        self._sql.execute(
            "UPDATE mailboxes SET uidvalidity = NULL WHERE id = ?", (self._mailbox(mailbox),)
        )

    @_writing
    def add(self, message: Message) -> Stored:
        """Take in a message.

        It is durable after `flush`, which comes by itself once a group is full.
        """
        entry, content = message.entry, message.content
        path = entry.ref.mailbox
        mailbox = self._mailbox(path)
        print_ = identity.fingerprint(content)
        known = (
            self._placements.find(mailbox, entry, print_.digest) if self._dedupe == "none" else None
        )
        held = None if known is None else self._placements.file_of(known)[0]
        stowed = self._shelf.stow(path, (content, print_), self._date(entry), entry.flags, held)
        if not self._placements.insert(mailbox, entry, stowed.file, print_.digest, matched=False):
            self._placements.replace(mailbox, entry, stowed.file, print_.digest)
        self.taken += 1
        self._flush_if_full()
        kind = Kind.MENDED if stowed.mended else Kind.NEW if stowed.new else Kind.DUPLICATE
        return Stored(kind, stowed.digest, stowed.collides)

    @_writing
    def match(self, entry: Entry, digest: bytes) -> Stored | None:
        """Record that a message whose content is here already is in a mailbox, without having
        fetched it.

        None: no file holds that content soundly any more, nothing was recorded, and the message
        must be fetched.
        """
        mailbox = self._mailbox(entry.ref.mailbox)
        known = self._placements.find(mailbox, entry, digest)
        if known is None:
            file = self._shelf.place(entry.ref.mailbox, digest, self._date(entry), entry.flags)
            if file is None:
                return None
            self._placements.insert(mailbox, entry, file, digest, matched=True)
        elif self._placements.file_of(known)[1]:
            return None
        self.taken += 1
        self._flush_if_full()
        return Stored(Kind.MATCHED, digest)

    @_writing
    def reflag(self, entries: Iterable[Entry]) -> int:
        """Give known messages the flags they have now; one that was gone is live again.

        Returns how many changed.
        """
        changed = 0
        for entry in entries:
            placement = self._placements.find(self._mailbox(entry.ref.mailbox), entry, None)
            if placement is not None:
                changed += self._placements.reflag(placement, entry.flags)
                self._flush_if_full()
        return changed

    @_writing
    def mark_gone(self, mailbox: MailboxPath, uidvalidity: int, uids: Iterable[int]) -> int:
        """Say that live messages are no longer there; they stay in the archive.

        Returns how many.
        """
        row = self._mailbox(mailbox)
        cursor = self._sql.executemany(
            "UPDATE placements SET gone_run = ? WHERE mailbox = ? AND uidvalidity = ? AND uid = ?"
            " AND gone_run IS NULL",
            ((self.id, row, uidvalidity, uid) for uid in uids),
        )
        return max(0, cursor.rowcount)

    @_writing
    def complete(self, scan: Scan) -> int:
        """Advance a mailbox to the state of a scan whose messages were all taken in.

        Messages live under an older UIDVALIDITY become gone; returns how many of them were not seen
        again under the new one.
        """
        row = self._mailbox(scan.mailbox.path)
        state = scan.state
        if self._has_unconfirmed():
            self._placements.confirm(row)
        lost = self._placements.renew(row, state.uidvalidity) if state.uidvalidity else 0
        self._sql.execute(
            "UPDATE mailboxes SET uidvalidity = ?, uidnext = ?, messages = ?, highestmodseq = ?,"
            " complete_run = ?, complete_at = ?, incomplete = 0 WHERE id = ?",
            (
                state.uidvalidity,
                state.uidnext,
                state.messages,
                state.highestmodseq,
                self.id,
                self.started,
                row,
            ),
        )
        return lost

    @_writing
    def incomplete(self, mailbox: MailboxPath) -> None:
        """Say that something of a mailbox is missing, so that it is looked at again."""
        self._sql.execute(
            "UPDATE mailboxes SET incomplete = 1 WHERE id = ?", (self._mailbox(mailbox),)
        )

    # what an owner's policies need

    @guarded
    def held(self, entries: Sequence[Entry], before: int) -> dict[Entry, bytes]:
        """Return the messages of a POP3 listing that were fetched before that time and are stored
        as they were, with their digests.
        """
        return self._memory.held(entries, before)

    @_writing
    def proves(self, digest: bytes, header: Excerpt) -> bool:
        """Read a message's file, hash it, and tell whether it is sound and has this header
        block.
        """
        message = self._catalogue.message_by_digest(digest)
        for file in self._catalogue.files_of(message) if message is not None else ():
            located = self._tree.locate(file.folder, file.base, file.flags)
            if located is None:
                continue
            content = located.read()
            if identity.digest(content) != digest:
                self._catalogue.mark(file.id, damaged=True)
                continue
            short = (header.entry.size or 0) + 2 == len(content)
            return block(content).rstrip(b"\r\n") == header.content.rstrip(b"\r\n") and (
                not short or content.endswith(b"\r\n")
            )
        return False

    # when it becomes durable

    @_writing
    def flush(self) -> None:
        """Put everything taken in so far on disk, then commit it.

        Where that fails the run is over: it takes in nothing more, and the last commit stays the
        truth.
        """
        self._go_on()
        self._tree.sync()
        self._catalogue.commit()
        self.durable = self.taken
        self._catalogue.begin()
        self._unwritten = 0
        self._due = time.monotonic() + GROUP_SECONDS

    @_writing
    def finish(self, *, complete: bool, report: Mapping[str, object]) -> None:
        """Flush and end the run."""
        self.flush()
        self._catalogue.end_run(self.id, int(self._clock()), complete=complete, report=report)
        self._catalogue.commit()
        self._finished = True
        self.open = False

    def _flush_if_full(self) -> None:
        self._unwritten += 1
        if (
            max(self._tree.waiting_messages, self._unwritten) >= GROUP_FILES
            or self._tree.waiting_octets >= GROUP_OCTETS
            or time.monotonic() >= self._due
        ):
            self.flush()

    def _date(self, entry: Entry) -> int:
        return self.started if entry.internaldate is None else entry.internaldate

    def _has_unconfirmed(self) -> bool:
        """Return whether a reindex may have left messages whose places are guesses."""
        if self._guesses is None:
            self._guesses = self._catalogue.was_reindexed()
        return self._guesses

    def _go_on(self) -> None:
        if isinstance(self._failed, ArchiveError):
            # Also to a push beside this pull, or to this pull when it failed in the hands of that
            # push: the cause is what helps.
            raise self._failed
        if self._failed is not None:
            raise ArchiveError(
                f"nothing more is stored in {self._root} by this run, because something could not"
                " be written"
            )

    def _mailbox(self, path: MailboxPath) -> int:
        self._go_on()
        row = self._mailboxes.get(path)
        if row is None:
            folder, _ = self._shelf.folder(path)
            row = self._mailboxes[path] = self._catalogue.make_mailbox(self._account, folder)
        return row
