"""Scans: what is in each mailbox, several mailboxes in flight, only what changed where the server
can tell (RFC 7162).

A look sends EXAMINE and everything it needs right behind it, without waiting for what EXAMINE says;
where that turns out to have been too hopeful (UIDVALIDITY changed, no mod-sequences kept), the
mailbox is asked once more, in full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from mailsync.errors import MailboxError, MailboxMissing, ProtocolViolation, StoreUnavailable
from mailsync.model import INBOX, NO_FLAGS, Entry, Scan, ScanRequest, SyncState, UidRef
from mailsync.stores.imap.command_queue import Answer, Command, Result, Wire
from mailsync.stores.imap.fetch_response import Line, line_of, ranges_of
from mailsync.stores.imap.reconnect import Examined, Link
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
    link: Link, account: str, requests: Iterable[ScanRequest]
) -> Iterator[Scan | MailboxError]:
    """Look at each mailbox in turn; see `Source.scan`."""
    remaining = iter(requests)
    looks: deque[_Look] = deque()
    more = True
    while True:
        while more and _room(looks):
            request = next(remaining, None)
            if request is None:
                more = False
            else:
                looks.append(_Look(request, account))
        if not looks:
            return
        try:
            for look in looks:
                look.send(link)
            result = looks[0].finish(link)
        except StoreUnavailable as error:
            looks[0].forget()
            link.again(error)
            continue
        if result is not None:
            link.progressed()
            looks.popleft()
            yield result


def _room(looks: deque[_Look]) -> bool:
    return not looks or (
        len(looks) < AHEAD_MAILBOXES and sum(look.expected for look in looks) < AHEAD_MESSAGES
    )


class _Listing:
    """What the answers to one look say, gathered as they arrive."""

    def __init__(self) -> None:
        self.lines: dict[int, Line] = {}
        self.vanished: list[range] = []
        self.expunged = 0
        self.exists = 0

    def take(self, answer: Answer, account: str) -> None:
        """Take in one answer of any kind. Raises ProtocolViolation for one that cannot be read."""
        line = line_of(answer, account)
        if line is None:
            self._aside(answer)
        elif line.uid is not None:
            known = self.lines.get(line.uid)
            if known is not None:
                self.lines[line.uid] = _merged(known, line)
            elif line.size is not None or line.internaldate is not None:
                self.lines[line.uid] = line
            # Else an unasked change of flags: its mod-sequence is above the state's, so the next
            # scan names it.

    def entries(self, path: tuple[str, ...], state: SyncState) -> tuple[Entry, ...]:
        """Make entries, by UID, and let go of the lines.

        What arrived after EXAMINE is left to the next scan: so all numbers agree.
        """
        late = self.exists > state.messages and state.uidnext
        uids = (
            sorted(uid for uid in self.lines if uid < state.uidnext) if late else sorted(self.lines)
        )
        if late and len(uids) < state.messages - self.expunged:
            uids = sorted(self.lines)  # UIDNEXT is not to be relied on here
        validity = state.uidvalidity
        return tuple(
            Entry(
                UidRef(path, validity, uid),
                line.size,
                line.flags or NO_FLAGS,
                line.internaldate,
                line.object_id,
            )
            for uid, line in ((uid, self.lines.pop(uid)) for uid in uids)
        )

    def _aside(self, answer: Answer) -> None:
        word = answer.word
        if word == b"VANISHED":
            earlier = b"(EARLIER)" in answer.line.upper()
            found = ranges_of(answer.line.rsplit(b" ", 1)[-1])
            if earlier:
                self.vanished += found
            else:
                self.expunged += sum(map(len, found))
        elif word == b"EXPUNGE":
            self.expunged += 1
        elif word == b"EXISTS":
            self.exists = max(self.exists, answer.number or 0)


class _Look:
    """One mailbox being looked at."""

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

    def send(self, link: Link) -> None:
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
            vanished = b" VANISHED)" if b"QRESYNC" in session.enabled else b")"
            changed = b" (CHANGEDSINCE %d" % (since.highestmodseq or 0)
            self._commands = [session.wire.send(b"UID FETCH 1:*" + items + changed + vanished)]
        else:
            self._commands = [
                session.wire.send(b"UID FETCH " + window + items)
                for window in _windows(self._request.mailbox.state)
            ]

    def forget(self) -> None:
        """Take nothing that was received for granted: ask for all of it again."""
        self._examined = None
        self._commands = []

    def finish(self, link: Link) -> Scan | MailboxError | None:
        """Read the answers; None when the mailbox has to be asked again, which `send` will do."""
        session = link.session
        examined = self._examined
        assert examined is not None  # noqa: S101  # `send` came before
        try:
            result = examined.settle()
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
        if not self._full and not _continues(self._request.since, state):
            self._again()
            return None
        listing = _Listing()
        refusal = self._read(session.wire, listing)
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
        return self._complete(state, listing) if self._full else self._changes(link, state, listing)

    def _unopened(self, result: Result) -> MailboxError:
        if result.status == b"NO" and is_missing(result.said) and self._path != INBOX:
            return MailboxMissing(
                self._account, self._path, f"is in the server's list but not there: {result.text}"
            )
        return self._error(f"cannot be opened: {result.text}")

    def _since(self, session: Session) -> SyncState | None:
        """Tell the state to ask changes from, None to ask for everything."""
        since, told = self._request.since, self._request.mailbox.state
        if self._full or since is None or not since.highestmodseq:
            return None
        if not (session.has(b"CONDSTORE") or session.has(b"QRESYNC")):
            return None
        return since if told is None or _continues(since, told) else None

    def _read(self, wire: Wire, listing: _Listing) -> Result | MailboxError | None:
        """Read all answers; a refusal, or an answer no one can read, instead of None."""
        refusal = None
        unreadable: ProtocolViolation | None = None
        for command in self._commands:
            for answer in wire.answers(command):
                try:
                    listing.take(answer, self._account)
                except ProtocolViolation as error:
                    unreadable = error
            if command.result is not None and not command.result.ok:
                refusal = command.result
        return self._error(str(unreadable)) if unreadable is not None else refusal

    def _complete(self, state: SyncState, listing: _Listing) -> Scan | MailboxError | None:
        """Make a full scan, unless fewer messages came than the server says there are."""
        entries = listing.entries(self._path, state)
        if len(entries) < state.messages - listing.expunged:
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
        self, link: Link, state: SyncState, listing: _Listing
    ) -> Scan | MailboxError | None:
        since = self._request.since
        assert since is not None  # noqa: S101  # only then are changes asked for
        entries = listing.entries(self._path, state)
        vanished = tuple(listing.vanished)
        if b"QRESYNC" not in link.session.enabled:
            new = sum(
                entry.ref.uid >= since.uidnext for entry in entries if isinstance(entry.ref, UidRef)
            )
            if state.messages - new != since.messages:
                there = self._uids(link, state)
                if there is None:
                    self._again()
                    return None
                vanished = _gaps(there, since.uidnext)
        return Scan(self._request.mailbox, state, entries, since, vanished)

    def _uids(self, link: Link, state: SyncState) -> list[range] | None:
        """Ask which UIDs there are, without QRESYNC the only way to learn which are not; None when
        that cannot be told.
        """
        session = link.session
        examined = link.examine(self._path, fresh=True)
        short = session.has(b"ESEARCH")
        command = session.wire.send(b"UID SEARCH RETURN (ALL) ALL" if short else b"UID SEARCH ALL")
        if (
            not examined.settle().ok
            or examined.state.uidvalidity != state.uidvalidity
            or not session.wire.wait(command).ok
        ):
            return None
        found: list[range] = []
        for answer in command.answers:
            if answer.word == b"ESEARCH":
                _, _, tail = answer.line.upper().partition(b" ALL ")
                found += ranges_of(tail.split(b" ", 1)[0])
            elif answer.word == b"SEARCH":
                found += ranges_of(
                    answer.line[len(b"SEARCH") :].partition(b"(")[0].strip().replace(b" ", b",")
                )
        # Fewer than there are would make the others look vanished.
        return found if sum(map(len, found)) >= examined.state.messages else None

    def _again(self) -> None:
        """Have `send` ask for everything."""
        self._full = True
        self.forget()

    def _error(self, why: str) -> MailboxError:
        return MailboxError(self._account, self._path, why)


def _continues(since: SyncState | None, now: SyncState) -> bool:
    """Whether changes since then can be asked for: same UIDs, mod-sequences kept, and nothing set
    back by a restored backup.
    """
    return (
        since is not None
        and since.uidvalidity == now.uidvalidity
        and (since.highestmodseq or 0) <= (now.highestmodseq or -1)
        and not 0 < now.uidnext < since.uidnext
    )


def _merged(known: Line, line: Line) -> Line:
    """Put two answers about one message together; servers may split what they tell, or tell of a
    change in between.
    """
    return Line(
        known.uid,
        known.flags if line.flags is None else line.flags,
        known.size if line.size is None else line.size,
        known.internaldate if line.internaldate is None else line.internaldate,
        known.object_id if line.object_id is None else line.object_id,
    )


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


def _gaps(there: list[range], end: int) -> tuple[range, ...]:
    """Name the UIDs below `end` that are not there."""
    gaps = []
    expected = 1
    for span in sorted(there, key=lambda span: span.start):
        if span.start > expected:
            gaps.append(range(expected, min(span.start, end)))
        expected = max(expected, span.stop)
        if expected >= end:
            break
    if expected < end:
        gaps.append(range(expected, end))
    return tuple(gap for gap in gaps if gap)
