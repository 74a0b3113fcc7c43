"""Scans: what is in each mailbox, several mailboxes in flight, only what changed where the server
can tell (RFC 7162).

A scan sends EXAMINE and everything it needs right behind it, without waiting for what EXAMINE says;
where that turns out to have been too hopeful (UIDVALIDITY changed, no mod-sequences kept), the
mailbox is asked once more, in full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from mailsync.errors import MailboxError, MailboxMissing, ProtocolViolation, StoreUnavailable
from mailsync.model import INBOX, Scan, ScanRequest, SyncState, UidRef
from mailsync.stores.imap.command_queue import Command, CommandQueue
from mailsync.stores.imap.condstore import changed_since, continues, gaps, keeps_changes
from mailsync.stores.imap.examine import Examined
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.response import Result
from mailsync.stores.imap.scan_responses import ScanResponses
from mailsync.stores.imap.search import all_uids
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import is_missing, trouble

WINDOW: Final = 20_000
"""Messages asked for by one command; a larger mailbox is listed in windows of UIDs."""

AHEAD_MESSAGES: Final = 50_000
AHEAD_MAILBOXES: Final = 64
"""How far the scans in flight may run ahead of the one that is read: by the messages the server
announced, and by mailboxes.
"""


def scan(
    link: ReconnectingSession, account: str, requests: Iterable[ScanRequest]
) -> Iterator[Scan | MailboxError]:
    """Look at each mailbox in turn; see `Source.scan`."""
    remaining = iter(requests)
    scans: deque[_MailboxScan] = deque()
    more = True
    while True:
        while more and _room(scans):
            request = next(remaining, None)
            if request is None:
                more = False
            else:
                scans.append(_MailboxScan(request, account))
        if not scans:
            return
        try:
            for one in scans:
                one.send(link)
            result = scans[0].finish(link)
        except StoreUnavailable as error:
            scans[0].ask_anew()
            link.again(error)
            continue
        if result is not None:
            link.progressed()
            scans.popleft()
            yield result


def _room(scans: deque[_MailboxScan]) -> bool:
    return not scans or (
        len(scans) < AHEAD_MAILBOXES and sum(one.expected for one in scans) < AHEAD_MESSAGES
    )


class _MailboxScan:
    """One mailbox being scanned."""

    def __init__(self, request: ScanRequest, account: str) -> None:
        self._request = request
        self._account = account
        self._path = request.mailbox.path
        self._full = request.since is None
        self._tries = 0
        self._busy = False
        self._generation = 0
        self._examined: Examined | None = None
        self._commands: list[Command] = []

    @property
    def expected(self) -> int:
        """How many messages may be listed, as far as the server said before."""
        state = self._request.mailbox.state
        return state.messages if state is not None and self._full else 100

    def send(self, link: ReconnectingSession) -> None:
        """Send what is needed, unless it was sent on this session or is answered already."""
        if self._generation == link.generation and self._examined is not None:
            return
        if (
            self._examined is not None
            and self._examined.command.done
            and all(command.done for command in self._commands)
        ):
            return
        session = link.session
        since = self._since(session)
        self._full = since is None
        self._examined = link.examine(self._path, fresh=True)
        self._generation = link.generation
        items = b" (UID FLAGS INTERNALDATE RFC822.SIZE" + _object_item(session) + b")"
        if since is not None:
            changed = changed_since(session, since)
            self._commands = [session.queue.send(b"UID FETCH 1:*" + items + changed)]
        else:
            self._commands = [
                session.queue.send(b"UID FETCH " + window + items)
                for window in _windows(self._request.mailbox.state)
            ]

    def ask_anew(self) -> None:
        """Take nothing that was received for granted: ask for all of it again."""
        self._examined = None
        self._commands = []

    def finish(self, link: ReconnectingSession) -> Scan | MailboxError | None:
        """Read the answers; None when the mailbox has to be asked again, which `send` will do."""
        session = link.session
        examined = self._examined
        assert examined is not None  # noqa: S101  # `send` came before
        try:
            result = examined.wait()
        except StoreUnavailable as error:
            if examined.refused and self._busy:
                return self._error(str(error))  # the second time it is this mailbox, not the server
            self._busy = examined.refused
            raise
        if not result.ok:
            return self._unopened(result)
        state = examined.state
        if not state.uidvalidity:
            return self._error(
                "has no UIDVALIDITY, so its messages cannot be told apart from one run to the next"
            )
        if not self._full and not continues(self._request.since, state):
            self._again()
            return None
        responses = ScanResponses()
        refusal = self._read(session.queue, responses)
        if isinstance(refusal, MailboxError):
            return refusal
        if refusal is not None and state.messages:
            stop = trouble(self._account, refusal.refusal, "listing a mailbox")
            if stop is not None:
                raise stop
            if self._full:
                return self._error(f"cannot be listed: {refusal.text}")
            self._again()
            return None
        return (
            self._complete(state, responses)
            if self._full
            else self._changes(link, state, responses)
        )

    def _unopened(self, result: Result) -> MailboxError:
        if result.status == b"NO" and is_missing(result.said) and self._path != INBOX:
            return MailboxMissing(
                self._account, self._path, f"is in the server's list but not there: {result.text}"
            )
        return self._error(f"cannot be opened: {result.text}")

    def _since(self, session: Session) -> SyncState | None:
        """Return the state to ask changes from, None to ask for everything."""
        since, listed = self._request.since, self._request.mailbox.state
        if self._full or since is None or not since.highestmodseq:
            return None
        if not keeps_changes(session):
            return None
        return since if listed is None or continues(since, listed) else None

    def _read(self, queue: CommandQueue, responses: ScanResponses) -> Result | MailboxError | None:
        """Read all answers; a refusal, or an answer no one can read, instead of None."""
        refusal = None
        unreadable: ProtocolViolation | None = None
        for command in self._commands:
            for answer in queue.answers(command):
                try:
                    responses.take(answer, self._account)
                except ProtocolViolation as error:
                    unreadable = error
            if command.result is not None and not command.result.ok:
                refusal = command.result
        return self._error(str(unreadable)) if unreadable is not None else refusal

    def _complete(self, state: SyncState, responses: ScanResponses) -> Scan | MailboxError | None:
        """Make a full scan, unless fewer messages came than the server says there are."""
        entries = responses.entries(self._path, state)
        if len(entries) < state.messages - responses.expunged:
            self._tries += 1
            if self._tries > 1:
                return self._error(
                    f"the server says it holds {state.messages} messages but lists only"
                    f" {len(entries)}"
                )
            self._again()
            return None
        if not state.uidnext:
            state = replace(
                state,
                uidnext=max(
                    (entry.ref.uid for entry in entries if isinstance(entry.ref, UidRef)), default=0
                )
                + 1,
            )
        return Scan(self._request.mailbox, state, entries)

    def _changes(
        self, link: ReconnectingSession, state: SyncState, responses: ScanResponses
    ) -> Scan | MailboxError | None:
        since = self._request.since
        assert since is not None  # noqa: S101  # only then are changes asked for
        entries = responses.entries(self._path, state)
        vanished = tuple(responses.vanished)
        if b"QRESYNC" not in link.session.enabled:
            new = sum(
                entry.ref.uid >= since.uidnext for entry in entries if isinstance(entry.ref, UidRef)
            )
            if state.messages - new != since.messages:
                existing = all_uids(link, self._path, state.uidvalidity)
                if existing is None:
                    self._again()
                    return None
                vanished = gaps(existing, since.uidnext)
        return Scan(self._request.mailbox, state, entries, since, vanished)

    def _again(self) -> None:
        """Have `send` ask for everything."""
        self._full = True
        self.ask_anew()

    def _error(self, why: str) -> MailboxError:
        return MailboxError(self._account, self._path, why)


def _object_item(session: Session) -> bytes:
    if session.has(b"OBJECTID"):
        return b" EMAILID"
    return b" X-GM-MSGID" if session.has(b"X-GM-EXT-1") else b""


def _windows(state: SyncState | None) -> list[bytes]:
    """Split all UIDs into sets of about WINDOW messages, as far as the server told how many there
    are.
    """
    if state is None or state.messages <= WINDOW or state.uidnext < 2:
        return [b"1:*"]
    count = -(-state.messages // WINDOW)
    width = -(-state.uidnext // count)
    starts = range(1, state.uidnext, width)
    return [b"%d:%d" % (start, start + width - 1) for start in starts[:-1]] + [b"%d:*" % starts[-1]]
