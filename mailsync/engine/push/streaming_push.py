"""The push that runs beside a pull: messages go out as soon as they are durable, and only such as
surely are not there yet.

Whatever is not sure (a mailbox that holds much already, a message like one that is there, one that
the ledger knows, a view) waits for the push proper, which comes after the pull and does all that is
left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from mailsync.archive import Archive
from mailsync.engine.matching import ArchiveLikeness
from mailsync.engine.push.look import HeadStart
from mailsync.engine.push.names import fit_names
from mailsync.engine.push.openings import Openings
from mailsync.engine.push.run import send_again, send_all
from mailsync.engine.push.sender import INTENTS_TOGETHER, Sender
from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets, refreshed
from mailsync.errors import ArchiveError, StoreUnavailable
from mailsync.model import ArchivedMessage, LedgerKey, Mailbox, MailboxPath, Parcel
from mailsync.progress import Progress
from mailsync.stores.base import BoundedDestination

MOST: Final = 1000
"""Messages taken from the archive at once."""

LITTLE: Final = 8
"""With fewer new messages than these the server's answers are heard before more is sent."""

REST: Final = 0.1
"""Seconds at least between two looks where little comes, since each makes what came durable."""

SHARE: Final = 5
"""Times as long as that took the next look waits, so that a slow disk is not kept busy by it."""

FAREWELL: Final = 3.0
"""Seconds that a push which is given up has to end what it is about."""


class AnnouncedProgress:
    """A `Progress` that passes all on, and knows how many octets its pull has announced."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.octets = 0

    def begin(self, what: str) -> None:
        """Pass it on."""
        self._progress.begin(what)

    def expect(self, messages: int, octets: int) -> None:
        """Add it up."""
        self.octets += octets
        self._progress.expect(messages, octets)

    def advance(self, messages: int, octets: int) -> None:
        """Pass it on."""
        self._progress.advance(messages, octets)

    def note(self, text: str) -> None:
        """Pass it on."""
        self._progress.note(text)

    def end(self) -> None:
        """Pass it on."""
        self._progress.end()


class StreamingPush:
    """A context manager around a pull; leaving it sends what came last, leaving it by an exception
    gives up what is left. Then `finish` does the push proper.

    `coming` are the source's mailboxes. Entering it fits the names of mailboxes. A destination that
    gives up is in the session's report. Raises ArchiveError.
    """

    def __init__(
        self,
        session: PushSession,
        targets: Targets,
        *,
        coming: Sequence[Mailbox],
        announced: AnnouncedProgress,
    ) -> None:
        self._session = session
        self._targets = targets
        self._announced = announced
        self._archive = targets.archive
        self._filled = {
            mailbox.path for mailbox in coming if mailbox.state is None or mailbox.state.messages
        }
        self._above = self._archive.newest()
        self._sender = Sender(session)
        self._openings = Openings(session, targets)
        self._sent: dict[MailboxPath, set[LedgerKey]] = {}
        self._room: int | None = None
        self._kept: Sequence[ArchivedMessage] = ()
        self._due = 0.0
        self._ended = threading.Event()
        self._given_up = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._go, name="mailsync-push", daemon=True)

    def __enter__(self) -> Self:
        self._session.begin("pushing")
        try:
            self._targets = fit_names(self._session, self._targets)
            self._openings = Openings(self._session, self._targets)
        except StoreUnavailable as error:
            self._session.report.error = error
        self._thread.start()
        return self

    def finish(self) -> Targets:
        """Send all that is left, now that the pull has ended; returns the targets as they turned
        out.
        """
        session, targets = self._session, refreshed(self._targets)
        try:
            if session.report.error is None:
                head_start = HeadStart(self._sent, self._openings.made)
                targets = send_all(session, targets, self._sender, head_start=head_start)
        except StoreUnavailable as error:
            session.report.error = error
        finally:
            session.progress.end()
        return targets

    def again(self, targets: Targets) -> None:
        """Send what a proof took back, once. Raises StoreUnavailable."""
        send_again(self._session, targets)

    def wait(self) -> None:
        """Give the server time to show what it took."""
        self._session.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if error is None:
            try:
                self._thread.join()
            except BaseException:
                self._give_up()
                raise
            if self._error is not None:
                raise self._error
        else:
            self._give_up()
            if type(error) is ArchiveError and isinstance(self._error, ArchiveError):
                # What failed here made the pull fail too, which does not know what it was.
                raise self._error

    def _give_up(self) -> None:
        self._given_up.set()
        self._thread.join(FAREWELL)

    def _go(self) -> None:
        try:
            if self._session.report.error is None:
                with Archive.read(self._archive.directory) as looking:
                    self._send(looking)
        except StoreUnavailable as error:
            self._session.report.error = error
        except BaseException as error:  # noqa: BLE001  it is raised again in the thread that waits
            self._error = error

    def _send(self, looking: Archive) -> None:
        """Send what arrives until the pull has ended and nothing is left."""
        if isinstance(self._session.destination, BoundedDestination):
            self._room = min(
                (
                    room.octets
                    for room in self._session.destination.rooms(list(self._targets.by_destination))
                ),
                default=None,
            )
        routes = self._openings.routes()
        self._openings.open_empty(
            self._openings.awaited(
                path for source, path in routes.items() if source in self._filled
            )
        )
        while not self._given_up.is_set():
            ended = self._ended.is_set()
            messages = self._next(looking)
            if messages:
                self._openings.open({message.mailbox for message in messages})
                self._sender.send(self._parcels(looking, messages))
            elif ended:
                return
            else:
                self._rest()

    def _rest(self) -> None:
        """Wait a little, then make what came durable."""
        self._ended.wait(max(0.0, self._due - time.monotonic()))
        began = time.monotonic()
        self._archive.flush()
        ended = time.monotonic()
        self._due = ended + max(REST, SHARE * (ended - began))

    def _next(self, looking: Archive) -> Sequence[ArchivedMessage]:
        messages, self._kept = self._kept, ()
        if not messages:
            self._above, messages = looking.arrived(self._targets.account, self._above, MOST)
        return messages

    def _parcels(self, looking: Archive, messages: Sequence[ArchivedMessage]) -> Iterator[Parcel]:
        """Yield what may be sent, an intent ahead of each, and go on with what arrives meanwhile as
        long as that is much.
        """
        while messages:
            for path, some in self._sendable(looking, messages).items():
                for start in range(0, len(some), INTENTS_TOGETHER):
                    chunk = some[start : start + INTENTS_TOGETHER]
                    yield from self._affordable(looking, path, chunk)
            messages = self._next(looking)
            if len(messages) < LITTLE and not self._ended.is_set():
                # What is on its way keeps the line busy for as long as this waits.
                self._rest()
                messages = [*messages, *self._next(looking)]
            little = len(messages) < LITTLE and not self._ended.is_set()
            if (
                little
                or self._given_up.is_set()
                or self._openings.unopened({message.mailbox for message in messages})
            ):
                # All that is on its way is answered before a mailbox is looked at.
                self._kept = messages
                return

    def _sendable(
        self, looking: Archive, messages: Sequence[ArchivedMessage]
    ) -> dict[MailboxPath, list[ArchivedMessage]]:
        """Return the messages that are surely not there, by mailbox of the destination; none where
        there may be too little room for all.
        """
        if self._room is not None and self._announced.octets > self._room:
            return {}
        routes, selection = self._openings.routes(), self._targets.chosen.selection
        likeness = ArchiveLikeness(looking)
        found: dict[MailboxPath, list[ArchivedMessage]] = {}
        for message in messages:
            path = routes.get(message.mailbox)
            opening = self._openings.at(path) if path else None
            if path is None or opening is None or not opening.lacks(message, likeness):
                continue
            sent = self._sent.setdefault(path, set())
            if message.key not in sent and selection.message(message, looking.header):
                sent.add(message.key)
                found.setdefault(path, []).append(message)
                self._session.progress.expect(1, message.size)
        return found

    def _affordable(
        self, looking: Archive, path: MailboxPath, messages: Sequence[ArchivedMessage]
    ) -> Iterator[Parcel]:
        """Yield as many of these as the budget allows; the others are left to the push proper."""
        opening, sent = self._openings.at(path), self._sent[path]
        affordable: list[ArchivedMessage] = []
        if opening is not None and not self._given_up.is_set():
            affordable += self._session.budget.within(messages, lambda message: message.size)
            yield from self._sender.parcels(
                looking,
                path,
                opening.state,
                affordable,
                damaged=lambda message, _: sent.discard(message.key),
            )
        for message in messages[len(affordable) :]:
            sent.discard(message.key)
