"""Appending on several connections at once, for servers that make literals wait for their consent
(RFC 9051 section 4.3).

Each connection takes a few messages at a time and sends them as one alone would
(`pipelined_append.py`):
the consent to a message and the answer to the one before it come in one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from queue import LifoQueue
from typing import Final

from mailsync.errors import OverQuota, StoreUnavailable, Throttled
from mailsync.model import Parcel
from mailsync.stores.imap.append_responses import AppendOutcome, AppendPolicy
from mailsync.stores.imap.pipelined_append import Pace, append_pipelined
from mailsync.stores.imap.reconnect import ReconnectingSession

TOGETHER_MESSAGES: Final = 16
TOGETHER_OCTETS: Final = 1 << 20
"""What one connection takes at a time: enough to hide the wait at its end, little enough to hold
and to share out evenly.
"""


@dataclass(slots=True)
class _Lane:
    """A connection. `tried`: it was open once, so a failure is worth a wait."""

    link: ReconnectingSession
    pace: Pace = field(default_factory=Pace)
    tried: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of some parcels on one lane: answers, what was not sent because of `error`, which
    ended the lane.
    """

    lane: _Lane
    answers: Sequence[AppendOutcome]
    unsent: Sequence[Parcel] = ()
    error: StoreUnavailable | None = None


def append_in_parallel(
    first: ReconnectingSession,
    open_link: Callable[[], ReconnectingSession],
    policy: AppendPolicy,
    parcels: Iterable[Parcel],
    *,
    connections: int,
    note: Callable[[str], None],
) -> Iterator[AppendOutcome]:
    """Append; see `Destination.append`.

    `first` stays open, up to `connections` - 1 others are opened while all are busy.

    A server that allows fewer connections, from the start or later, gets fewer, which `note` tells;
    only the last one's end, a full server or a wait nobody would sit out stop the push.
    """
    lanes = _Lanes(first, open_link, policy, connections, note)
    try:
        for some in _shares(parcels):
            lanes.send(some)
            yield from lanes.answered(all_of_them=False)
            if lanes.stopped is not None:
                break
        yield from lanes.answered(all_of_them=True)
    finally:
        lanes.close()
    if lanes.stopped is not None:
        raise lanes.stopped


def _shares(parcels: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    """Split parcels, in order; draws none ahead."""
    some: list[Parcel] = []
    octets = 0
    for parcel in parcels:
        some.append(parcel)
        octets += len(parcel.content)
        if len(some) >= TOGETHER_MESSAGES or octets >= TOGETHER_OCTETS:
            yield some
            some, octets = [], 0
    if some:
        yield some


class _Lanes:
    """Threads, each with a connection of its own while it appends."""

    def __init__(
        self,
        first: ReconnectingSession,
        open_link: Callable[[], ReconnectingSession],
        policy: AppendPolicy,
        connections: int,
        note: Callable[[str], None],
    ) -> None:
        self._open_link = open_link
        self._policy = policy
        self._wanted = self._allowed = connections
        self._note = note
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="mailsync-append")
        self._lanes = [_Lane(first, tried=True)]
        self._opened: list[ReconnectingSession] = []
        self._idle: LifoQueue[_Lane] = LifoQueue()
        self._idle.put(self._lanes[0])
        self._flying: set[Future[_Outcome]] = set()
        self._leaving = False
        self.stopped: StoreUnavailable | None = None

    def send(self, parcels: Sequence[Parcel]) -> None:
        """Start appending; on one more connection while the others are busy and more are
        allowed.
        """
        if len(self._lanes) < self._allowed and len(self._flying) >= len(self._lanes):
            lane = _Lane(self._open_link())
            self._opened.append(lane.link)
            self._lanes.append(lane)
            self._idle.put(lane)
        self._start(parcels)

    def answered(self, *, all_of_them: bool) -> Iterator[AppendOutcome]:
        """Yield answers, waiting for some when every connection is busy, or for all."""
        while self._flying and (all_of_them or len(self._flying) >= self._allowed):
            done, self._flying = wait(self._flying, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                yield from outcome.answers
                if outcome.error is not None:
                    self._ended(outcome.lane, outcome.error)
                if outcome.unsent and self.stopped is None:
                    self._start(outcome.unsent)

    def close(self) -> None:
        """Let go of the threads and of the connections that were opened here."""
        self._leaving = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        for link in self._opened:
            link.close()

    def _start(self, parcels: Sequence[Parcel]) -> None:
        self._flying.add(self._pool.submit(self._append, parcels))

    def _ended(self, lane: _Lane, error: StoreUnavailable) -> None:
        """Go on without a lane, or stop when it was the last or when the server has had enough of
        all of them.
        """
        if len(self._lanes) > 1 and not isinstance(error, OverQuota | Throttled):
            self._lanes.remove(lane)
            self._allowed = len(self._lanes)
            self._note(
                f"{self._policy.account}: going on with {self._allowed} of {self._wanted}"
                f" connections: {error}"
            )
            return
        self.stopped = self.stopped or error
        self._leaving = True
        self._idle.put(lane)  # whoever waits for a lane must hear of it

    def _append(self, parcels: Sequence[Parcel]) -> _Outcome:
        lane = self._idle.get()
        answers: list[AppendOutcome] = []
        if self._leaving:
            self._idle.put(lane)  # for the next one who waits
            return _Outcome(lane, answers, parcels)
        try:
            if not lane.tried:
                lane.link.connect()
                lane.tried = True
            for answer in append_pipelined(
                lane.link, self._policy, self._until_leaving(parcels), lane.pace
            ):
                answers.append(answer)  # noqa: PERF402  extend() would lose what came before an error
        except StoreUnavailable as error:
            answered = {id(answer.parcel) for answer in answers}
            return _Outcome(
                lane, answers, [parcel for parcel in parcels if id(parcel) not in answered], error
            )
        self._idle.put(lane)
        return _Outcome(lane, answers)

    def _until_leaving(self, parcels: Sequence[Parcel]) -> Iterator[Parcel]:
        for parcel in parcels:
            if self._leaving:
                return
            yield parcel
