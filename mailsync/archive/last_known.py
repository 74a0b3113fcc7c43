"""What earlier runs left known of an account's mailboxes, for planning the next one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from mailsync.archive.bounds import LARGEST, storable, storable_uids
from mailsync.archive.catalogue import Catalogue
from mailsync.model import INBOX, Entry, Known, MailboxPath, Scan, SyncState, UidlRef, UidRef
from mailsync.plan.clock import implausible


class LastKnown:
    """Answers about one account; changes nothing. `files` are those that are read into it, empty
    for its own server.
    """

    def __init__(self, catalogue: Catalogue, account: str, files: str = "") -> None:
        self._catalogue = catalogue
        self._files = files
        self._account = catalogue.accounts.find(account)

    def state(self, mailbox: MailboxPath) -> SyncState | None:
        """Return the state at which a mailbox was last complete; None when it must be scanned in
        full.
        """
        row = self._row(mailbox)
        if row is None:
            return None
        if not self._files:
            return self._catalogue.mailboxes.state(row)
        mark = self._catalogue.mailboxes.reading(row, self._files)
        return None if mark is None else SyncState(0, 0, 0, mark)

    def all_at(self, mark: int) -> int:
        """Return how many mailboxes were complete at this HIGHESTMODSEQ; 0 where one was not."""
        if self._account is None:
            return 0
        return self._catalogue.mailboxes.all_at(self._account, mark, self._files)

    def known(self, scan: Scan) -> Known:
        """Return what is held of the mailbox of `scan`: all of it for a full scan, only what a
        delta names otherwise.
        """
        row = self._row(scan.mailbox.path)
        if row is None:
            return Known(None, {}, 0)
        state = self._catalogue.mailboxes.state(row)
        holdings = self._catalogue.holdings
        if not scan.absence_means_gone:
            return holdings.by_uidl(row, state)
        if scan.since is None:
            return holdings.by_uid(row, scan.state.uidvalidity, state)
        uids = storable_uids(
            entry.ref.uid for entry in scan.entries if isinstance(entry.ref, UidRef)
        )
        spans = [
            range(span.start, min(span.stop, LARGEST))
            for span in scan.vanished
            if span.start <= LARGEST
        ]
        return holdings.named_by_delta(row, scan.state.uidvalidity, state, uids, spans)

    def held(self, entries: Sequence[Entry], before: int) -> dict[Entry, bytes]:
        """Return the messages of a POP3 listing that were fetched before that time and are stored
        as they were, with their digests.

        One that was only recognised, or that counts as another content of the same message, is not
        among them.
        """
        found: dict[Entry, bytes] = {}
        row = self._row(INBOX)
        if row is None:
            return found
        for entry in entries:
            size = storable(entry).size
            if not isinstance(entry.ref, UidlRef) or entry.ref.uidl is None or size is None:
                continue
            stored = self._catalogue.holdings.stored_as_fetched(row, entry.ref.uidl, size, before)
            # A server that adds a missing last line end sends two octets more than it announced.
            if stored is not None and stored[1] - size in {0, 2}:
                found[entry] = stored[0]
        return found

    def clock_doubt(self, now: float, span: float) -> str:
        """Return why nobody should believe that `span` seconds passed until `now`, by when the last
        runs began; empty when nothing speaks against it.
        """
        return implausible(now, self._catalogue.runs.began(), span)

    def _row(self, mailbox: MailboxPath) -> int | None:
        if self._account is None:
            return None
        return self._catalogue.mailboxes.find(self._account, mailbox)


class RunMemory:
    """The same questions, asked by a pull that began at `begun`, beside whom a push may speak."""

    def __init__(
        self, last_known: LastKnown, turn: AbstractContextManager[None], begun: int
    ) -> None:
        self._last_known = last_known
        self._asking = turn
        self._begun = begun

    def state(self, mailbox: MailboxPath) -> SyncState | None:
        """Return the state at which a mailbox was last complete; None when it must be scanned in
        full.
        """
        with self._asking:
            return self._last_known.state(mailbox)

    def all_at(self, mark: int) -> int:
        """Return how many mailboxes were complete at this HIGHESTMODSEQ; 0 where one was not."""
        with self._asking:
            return self._last_known.all_at(mark)

    def known(self, scan: Scan) -> Known:
        """Return what is held of the mailbox of `scan`: all of it for a full scan, only what a
        delta names otherwise.
        """
        with self._asking:
            return self._last_known.known(scan)

    def held(self, entries: Sequence[Entry], before: int) -> dict[Entry, bytes]:
        """Return the messages of a POP3 listing that were fetched before that time and are stored
        as they were, with their digests.
        """
        with self._asking:
            return self._last_known.held(entries, before)

    def clock_doubt(self, span: float) -> str:
        """Return why the clock cannot be believed when it says that `span` seconds passed until
        this run began, for a person; empty when it can. Nothing may be deleted by age on a doubt.
        """
        with self._asking:
            return self._last_known.clock_doubt(self._begun, span)
