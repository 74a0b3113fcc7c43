"""Scans: what is in each mailbox, several mailboxes in flight, only what changed where the server
can tell (RFC 7162).

A scan sends EXAMINE and everything it needs right behind it, without waiting for what EXAMINE says;
where that turns out to have been too hopeful (UIDVALIDITY changed, no mod-sequences kept), the
mailbox is asked once more, in full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from mailsync.errors import MailboxError, MailboxMissing, StoreUnavailable, Throttled
from mailsync.model import INBOX, Scan, ScanRequest, SyncState, UidRef
from mailsync.stores.imap.command_queue import Command, CommandQueue
from mailsync.stores.imap.condstore import (
    changed_since,
    continues,
    covered,
    gaps,
    keeps_changes,
    last_known,
)
from mailsync.stores.imap.examine import Examined, state_of, status_of
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.response import Result
from mailsync.stores.imap.scan_gaps import drop_unknown, list_gaps
from mailsync.stores.imap.scan_responses import ScanResponses
from mailsync.stores.imap.search import all_uids
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import is_missing, trouble

WINDOW: Final = 20_000
"""Messages asked for by one command; a larger mailbox is listed in windows of UIDs."""

WINDOWS: Final = 250
"""A mailbox is listed in at most so many windows."""

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
            _recover(link, scans, error)
            continue
        if result is not None:
            link.progressed()
            scans.popleft()
            yield result


def _recover(
    link: ReconnectingSession, scans: Iterable[_MailboxScan], error: StoreUnavailable
) -> None:
    """Wait, and have what was not answered asked again."""
    if link.stands:
        try:
            for one in scans:
                one.settle(link)
        except StoreUnavailable as worse:
            error = worse
    link.recover(error)


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
        items = _items(session)
        if since is not None:
            changed = [b"1:*" + items + changed_since(session, since)]
            changed += [uids + items for uids in last_known(since)]
            self._commands = [session.queue.send(b"UID FETCH " + one) for one in changed]
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
        examined = self._examined
        assert examined is not None  # noqa: S101  # `send` came before
        try:
            result = examined.wait()
        except StoreUnavailable as error:
            if examined.refused and self._busy and not isinstance(error, Throttled):
                return self._error(str(error))  # the second time it is this mailbox, not the server
            self._busy = examined.refused
            raise
        if not result.ok:
            return self._unopened(result)
        state = state_of(examined, self._request.mailbox.state)
        if not state.uidvalidity:
            return self._error(
                "has no UIDVALIDITY, so its messages cannot be told apart from one run to the next"
            )
        if not self._full and not continues(self._request.since, state):
            self._again()
            return None
        responses = ScanResponses()
        refusal = self._read(link.session.queue, responses)
        stop = trouble(self._account, refusal.refusal if refusal else None, "listing a mailbox")
        if stop is not None:
            raise stop
        if not state.messages and examined.counts:
            refusal = None  # some servers refuse 1:* where there is nothing
        if self._full:
            return self._complete(link, state, responses, refusal)
        if refusal is not None or responses.odd:
            self._again()
            return None
        return self._changes(link, state, responses)

    def settle(self, link: ReconnectingSession) -> None:
        """Read all that was asked for on this session; what was refused is to be asked again."""
        if self._examined is None or self._generation != link.generation:
            return
        commands = [self._examined.command, *self._commands]
        results = [link.session.queue.wait(command) for command in commands]
        if not all(result.ok for result in results):
            self.ask_anew()

    def _unopened(self, result: Result) -> MailboxError:
        told = self._request.mailbox.state
        if (
            result.status == b"NO"
            and (is_missing(result.said) or not self._request.mailbox.selectable)
            and self._path != INBOX
            # A server that lists a state of what is missing may be wrong in the one or the other.
            and (told is None or self._examined is None or status_of(self._examined) is None)
        ):
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

    def _read(self, queue: CommandQueue, responses: ScanResponses) -> Result | None:
        """Read all answers; returns a refusal, if there was one."""
        refusal = None
        for command in self._commands:
            for answer in queue.answers(command):
                responses.take(answer, self._account)
            if command.result is not None and not command.result.ok:
                refusal = command.result
        return refusal

    def _complete(
        self,
        link: ReconnectingSession,
        state: SyncState,
        responses: ScanResponses,
        refusal: Result | None,
    ) -> Scan | MailboxError | None:
        """Make a full scan; where less came than the server says there is, the mailbox is asked
        once more, then for each missing message, and what stays missing is named.
        """
        there = state.messages - responses.expunged
        few = len(responses.lines) + len(responses.odd) < there
        if few and refusal is None and not self._tries:
            self._tries += 1
            self._again()
            return None
        if len(responses.lines) > max(state.messages, responses.exists):
            drop_unknown(link, (self._path, state.uidvalidity), responses, state.uidnext)
        unlisted: Sequence[str] = ()
        if few or responses.odd or refusal is not None:
            unlisted = self._unlisted(link, state, responses, refusal)
            if unlisted and not responses.lines:
                return self._error(f"cannot be listed: {unlisted[-1]}")
        entries = responses.entries(self._path, state)
        if self._examined is not None and not self._examined.state.uidnext:
            last = max((e.ref.uid for e in entries if isinstance(e.ref, UidRef)), default=0)
            state = replace(state, uidnext=max(state.uidnext, last + 1))
        return Scan(self._request.mailbox, state, entries, unlisted=tuple(unlisted))

    def _unlisted(
        self,
        link: ReconnectingSession,
        state: SyncState,
        responses: ScanResponses,
        refusal: Result | None,
    ) -> Sequence[str]:
        """Ask for what is missing, message by message; returns what is to be said of the rest."""
        mailbox = self._path, state.uidvalidity
        found = list_gaps(link, self._account, mailbox, _items(link.session), responses)
        unlisted = responses.odd if found is None else found
        few = len(responses.lines) + len(unlisted) < state.messages - responses.expunged
        if few or (found is None and refusal is not None):
            why = f": {refusal.text}" if refusal is not None else ""
            counts = f"holds {state.messages} messages but lists only {len(responses.lines)}"
            return [*unlisted, f"the server says it {counts}{why}"]
        return unlisted

    def _changes(
        self, link: ReconnectingSession, state: SyncState, responses: ScanResponses
    ) -> Scan | MailboxError | None:
        since = self._request.since
        assert since is not None  # noqa: S101  # only then are changes asked for
        entries = responses.entries(self._path, state)
        vanished = tuple(responses.vanished)
        uids = {entry.ref.uid for entry in entries if isinstance(entry.ref, UidRef)}
        new = sum(uid >= since.uidnext for uid in uids)
        told = b"QRESYNC" in link.session.enabled
        # UIDs were given to messages that are not shown: they are gone again, or were left out.
        unseen = state.uidnext - since.uidnext > new
        if unseen or (not told and state.messages - new != since.messages):
            existing = all_uids(link, self._path, state.uidvalidity)
            if existing is None or not covered(existing, since.uidnext, uids):
                self._again()
                return None
            vanished = vanished if told else gaps(existing, since.uidnext)
        return Scan(self._request.mailbox, state, entries, since, vanished)

    def _again(self) -> None:
        """Have `send` ask for everything."""
        self._full = True
        self.ask_anew()

    def _error(self, why: str) -> MailboxError:
        return MailboxError(self._account, self._path, why)


def _items(session: Session) -> bytes:
    """Write what is asked of each message."""
    own = b" EMAILID" if session.has(b"OBJECTID") else b""
    if not own and session.has(b"X-GM-EXT-1"):
        own = b" X-GM-MSGID"
    return b" (UID FLAGS INTERNALDATE RFC822.SIZE" + own + b")"


def _windows(state: SyncState | None) -> list[bytes]:
    """Split all UIDs into sets of about WINDOW messages, as far as the server told how many there
    are.
    """
    if state is None or state.messages <= WINDOW or state.uidnext < 2:
        return [b"1:*"]
    # There is at most one message a UID, whatever the server counts.
    count = min(-(-min(state.messages, state.uidnext) // WINDOW), WINDOWS)
    width = -(-state.uidnext // count)
    starts = range(1, state.uidnext, width)
    return [b"%d:%d" % (start, start + width - 1) for start in starts[:-1]] + [b"%d:*" % starts[-1]]
