"""One push out of the archive: the ledger of what went where, with an intent ahead of each
append.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from mailsync.archive.paths import write_path
from mailsync.archive.shared import Shared
from mailsync.archive.translated import guarded, translated
from mailsync.model import ArchivedMessage, LedgerKey, LedgerLine, MailboxPath, SyncState

GROUP: Final = 512
"""Answers written down in one commit; a lost one is found again by looking."""


class PushRun:
    """A context manager; an exception keeps every answer that came before it.

    A `rehearsal` only reads, and records nothing.
    """

    def __init__(
        self,
        archive: Shared,
        account: str,
        destination: str,
        clock: Callable[[], float],
        *,
        rehearsal: bool = False,
    ) -> None:
        catalogue, root = archive.catalogue, archive.root
        self._turn = archive.turn
        self._commit = archive.commit
        self._catalogue = catalogue
        self._sql = catalogue.sql
        self._root = root
        self._clock = clock
        self._destination = destination
        self._unwritten = 0
        self._rehearsal = rehearsal
        self.id = 0
        if rehearsal:
            return
        with self._turn, translated(root):
            catalogue.begin()
            row = catalogue.make_account(account)
            self.id = catalogue.start_run(row, "push", int(clock()), destination)
            self._commit()
            catalogue.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._rehearsal:
            with self._turn, translated(self._root):
                self._commit()

    @guarded
    def ledger(self, mailbox: MailboxPath) -> dict[LedgerKey, LedgerLine]:
        """Return what is known of one mailbox of the destination, by (identity, copy)."""
        read = self._catalogue.flags.read
        rows = self._sql.execute(
            "SELECT identity, copy, uidvalidity, uid, flags, state, uidnext, since FROM ledger"
            " WHERE destination = ? AND mailbox = ?",
            (self._destination, write_path(mailbox)),
        )
        return {
            (identity, copy): LedgerLine(
                validity, uid, read(flags), state == "intent", uidnext, since, state == "removed"
            )
            for identity, copy, validity, uid, flags, state, uidnext, since in rows
        }

    @guarded
    def intend(
        self, mailbox: MailboxPath, state: SyncState, messages: Sequence[ArchivedMessage]
    ) -> None:
        """Write down, durably, that these messages are about to be appended, with their flags, to a
        mailbox in this state.
        """
        now = int(self._clock())
        write = self._catalogue.flags.write
        self._catalogue.begin()
        self._sql.executemany(
            "INSERT OR REPLACE INTO ledger (destination, mailbox, identity, copy, state,"
            " uidvalidity, uid, flags, uidnext, since, run) VALUES (?, ?, ?, ?, 'intent', ?, NULL,"
            " ?, ?, ?, ?)",
            (
                (
                    self._destination,
                    write_path(mailbox),
                    message.identity,
                    message.copy,
                    state.uidvalidity,
                    write(message.flags),
                    state.uidnext,
                    now,
                    self.id,
                )
                for message in messages
            ),
        )
        self.flush()

    @guarded
    def settle(
        self,
        mailbox: MailboxPath,
        key: LedgerKey,
        uidvalidity: int | None,
        uid: int | None,
        flags: frozenset[str],
    ) -> None:
        """Write down that a message is there; `flags` are those of the archive at this time."""
        self._catalogue.begin()
        self._sql.execute(
            "INSERT OR REPLACE INTO ledger (destination, mailbox, identity, copy, state,"
            " uidvalidity, uid, flags, uidnext, since, run) VALUES (?, ?, ?, ?, 'sent', ?, ?, ?, 0,"
            " ?, ?)",
            (
                self._destination,
                write_path(mailbox),
                *key,
                uidvalidity,
                uid,
                self._catalogue.flags.write(flags),
                int(self._clock()),
                self.id,
            ),
        )
        self._unwritten += 1
        if self._unwritten >= GROUP:
            self.flush()

    @guarded
    def withdraw(self, mailbox: MailboxPath, key: LedgerKey) -> None:
        """Take an intent back: the destination refused the message, or it was never sent."""
        self._catalogue.begin()
        self._sql.execute(
            "DELETE FROM ledger WHERE destination = ? AND mailbox = ? AND identity = ? AND copy = ?"
            " AND state = 'intent'",
            (self._destination, write_path(mailbox), *key),
        )

    @guarded
    def reflagged(self, mailbox: MailboxPath, key: LedgerKey, flags: frozenset[str]) -> None:
        """Write down the flags last sent for a message."""
        self._catalogue.begin()
        self._sql.execute(
            "UPDATE ledger SET flags = ? WHERE destination = ? AND mailbox = ? AND identity = ? AND"
            " copy = ?",
            (
                self._catalogue.flags.write(flags),
                self._destination,
                write_path(mailbox),
                *key,
            ),
        )

    @guarded
    def removed(self, mailbox: MailboxPath, keys: Iterable[LedgerKey]) -> None:
        """Write down that messages were taken away on the destination since."""
        self._catalogue.begin()
        self._sql.executemany(
            "UPDATE ledger SET state = 'removed' WHERE destination = ? AND mailbox = ? AND identity"
            " = ? AND copy = ?",
            ((self._destination, write_path(mailbox), identity, copy) for identity, copy in keys),
        )

    @guarded
    def flush(self) -> None:
        """Make everything written down durable."""
        if self._rehearsal:
            return
        self._commit()
        self._catalogue.begin()
        self._unwritten = 0

    @guarded
    def finish(self, *, complete: bool, report: Mapping[str, object]) -> None:
        """End the run."""
        if self._rehearsal:
            return
        self._catalogue.begin()
        self._catalogue.end_run(self.id, int(self._clock()), complete=complete, report=report)
        self._commit()
