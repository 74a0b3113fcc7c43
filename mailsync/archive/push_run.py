"""One push out of the archive: the ledger of what went where, with an intent ahead of each
append.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from mailsync.archive.catalogue import Sent
from mailsync.archive.group_commit import GroupCommit
from mailsync.model import ArchivedMessage, LedgerKey, LedgerLine, MailboxPath, SyncState

GROUP: Final = 512
"""Answers written down in one commit; a lost one is found again by looking."""


class PushRun:
    """A context manager; an exception keeps every answer that came before it.

    A `rehearsal` only reads, and records nothing.
    """

    def __init__(
        self,
        group: GroupCommit,
        account: str,
        destination: str,
        clock: Callable[[], float],
        *,
        rehearsal: bool = False,
    ) -> None:
        self._group = group
        self._catalogue = group.catalogue
        self._ledger = group.catalogue.ledger(destination)
        self._destination = destination
        self._clock = clock
        self._unwritten = 0
        self._rehearsal = rehearsal
        self.id = 0
        if rehearsal:
            return
        with group.turn:
            self._catalogue.begin()
            row = self._catalogue.accounts.make(account)
            self.id = self._catalogue.runs.start(row, "push", int(clock()), destination)
            group.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._rehearsal:
            with self._group.turn:
                self._group.commit()

    def ledger(self, mailbox: MailboxPath) -> dict[LedgerKey, LedgerLine]:
        """Return what is known of one mailbox of the destination, by (identity, copy)."""
        with self._group.turn:
            return self._ledger.lines(mailbox)

    def sent(self) -> Sequence[Sent]:
        """Return what was sent to each mailbox of the destination, in any run."""
        with self._group.turn:
            return self._catalogue.destinations.sent(self._destination)

    def sent_again(self) -> Sequence[tuple[MailboxPath, MailboxPath, LedgerKey]]:
        """Return what arrived in this run and had been sent to another mailbox of the destination
        in an earlier one: that mailbox, the new one, and the message.
        """
        with self._group.turn:
            return self._ledger.sent_again(self.id)

    def intend(
        self, mailbox: MailboxPath, state: SyncState, messages: Sequence[ArchivedMessage]
    ) -> None:
        """Write down, durably, that these messages are about to be appended, with their flags, to a
        mailbox in this state.
        """
        with self._group.turn:
            self._catalogue.begin()
            self._ledger.intend(mailbox, state, messages, run=self.id, now=int(self._clock()))
            self.flush()

    def settle(
        self,
        mailbox: MailboxPath,
        key: LedgerKey,
        uidvalidity: int | None,
        uid: int | None,
        flags: frozenset[str],
    ) -> None:
        """Write down that a message is there; `flags` are those of the archive at this time."""
        with self._group.turn:
            self._catalogue.begin()
            place = (uidvalidity, uid)
            self._ledger.settle(mailbox, key, place, flags, run=self.id, now=int(self._clock()))
            self._unwritten += 1
            if self._unwritten >= GROUP:
                self.flush()

    def withdraw(self, mailbox: MailboxPath, key: LedgerKey) -> None:
        """Take an intent back: the destination refused the message, or it was never sent."""
        with self._group.turn:
            self._catalogue.begin()
            self._ledger.withdraw(mailbox, key, "intent")

    def disprove(self, mailbox: MailboxPath, key: LedgerKey) -> None:
        """Take back that a message was sent: it is not there, or not as it was sent."""
        with self._group.turn:
            self._catalogue.begin()
            for state in ("sent", "mangled"):
                self._ledger.withdraw(mailbox, key, state)

    def mangled(self, mailbox: MailboxPath, key: LedgerKey) -> None:
        """Write down that a message is there with another content, however often it is sent."""
        with self._group.turn:
            self._catalogue.begin()
            self._ledger.mark(mailbox, [key], "mangled")

    def reflagged(self, mailbox: MailboxPath, key: LedgerKey, flags: frozenset[str]) -> None:
        """Write down the flags last sent for a message."""
        with self._group.turn:
            self._catalogue.begin()
            self._ledger.set_flags(mailbox, key, flags)

    def removed(self, mailbox: MailboxPath, keys: Iterable[LedgerKey]) -> None:
        """Write down that messages were taken away on the destination since."""
        with self._group.turn:
            self._catalogue.begin()
            self._ledger.mark(mailbox, keys, "removed")

    def flush(self) -> None:
        """Make everything written down durable."""
        if self._rehearsal:
            return
        with self._group.turn:
            self._group.flush()
            self._unwritten = 0

    def finish(self, *, complete: bool, report: Mapping[str, object]) -> None:
        """End the run."""
        if self._rehearsal:
            return
        with self._group.turn:
            self._catalogue.begin()
            self._catalogue.runs.end(self.id, int(self._clock()), complete=complete, report=report)
            self._group.commit()
