"""Ways to append: pipelined on one connection, or one letter at a time on several. Both give one result a letter, in any order.

A lane owns its connection: a failure makes what was in flight `Unanswered`, and the rest goes on after a new login.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import chain
from queue import LifoQueue
from typing import Final, TypeAlias

from mailsync.errors import OverQuota, StoreUnavailable
from mailsync.model import Appended, MailboxPath, Parcel, Refused, Unanswered
from mailsync.stores.imap.appending import Send, append_parts, append_uids, batches, verbatim
from mailsync.stores.imap.link import Link
from mailsync.stores.imap.repair import repaired
from mailsync.stores.imap.session import trouble
from mailsync.stores.imap.wire import Command, Result

WINDOW_OCTETS: Final = 12 << 20
WINDOW_COMMANDS: Final = 256
"""How much may be sent without an answer: enough for a long line, little enough to look for after a failure."""

_SIZE_WORDS: Final = re.compile(r"(mail|message|letter) (size|is) .{0,30}(larger|too large|too big)|too large|too big", re.IGNORECASE)
"""Dovecot says [LIMIT], which else means the whole account, of one letter that is too large."""

_QUOTA_WORDS: Final = ("quota", "mailbox is full", "over limit", "no space")

Answer: TypeAlias = Appended | Refused | Unanswered
Permanent: TypeAlias = Callable[[MailboxPath], "frozenset[str] | None"]


class Verdicts:
    """What a server's answer to an APPEND means, for one destination."""

    def __init__(self, account: str, *, repair: bool, limit: int | None, permanent: Permanent) -> None:
        self.account = account
        self.limit = limit
        self.permanent = permanent
        self._repair = repair

    def first(self, parcel: Parcel) -> Send | Refused:
        """Give the form in which a parcel is tried first, or refuse at once what is announced to be too big."""
        if self.limit is not None and len(parcel.content) > self.limit:
            return Refused(parcel, f"the server takes letters of at most {self.limit:,} octets; this one has {len(parcel.content):,}")
        return verbatim(parcel, self.permanent(parcel.mailbox))

    def stop(self, result: Result) -> StoreUnavailable | None:
        """Tell whether a refusal means that the account must wait or stop."""
        if result.ok or result.code in {b"TOOBIG", b"APPENDLIMIT"} or _SIZE_WORDS.search(result.text):
            return None
        if any(word in result.text.lower() for word in _QUOTA_WORDS):
            return OverQuota(self.account, f"the server is full: {result.text}")
        return trouble(self.account, result, "appending letters")

    def another(self, send: Send, result: Result) -> Send | Refused:
        """After a refusal of one letter alone: give the next form to try, or the refusal, in the server's first words."""
        refusal = send.refusal or result.text or "no reason given"
        words = f"the server refused it: {refusal}"
        if result.code in {b"TOOBIG", b"APPENDLIMIT", b"TRYCREATE", b"NONEXISTENT", b"NOPERM", b"CANNOT"}:
            return Refused(send.parcel, words)
        if not send.refusal and any(not flag.startswith("\\") for flag in send.flags):
            flags = frozenset(flag for flag in send.flags if flag.startswith("\\"))
            return replace(send, flags=flags, refusal=refusal)
        if self._repair and not send.repaired:
            mended = repaired(send.parcel.content)
            if mended is not None:
                return replace(send, content=mended[0], repaired=f"{mended[1]} (the server had said: {refusal})", refusal=refusal)
        return Refused(send.parcel, words)


def pipelined(link: Link, verdicts: Verdicts, parcels: Iterable[Parcel]) -> Iterator[Answer]:
    """Append with commands in flight, letters together in one where MULTIAPPEND is offered."""
    lane = _Pipeline(link, verdicts)
    again: deque[Send] = lane.again

    def sends() -> Iterator[Send]:
        for parcel in parcels:
            while again:
                yield again.popleft()
            first = verdicts.first(parcel)
            if isinstance(first, Refused):
                lane.done.append(first)
            else:
                yield first

    groups: Iterable[list[Send]] = batches(sends(), together=link.session.has(b"MULTIAPPEND"))
    while True:
        for group in groups:
            yield from lane.send(group)
        yield from lane.drain()
        if lane.stopped is not None:
            raise lane.stopped
        if not again and not lane.split:
            return
        # What was refused together goes on in halves until the offender stands alone.
        halves, lane.split = lane.split, []
        alone = [[send] for send in again]
        again.clear()
        groups = chain(halves, alone)


class _Pipeline:
    """Commands in flight on one connection."""

    def __init__(self, link: Link, verdicts: Verdicts) -> None:
        self._link = link
        self._verdicts = verdicts
        self._flying: deque[tuple[Command, list[Send]]] = deque()
        self._octets = 0
        self.done: list[Answer] = []
        self.again: deque[Send] = deque()
        self.split: list[list[Send]] = []
        self.stopped: StoreUnavailable | None = None

    def send(self, group: list[Send]) -> Iterator[Answer]:
        """Send a group, after making room for it; give what has been answered meanwhile."""
        octets = sum(len(send.content) for send in group)
        while self._flying and (self._octets + octets > WINDOW_OCTETS or len(self._flying) >= WINDOW_COMMANDS):
            yield from self._oldest()
        if self.stopped is not None:
            yield from self.drain()
            raise self.stopped
        session = self._link.session
        name = session.mailbox(session.names.written(group[0].parcel.mailbox))
        try:
            command = session.wire.send_parts(append_parts(name, group, session.instant))
        except StoreUnavailable as error:
            self.done += [Unanswered(send.parcel) for send in group]
            yield from self._lost(error)
            return
        self._flying.append((command, group))
        self._octets += octets
        try:
            session.wire.pump()
        except StoreUnavailable as error:
            yield from self._lost(error)
        while self._flying and self._flying[0][0].done:
            yield from self._oldest()
        yield from self._take()

    def drain(self) -> Iterator[Answer]:
        """Wait for every answer."""
        while self._flying:
            yield from self._oldest()
        yield from self._take()

    def _take(self) -> Iterator[Answer]:
        done, self.done = self.done, []
        yield from done

    def _oldest(self) -> Iterator[Answer]:
        command, group = self._flying[0]
        try:
            result = self._link.session.wire.wait(command)
        except StoreUnavailable as error:
            yield from self._lost(error)
            return
        self._flying.popleft()
        self._octets -= sum(len(send.content) for send in group)
        self._judge(group, result)
        yield from self._take()

    def _judge(self, group: list[Send], result: Result) -> None:
        if result.ok:
            self._link.progressed()
            self.done += appended(group, result)
            return
        stop = self._verdicts.stop(result)
        if isinstance(stop, OverQuota) and len(group) > 1:
            # A smaller letter may still fit; alone it is told from the others.
            self.split += [[send] for send in group]
        elif stop is not None and not stop.retryable:
            self.stopped = stop
            self.done += [Refused(send.parcel, str(stop)) for send in group]
        elif stop is not None:
            self._link.pause(stop)
            self.split.append(group)
        elif len(group) > 1:
            middle = len(group) // 2
            self.split += [group[:middle], group[middle:]]
        else:
            following = self._verdicts.another(group[0], result)
            if isinstance(following, Refused):
                self.done.append(following)
            else:
                self.again.append(following)

    def _lost(self, error: StoreUnavailable) -> Iterator[Answer]:
        """Give up what is in flight and log in again; what the server may have taken is found by looking."""
        finished = [(group, command.result) for command, group in self._flying if command.result is not None]
        lost = [group for command, group in self._flying if command.result is None]
        self._flying.clear()
        self._octets = 0
        for group, result in finished:
            self._judge(group, result)
        self.done += [Unanswered(send.parcel) for group in lost for send in group]
        yield from self._take()
        self._link.again(error)


class _Abreast:
    """Appends in threads, each with a connection of its own while it appends."""

    def __init__(self, open_link: Callable[[], Link], verdicts: Verdicts, connections: int) -> None:
        self._open_link = open_link
        self._verdicts = verdicts
        self._connections = connections
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="mailsync-append")
        self._idle: LifoQueue[Link] = LifoQueue()
        self._opened: list[Link] = []
        self._flying: set[Future[Answer | StoreUnavailable]] = set()
        self.stopped: StoreUnavailable | None = None

    def send(self, parcel: Parcel) -> None:
        """Start appending; on one more connection while the others are busy and more are allowed."""
        if len(self._flying) >= len(self._opened) < self._connections:
            self._opened.append(self._open_link())
            self._idle.put(self._opened[-1])
        self._flying.add(self._pool.submit(self._append, parcel))

    def answered(self, *, all_of_them: bool) -> Iterator[Answer]:
        """Give answers, waiting for one when every connection is busy, or for all."""
        while self._flying and (all_of_them or len(self._flying) >= self._connections):
            done, self._flying = wait(self._flying, return_when=FIRST_COMPLETED)
            for future in done:
                got = future.result()
                if isinstance(got, StoreUnavailable):
                    self.stopped = self.stopped or got
                else:
                    yield got

    def close(self) -> None:
        """Let go of the threads and of the connections that were opened here; the first one is the destination's own."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for link in self._opened[1:]:
            link.close()

    def _append(self, parcel: Parcel) -> Answer | StoreUnavailable:
        link = self._idle.get()
        try:
            return _single(link, self._verdicts, parcel)
        except StoreUnavailable as error:
            return error
        finally:
            self._idle.put(link)


def abreast(open_link: Callable[[], Link], verdicts: Verdicts, parcels: Iterable[Parcel], connections: int) -> Iterator[Answer]:
    """Append one letter at a time on each of several connections, for servers that make every literal wait."""
    lanes = _Abreast(open_link, verdicts, connections)
    try:
        for parcel in parcels:
            lanes.send(parcel)
            yield from lanes.answered(all_of_them=False)
            if lanes.stopped is not None:
                break
        yield from lanes.answered(all_of_them=True)
    finally:
        lanes.close()
    if lanes.stopped is not None:
        raise lanes.stopped


def _single(link: Link, verdicts: Verdicts, parcel: Parcel) -> Answer:
    """Append one letter and wait for the answer, in as many forms as it takes. Raises what stops the account."""
    form = verdicts.first(parcel)
    while isinstance(form, Send):
        session = link.session
        try:
            name = session.mailbox(session.names.written(parcel.mailbox))
            command = session.wire.send_parts(append_parts(name, [form], session.instant))
            result = session.wire.wait(command)
        except StoreUnavailable as error:
            link.again(error)
            return Unanswered(parcel)
        if result.ok:
            link.progressed()
            return appended([form], result)[0]
        stop = verdicts.stop(result)
        if stop is None:
            form = verdicts.another(form, result)
        elif stop.retryable:
            link.pause(stop)
        else:
            raise stop
    return form


def appended(group: list[Send], result: Result) -> list[Answer]:
    """Read the good answer to one command."""
    validity, uids = append_uids(result, len(group))
    return [Appended(send.parcel, validity, uid, send.flags, send.repaired) for send, uid in zip(group, uids, strict=True)]
