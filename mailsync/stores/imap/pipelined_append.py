"""Appending with many commands in flight on one connection, messages together in one where
MULTIAPPEND is offered (RFC 3502).

A connection that breaks makes what was in flight `Unanswered`; the rest goes on after a new login.
So does a refusal behind which a mailbox holds more messages than were taken: a server may say no to
what it stored, in part or as a whole, and must be looked at before anything is said again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from mailsync.errors import OverQuota, StoreUnavailable
from mailsync.model import Parcel, Refused, Unanswered
from mailsync.stores.imap.append import Send, append_parts
from mailsync.stores.imap.append_batches import BATCH_OCTETS, Batches, split
from mailsync.stores.imap.append_counts import MailboxCounts
from mailsync.stores.imap.append_responses import AppendOutcome, AppendPolicy, appended
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.repair import looks_odd
from mailsync.stores.imap.response import Result
from mailsync.stores.retry import longer

WINDOW_OCTETS: Final = 12 << 20
WINDOW_COMMANDS: Final = 256
"""How much may be sent without an answer: enough for a long line, little enough to look for after a
failure.
"""


def append_pipelined(
    link: ReconnectingSession, policy: AppendPolicy, parcels: Iterable[Parcel], pace: Pace
) -> Iterator[AppendOutcome]:
    """Append; see `Destination.append`.

    `pace` lives longer than one call: what it learned of a server holds for the next.
    """
    yield from _Pipeline(link, policy, parcels, pace).run()


class _Pipeline:
    """Commands in flight, and what waits for being sent: parts of refused groups first, then new
    messages.
    """

    def __init__(
        self, link: ReconnectingSession, policy: AppendPolicy, parcels: Iterable[Parcel], pace: Pace
    ) -> None:
        self._link = link
        self._policy = policy
        self._pace = pace
        octets = BATCH_OCTETS if policy.limit is None else min(BATCH_OCTETS, policy.limit)
        self._batches = Batches(
            self._firsts(parcels), together=link.session.has(b"MULTIAPPEND"), octets=octets
        )
        self._flying: deque[tuple[Command, list[Send]]] = deque()
        self._octets = 0
        self._messages = 0
        self._again: deque[list[Send]] = deque()
        self._held: list[Send] = []
        self._done: list[AppendOutcome] = []
        self._refused: list[tuple[list[Send], Result]] = []
        self._counts = MailboxCounts(link)
        self._busy: StoreUnavailable | None = None
        self._full = False
        self._stopped: StoreUnavailable | None = None

    def run(self) -> Iterator[AppendOutcome]:
        """Send and judge until nothing is left.

        Raises what stops the account, after all answers were given.
        """
        while True:
            yield from self._arrived()
            if self._stopped is not None:
                yield from self._end(self._stopped)
            elif self._refused and not self._flying:
                yield from self._look_behind()
            elif self._busy is not None and not self._flying:
                self._rest(self._busy)
            elif group := self._following():
                yield from self._send(group)
            elif self._flying:
                yield from self._oldest()
            elif self._full:
                self._full = False  # all that had been refused found its place
            else:
                yield from self._take()
                return

    def _firsts(self, parcels: Iterable[Parcel]) -> Iterator[Send]:
        for parcel in parcels:
            first = self._policy.first(parcel)
            if isinstance(first, Refused):
                self._done.append(first)
            else:
                yield first

    def _following(self) -> list[Send]:
        """Return the group to send now; none when there is no room, or first the rest must be
        heard.
        """
        if self._busy is not None or self._refused:
            return []
        if not self._held:
            if self._again:
                self._held = self._again.popleft()
            elif not self._full:
                self._held = self._batches.take(self._pace.messages)
        group = self._held
        if self._flying and (
            _is_empty(group)
            or _is_empty(self._flying[-1][1])
            or self._octets + _octets(group) > WINDOW_OCTETS
            or self._messages + len(group) > self._pace.messages
            or len(self._flying) >= WINDOW_COMMANDS
        ):
            return []
        self._held = []
        return group

    def _send(self, group: list[Send]) -> Iterator[AppendOutcome]:
        try:
            session = self._link.session
            self._link.leave()
            name = session.mailbox(session.names.written(group[0].parcel.mailbox))
        except StoreUnavailable as error:
            self._again.appendleft(group)
            yield from self._reconnect(error)
            return
        try:
            self._counts.ask(group[0].parcel.mailbox)
            command = session.queue.send_parts(append_parts(name, group, session.instant))
        except StoreUnavailable as error:
            self._done += [Unanswered(send.parcel) for send in group]
            yield from self._reconnect(error)
            return
        self._flying.append((command, group))
        self._octets += _octets(group)
        self._messages += len(group)

    def _arrived(self) -> Iterator[AppendOutcome]:
        """Judge what has been answered, without waiting."""
        if self._flying:
            try:
                self._link.session.queue.pump()
            except StoreUnavailable as error:
                yield from self._reconnect(error)
        while self._flying and self._flying[0][0].result is not None:
            self._landed(self._flying[0][0].result)
        yield from self._take()

    def _oldest(self) -> Iterator[AppendOutcome]:
        """Wait for the oldest answer."""
        try:
            self._landed(self._link.session.queue.wait(self._flying[0][0]))
        except StoreUnavailable as error:
            yield from self._reconnect(error)
        yield from self._take()

    def _landed(self, result: Result) -> None:
        _, group = self._flying.popleft()
        self._octets -= _octets(group)
        self._messages -= len(group)
        self._judge(group, result)

    def _take(self) -> Iterator[AppendOutcome]:
        done, self._done = self._done, []
        yield from done

    def _judge(self, group: list[Send], result: Result) -> None:
        """Take a good answer; what was refused is judged once nothing is in flight."""
        if not result.ok:
            self._refused.append((group, result))
            return
        self._pace.answered(len(group))
        self._link.progressed()
        self._counts.took(group[0].parcel.mailbox, len(group))
        self._done += appended(group, result)

    def _look_behind(self) -> Iterator[AppendOutcome]:
        """Judge what was refused, unless its mailbox grew by more than was taken: then it has no
        answer that counts.
        """
        refused, self._refused = self._refused, []
        try:
            grown = self._counts.grown({group[0].parcel.mailbox for group, _ in refused})
        except StoreUnavailable as error:
            self._done += [Unanswered(send.parcel) for group, _ in refused for send in group]
            yield from self._reconnect(error)
            return
        again, self._again = self._again, deque()
        for group, result in refused:
            if group[0].parcel.mailbox in grown:
                self._done += [Unanswered(send.parcel) for send in group]
                self._batches.part()
            else:
                self._judge_refusal(group, result)
        self._again += again
        yield from self._take()

    def _judge_refusal(self, group: list[Send], result: Result) -> None:
        stop = self._policy.stop(result)
        if stop is not None:
            self._halt(group, stop)
            return
        self._pace.answered(len(group))
        closed = self._policy.closed(group[0].parcel.mailbox, result)
        if closed is not None:
            self._done += [Refused(send.parcel, closed) for send in group]
        elif len(group) > 1:
            self._policy.strict = True
            self._again += split(group, looks_odd)
        else:
            following = self._policy.another(group[0], result)
            if isinstance(following, Refused):
                self._done.append(following)
            else:
                self._again.append([following])

    def _halt(self, group: list[Send], stop: StoreUnavailable) -> None:
        """Take in that the server has had enough: for now, or for good."""
        self._pace.slow()
        if stop.retryable:
            self._busy = longer(self._busy, stop)
            self._again.append(group)
        elif isinstance(stop, OverQuota) and len(group) > 1:
            # Some of them may still fit. Nothing new is begun before that is known.
            self._full = True
            if self._held:
                self._again.append(self._held)
                self._held = []
            middle = len(group) // 2
            self._again.extendleft((group[middle:], group[:middle]))
        else:
            self._stopped = stop
            self._done += [Refused(send.parcel, str(stop)) for send in group]

    def _rest(self, busy: StoreUnavailable) -> None:
        """Wait as the server asks, once for all it said so of."""
        self._busy = None
        try:
            self._link.recover(busy)
        except StoreUnavailable as error:
            self._stopped = error

    def _end(self, stopped: StoreUnavailable) -> Iterator[AppendOutcome]:
        """Hear what became of the rest, give up what was refused meanwhile, and stop."""
        while self._flying:
            yield from self._oldest()
        left = [*self._again, *(group for group, _ in self._refused)]
        self._done += [Refused(send.parcel, str(stopped)) for group in left for send in group]
        yield from self._take()
        raise stopped

    def _reconnect(self, error: StoreUnavailable) -> Iterator[AppendOutcome]:
        """Give up what is in flight and log in again; what the server may have taken is found by
        looking.
        """
        flying, self._flying = list(self._flying), deque()
        self._octets = self._messages = 0
        refused, self._refused = self._refused, []
        for command, group in flying:
            if command.result is not None and command.result.ok:
                self._judge(group, command.result)
            else:
                self._done += [Unanswered(send.parcel) for send in group]
        self._done += [Unanswered(send.parcel) for group, _ in refused for send in group]
        self._pace.slow()
        yield from self._take()
        if self._stopped is None:
            self._link.again(error)


def _is_empty(group: list[Send]) -> bool:
    """Whether this is an empty message, which nothing else may fly with: some servers hang up."""
    return not any(send.content for send in group)


def _octets(group: list[Send]) -> int:
    return sum(len(send.content) for send in group)


WINDOW_MESSAGES: Final = 4096
"""More messages than this are never without an answer."""


class Pace:
    """How many messages may be without an answer at once.

    All that the window holds, until a connection broke or the server had enough; then one, and with
    each answer more. So a message that breaks connections takes no others with it for long, and a
    server that is short of breath is not run down.
    """

    def __init__(self) -> None:
        self.messages = WINDOW_MESSAGES

    def slow(self) -> None:
        """Begin again with one."""
        self.messages = 1

    def answered(self, messages: int) -> None:
        """Allow as many more as were answered, which doubles them each round trip."""
        self.messages = min(self.messages + messages, WINDOW_MESSAGES)
