"""A POP3 account as a source of messages: listing, fetching ahead, and going on after a connection
broke.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal

from mailsync.errors import (
    ConnectionLost,
    MailboxError,
    ProtocolViolation,
    ServerBusy,
    StoreUnavailable,
)
from mailsync.formats import header
from mailsync.model import (
    INBOX,
    NO_FLAGS,
    Entry,
    Excerpt,
    Mailbox,
    Message,
    Scan,
    ScanRequest,
    SyncState,
    UidlRef,
    Unfetched,
)
from mailsync.progress import Progress, Silence
from mailsync.stores.credentials import Credentials
from mailsync.stores.pop3.session import Manner, Pop3Session, is_busy
from mailsync.stores.transport import Endpoint

WINDOW_OCTETS: Final = 32 << 20
WINDOW_COMMANDS: Final = 2048
"""Messages asked for ahead: in octets what a fast line holds in a round trip, in commands about 24
KB, which any socket buffer takes.

They lie in the network, not in memory: a message is read when it is given.
"""

RETRIES: Final = 4
FIRST_WAIT: Final = 1.0

_SEEN: Final = frozenset({"\\Seen"})

Mark = Literal["seen", "unseen"] | float
"""How messages are marked, since POP3 knows no flags; a number: seen when older than so many
seconds.
"""


class Pop3Source:
    """A POP3 account with its one mailbox INBOX; connects when first asked for something, and again
    when the connection breaks.

    `retries` is how often in a row that is tried; `sleep` takes the seconds between, `jitter` gives
    0 … 1. With `pipelining` off no second command is ever sent before the answer to the first.
    """

    def __init__(
        self,
        account: str,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        pipelining: Literal["auto", "off"] = "auto",
        mark: Mark = "seen",
        progress: Progress | None = None,
        retries: int = RETRIES,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.account = account
        self._endpoint = endpoint
        self._credentials = credentials
        self._mark = mark
        self._progress = progress or Silence()
        self._retries = retries
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._failures = 0
        self._manner = Manner(one_at_a_time=pipelining == "off")
        self._session: Pop3Session | None = None
        self._listed: Pop3Session | None = None
        self._listing: dict[int, Entry] = {}
        self._numbers: dict[bytes, int] = {}
        self._shown: Pop3Session | None = None
        self._moved = False

    def capabilities(self) -> Sequence[str]:
        """Return what the server announced after login."""
        return sorted(f"{name} {rest}".strip() for name, rest in self._ready().capabilities.items())

    def mailboxes(self) -> Sequence[Mailbox]:
        """Log in, and give the one mailbox there is."""
        self._open()
        return [Mailbox(INBOX, subscribed=True)]

    def scan(self, requests: Iterable[ScanRequest]) -> Iterator[Scan | MailboxError]:
        """List the inbox; always in full, and once a session, in which it cannot change (RFC 1939
        section 3).
        """
        for request in requests:
            self._ready()
            entries = tuple(self._listing.values())
            yield Scan(request.mailbox, SyncState(0, 0, len(entries)), entries)

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        """Bring messages, several asked for ahead where the server pipelines."""
        for entry, got in self._bring(wanted, b"RETR %d"):
            yield got if isinstance(got, Unfetched) else self._message(entry, got)

    def headers(self, wanted: Iterable[Entry]) -> Iterator[Excerpt]:
        """Bring header blocks by TOP, an optional command: nothing comes from a server without
        it.
        """
        capabilities = self._ready().capabilities
        if capabilities and "TOP" not in capabilities:
            return
        for entry, got in self._bring(wanted, b"TOP %d 0"):
            if not isinstance(got, Unfetched):
                yield Excerpt(entry, header.block(got))

    def delete(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Delete messages by DELE and end the session by QUIT; returns those that are really gone
        (RFC 1939 section 6).

        Nothing is deleted unless this very session has just shown these messages' headers or
        contents, and nothing is gone unless the server answers QUIT well: after any failure it
        keeps everything, or the next listing tells what it kept.
        """
        session = self._session
        if (
            session is None
            or session is not self._shown
            or session is not self._listed
            or session.owed
            or not entries
        ):
            return []
        marked: list[Entry] = []
        try:
            known = [
                (entry, number) for entry in entries if (number := self._number(entry)) is not None
            ]
            together = WINDOW_COMMANDS if session.pipelines else 1
            for start in range(0, len(known), together):
                burst = known[start : start + together]
                session.send(*(b"DELE %d" % number for _, number in burst))
                marked += [entry for entry, _ in burst if session.reply()[0]]
            session.send(b"QUIT")
            confirmed, _ = session.reply()
        except StoreUnavailable:
            confirmed = False
        self._session = None
        session.wire.close()
        return marked if confirmed else []

    def close(self) -> None:
        """Say QUIT without waiting for the answer; nothing depends on it."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.send(b"QUIT")
            except StoreUnavailable:
                pass
            finally:
                session.wire.close()

    def _open(self) -> Pop3Session:
        while self._session is None:
            try:
                self._session = Pop3Session(
                    self.account, self._endpoint, self._credentials, self._manner
                )
            except (ServerBusy, ConnectionLost) as error:
                self._after(error)
        return self._session

    def _ready(self) -> Pop3Session:
        """Return a session whose listing is known."""
        while True:
            session = self._open()
            if self._listed is session:
                return session
            try:
                self._list(session)
            except StoreUnavailable as error:
                session.broke()
                self._after(error)

    def _drop(self) -> None:
        if self._session is not None:
            self._session.wire.abandon()
            self._session = None

    def _after(self, error: StoreUnavailable) -> None:
        """Wait before the next attempt, longer each time; give up when the retries are used up or
        it is of no use.
        """
        self._drop()
        self._failures += 1
        if not error.retryable or self._failures > self._retries:
            raise error
        wait = FIRST_WAIT * 2 ** (self._failures - 1) * (0.75 + self._jitter() / 2)
        self._progress.note(f"{self.account}: {error}; trying again in {wait:.0f} s")
        self._sleep(wait)

    def _list(self, session: Pop3Session) -> None:
        """Ask for UIDL and LIST, in one flight where the server pipelines; first, or with them,
        what it can do now.
        """
        together = session.pipelines
        if together:
            session.send(b"CAPA", b"UIDL", b"LIST")
        elif session.capabilities:
            session.send(b"CAPA")
        if session.capabilities:
            session.learn()
        if not together:
            together = session.pipelines
            session.send(*((b"UIDL", b"LIST") if together else (b"UIDL",)))
        uidls = self._table(session, required=False)
        if not together:
            session.send(b"LIST")
        sizes = self._table(session, required=True)
        times: dict[bytes, int] = {}
        for uidl in uidls.values():
            times[uidl] = times.get(uidl, 0) + 1
        unique = {number: uidl for number, uidl in uidls.items() if uidl and times[uidl] == 1}
        flags = _SEEN if self._mark == "seen" else NO_FLAGS
        before = [entry.size for entry in self._listing.values()]
        # A message that only one of the two answers names is a message all the same.
        self._listing = {
            number: Entry(UidlRef(unique.get(number), number), _size(sizes.get(number, b"")), flags)
            for number in sorted(sizes.keys() | uidls.keys())
        }
        self._numbers = {unique[number]: number for number in self._listing if number in unique}
        # New messages come at the end; anything else makes the old numbers worthless.
        self._moved = (
            self._moved or before != [entry.size for entry in self._listing.values()][: len(before)]
        )
        self._listed = session

    def _table(self, session: Pop3Session, *, required: bool) -> dict[int, bytes]:
        """Read a listing: message number to the rest of its line."""
        ok, words = session.reply()
        if not ok:
            if required or is_busy(words):
                raise session.refusal(words, "listing the mailbox")
            return {}
        parts = (line.split(None, 1) for line in session.lines())
        return {
            int(part[0]): b"".join(part[1:]).strip()
            for part in parts
            if part and part[0].isdigit() and len(part[0]) < 12
        }

    def _bring(
        self, wanted: Iterable[Entry], command: bytes
    ) -> Iterator[tuple[Entry, bytes | Unfetched]]:
        """Ask for each entry and give what came."""
        flight = Flight(wanted)
        session = self._shown = self._alone()
        try:
            while True:
                ahead, lost = flight.ahead(WINDOW_COMMANDS if session.pipelines else 1, self._lost)
                for unfetched in lost:
                    yield unfetched.entry, unfetched
                if session is not self._session:
                    # Whoever makes or takes the entries used the account meanwhile, and our answers
                    # went with the connection.
                    flight.back(ahead)
                    session = self._alone()
                    continue
                if not (ahead or flight.flying):
                    if lost:
                        continue
                    return
                try:
                    got = self._ask(session, flight, ahead, command)
                except StoreUnavailable as error:
                    flight.back()
                    session = self._again(session, error)
                    continue
                yield flight.landed(), got
        finally:
            if flight.flying and session is self._session:
                self._drop()

    def _ask(
        self, session: Pop3Session, flight: Flight, ahead: Sequence[Entry], command: bytes
    ) -> bytes | Unfetched:
        """Send the commands for `ahead`, and read the oldest answer in flight."""
        flight.begin(ahead)
        if ahead:
            session.send(
                *(
                    command % number
                    for entry in ahead
                    if (number := self._number(entry)) is not None
                )
            )
        ok, words = session.reply()
        if ok:
            content = session.content()
            self._failures = 0
            return content
        entry = flight.flying[0]
        if is_busy(words) and flight.hesitant is not entry:
            # Perhaps it means all messages, perhaps this one alone: a second refusal of the same
            # message tells.
            flight.hesitant = entry
            raise session.refusal(words, "fetching")
        return Unfetched(entry, f"the server will not give it: {words or 'no reason given'}")

    def _alone(self) -> Pop3Session:
        """Return a session that owes nobody an answer."""
        if self._session is not None and self._session.owed:
            self._drop()
        return self._ready()

    def _again(self, session: Pop3Session, error: StoreUnavailable) -> Pop3Session:
        """Log in again after a failure and learn the new message numbers."""
        if isinstance(error, ProtocolViolation) and session.pipelines and session.owed:
            # Several answers at once came out garbled: what the server announces it cannot do.
            session.manner.one_at_a_time = True
            error = ConnectionLost(self.account, str(error))
        session.broke()
        self._after(error)
        return self._ready()

    def _number(self, entry: Entry) -> int | None:
        """Find a message's number in this session; without a UIDL only while the listing is as it
        was.
        """
        if not isinstance(entry.ref, UidlRef):
            return None
        if entry.ref.uidl is not None:
            return self._numbers.get(entry.ref.uidl)
        there = self._listing.get(entry.ref.number)
        return (
            None if self._moved or there is None or there.size != entry.size else entry.ref.number
        )

    def _lost(self, entry: Entry) -> Unfetched | None:
        """Tell why an entry cannot be asked for; None when it can."""
        if self._number(entry) is not None:
            return None
        if isinstance(entry.ref, UidlRef) and entry.ref.uidl is None:
            return Unfetched(
                entry,
                "the mailbox changed while the connection was away; the next run finds this message"
                " again",
            )
        return Unfetched(entry, "it is no longer on the server", expunged=True)

    def _message(self, entry: Entry, content: bytes) -> Message:
        now = int(self._clock())
        date = header.received_or_date(content, now)
        flags = entry.flags
        if not isinstance(self._mark, str):
            flags = _SEEN if date is not None and date < now - self._mark else NO_FLAGS
        return Message(replace(entry, internaldate=date, flags=flags), content)


class Flight:
    """Which messages are asked for and not yet answered, in order, and which come next; bounded in
    commands and octets.
    """

    def __init__(self, wanted: Iterable[Entry]) -> None:
        self.flying: deque[Entry] = deque()
        self.hesitant: Entry | None = None
        self._rest = iter(wanted)
        self._again: deque[Entry] = deque()
        self._octets = 0

    def ahead(
        self, limit: int, lost: Callable[[Entry], Unfetched | None]
    ) -> tuple[list[Entry], list[Unfetched]]:
        """Take what may be asked for now, many at a time: nothing while more than half of `limit`
        is in flight.
        """
        taken: list[Entry] = []
        missing: list[Unfetched] = []
        octets = self._octets
        room = limit - len(self.flying) if len(self.flying) <= limit // 2 else 0
        while len(taken) + len(missing) < room and (
            octets < WINDOW_OCTETS or not (self.flying or taken)
        ):
            entry = self._again.popleft() if self._again else next(self._rest, None)
            if entry is None:
                break
            unfetched = lost(entry)
            if unfetched is not None:
                missing.append(unfetched)
                continue
            taken.append(entry)
            octets += entry.size or 0
        return taken, missing

    def begin(self, entries: Iterable[Entry]) -> None:
        """Count entries as asked for."""
        for entry in entries:
            self.flying.append(entry)
            self._octets += entry.size or 0

    def landed(self) -> Entry:
        """Return the entry that was answered."""
        entry = self.flying.popleft()
        self._octets -= entry.size or 0
        return entry

    def back(self, more: Sequence[Entry] = ()) -> None:
        """Take back everything in flight, and `more`: it is to be asked for again."""
        self._again.extendleft(reversed([*self.flying, *more]))
        self.flying.clear()
        self._octets = 0


def _size(words: bytes) -> int | None:
    """Read the size in a LIST line, behind which a server may say more."""
    first = words.split()[0] if words.strip() else b""
    return int(first) if first.isdigit() and len(first) < 16 else None
