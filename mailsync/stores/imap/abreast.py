"""Appending one letter at a time on each of several connections, for servers that make every literal wait (RFC 9051 section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import LifoQueue
from typing import TypeAlias

from mailsync.errors import StoreUnavailable, Throttled
from mailsync.model import Parcel, Refused, Unanswered
from mailsync.stores.imap.appending import Send, append_parts
from mailsync.stores.imap.link import Link
from mailsync.stores.imap.verdicts import Answer, Verdicts, appended


@dataclass(frozen=True, slots=True)
class _Handed:
    """A parcel that found no connection: its own could not be opened."""

    parcel: Parcel
    link: Link
    why: StoreUnavailable


_Outcome: TypeAlias = "tuple[Answer | None, StoreUnavailable | None] | _Handed"


def abreast(
    first: Link,
    open_link: Callable[[], Link],
    verdicts: Verdicts,
    parcels: Iterable[Parcel],
    *,
    connections: int,
    note: Callable[[str], None],
) -> Iterator[Answer]:
    """Append; see `Destination.append`. `first` stays open, up to `connections` - 1 others are opened while all are busy.

    A server that allows fewer connections gets fewer, which `note` tells.
    """
    lanes = _Lanes(first, open_link, verdicts, connections, note)
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


class _Lanes:
    """Threads, each with a connection of its own while it appends."""

    def __init__(
        self, first: Link, open_link: Callable[[], Link], verdicts: Verdicts, connections: int, note: Callable[[str], None]
    ) -> None:
        self._open_link = open_link
        self._verdicts = verdicts
        self._wanted = self._connections = connections
        self._note = note
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="mailsync-append")
        self._idle: LifoQueue[Link] = LifoQueue()
        self._idle.put(first)
        self._more: list[Link] = []
        self._flying: set[Future[_Outcome]] = set()
        self.stopped: StoreUnavailable | None = None

    def send(self, parcel: Parcel) -> None:
        """Start appending; on one more connection while the others are busy and more are allowed."""
        if len(self._more) + 1 < self._connections and len(self._flying) > len(self._more):
            self._more.append(self._open_link())
            self._idle.put(self._more[-1])
        self._start(parcel)

    def answered(self, *, all_of_them: bool) -> Iterator[Answer]:
        """Give answers, waiting for one when every connection is busy, or for all."""
        while self._flying and (all_of_them or len(self._flying) >= self._connections):
            done, self._flying = wait(self._flying, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                if isinstance(outcome, _Handed):
                    self._go_on_with_fewer(outcome)
                    continue
                answer, error = outcome
                self.stopped = self.stopped or error
                if answer is not None:
                    yield answer

    def close(self) -> None:
        """Let go of the threads and of the connections that were opened here."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for link in self._more:
            link.close()

    def _start(self, parcel: Parcel) -> None:
        self._flying.add(self._pool.submit(self._append, parcel))

    def _go_on_with_fewer(self, handed: _Handed) -> None:
        self._more.remove(handed.link)
        self._connections = min(self._connections, len(self._more) + 1)
        self._note(f"{self._verdicts.account}: going on with {self._connections} of {self._wanted} connections: {handed.why}")
        self._start(handed.parcel)

    def _append(self, parcel: Parcel) -> _Outcome:
        link = self._idle.get()
        try:
            link.connect()
        except StoreUnavailable as error:
            if link in self._more:
                return _Handed(parcel, link, error)
        try:
            return _single(link, self._verdicts, parcel)
        finally:
            self._idle.put(link)


def _single(link: Link, verdicts: Verdicts, parcel: Parcel) -> tuple[Answer | None, StoreUnavailable | None]:
    """Append one letter and wait for the answer, in as many forms as it takes; gives also what stops the account."""
    form = verdicts.first(parcel)
    while isinstance(form, Send):
        try:
            session = link.session
            name = session.mailbox(session.names.written(parcel.mailbox))
        except StoreUnavailable as error:
            return None, error
        try:
            result = session.wire.wait(session.wire.send_parts(append_parts(name, [form], session.instant)))
        except StoreUnavailable as error:
            return Unanswered(parcel), _again(link, error)
        stop = verdicts.stop(result)
        if result.ok:
            link.progressed()
            return appended([form], result)[0], None
        if stop is None:
            closed = verdicts.closed(parcel.mailbox, result)
            form = Refused(parcel, closed) if closed is not None else verdicts.another(form, result)
        elif not stop.retryable or (stop := _rest(link, stop)) is not None:
            return Refused(parcel, str(stop)), stop
    return form, None


def _again(link: Link, error: StoreUnavailable) -> StoreUnavailable | None:
    """Connect again; gives what made that impossible."""
    try:
        link.again(error)
    except StoreUnavailable as final:
        return final
    return None


def _rest(link: Link, busy: StoreUnavailable) -> StoreUnavailable | None:
    """Wait as the server asks; gives what made that useless."""
    if not isinstance(busy, Throttled):
        return _again(link, busy)
    try:
        link.pause(busy)
    except StoreUnavailable as final:
        return final
    return None
