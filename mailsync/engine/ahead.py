"""The push that runs beside a pull: messages go out as soon as they are durable, and only such as
surely are not there yet.

Whatever is not sure (a mailbox that holds much already, a message like one that is there, one that
the ledger knows, a view) waits for the push proper, which comes after the pull and does all that is
left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from mailsync.archive import Archive, PushRun
from mailsync.engine.likeness import Key, key_of, sighting_of
from mailsync.engine.push import INTENTS_TOGETHER, Push
from mailsync.errors import ArchiveError, IntegrityError, MailboxError, StoreUnavailable
from mailsync.model import ArchivedMessage, Mailbox, MailboxPath, Parcel, SyncState
from mailsync.plan import Sighting
from mailsync.progress import Progress
from mailsync.stores.base import BoundedDestination, Destination, NamingDestination

FEW: Final = 500
"""A mailbox that holds more messages already is left to the push proper, which looks at it once for
all.
"""

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


class Announced:
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


@dataclass(frozen=True, slots=True)
class _Box:
    """A mailbox of theirs that messages may be sent to: its state, what the ledger knows of it, and
    what else is in it.
    """

    state: SyncState
    ledger: Collection[Key]
    presences: frozenset[bytes] = frozenset()
    message_ids: frozenset[str] = frozenset()
    originals: frozenset[bytes] = frozenset()

    def lacks(self, message: ArchivedMessage) -> bool:
        """Return whether nothing in it can be this message."""
        return (
            key_of(message) not in self.ledger
            and message.presence not in self.presences
            and message.message_id not in self.message_ids
            and message.digest not in self.originals
        )


class Ahead:
    """A context manager around a pull; leaving it sends what came last, leaving it by an exception
    gives up what is left.

    `work` has begun, and `coming` are the source's mailboxes. Afterwards a destination that gave up
    is in the push's report. Raises ArchiveError.
    """

    def __init__(
        self,
        work: Push,
        run: PushRun,
        destination: Destination,
        archive: Archive,
        *,
        coming: Sequence[Mailbox],
        announced: Announced,
    ) -> None:
        self._work = work
        self._run = run
        self._destination = destination
        self._archive = archive
        self._announced = announced
        self._filled = {
            mailbox.path for mailbox in coming if mailbox.state is None or mailbox.state.messages
        }
        self._above = archive.newest()
        self._boxes: dict[MailboxPath, _Box | None] = {}
        self._room: int | None = None
        self._listed = {
            mailbox.path: mailbox.state for mailbox in work.targets.theirs if mailbox.selectable
        }
        self._kept: Sequence[ArchivedMessage] = ()
        self._due = 0.0
        self._ended = threading.Event()
        self._given_up = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._go, name="mailsync-push", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

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
            if self._work.report.error is None:
                with Archive.read(self._archive.directory) as looking:
                    self._send(looking)
        except StoreUnavailable as error:
            self._work.report.error = error
        except BaseException as error:  # noqa: BLE001  it is raised again in the thread that waits
            self._error = error

    def _send(self, looking: Archive) -> None:
        """Send what arrives until the pull has ended and nothing is left."""
        if isinstance(self._destination, BoundedDestination):
            self._room = min(
                (
                    room.octets
                    for room in self._destination.rooms(list(self._work.targets.by_theirs))
                ),
                default=None,
            )
        self._open_at_once(
            {theirs for ours, theirs in self._routes().items() if ours in self._filled}
        )
        while not self._given_up.is_set():
            ended = self._ended.is_set()
            messages = self._next(looking)
            if messages:
                self._open({message.mailbox for message in messages})
                self._work.send(self._parcels(looking, messages))
            elif ended:
                return
            else:
                self._rest()

    def _routes(self) -> dict[MailboxPath, MailboxPath]:
        """Return where the messages of each of our mailboxes go; a view's are known only when all
        others have come.
        """
        by_theirs = self._work.targets.by_theirs
        return {
            target.ours.path: theirs
            for theirs, ours in by_theirs.items()
            for target in ours
            if not target.only_here
        }

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
            self._above, messages = looking.arrived(self._work.targets.account, self._above, MOST)
        return messages

    def _make(self, paths: Iterable[MailboxPath]) -> None:
        """Make mailboxes, in one flight; one whose name is refused is left to the push proper."""
        wanted = {mailbox.path: mailbox for mailbox in self._work.targets.wanted()}
        missing = [wanted[path] for path in dict.fromkeys(paths) if path not in self._work.made]
        answers = self._destination.create(missing) if missing else {}
        instead = (
            self._destination.instead() if isinstance(self._destination, NamingDestination) else {}
        )
        for path, refusal in answers.items():
            if refusal is None and path not in instead:
                self._work.made.add(path)
            else:
                self._boxes[path] = None

    def _unopened(self, ours: Collection[MailboxPath]) -> set[MailboxPath]:
        routes = self._routes()
        return {
            theirs
            for path in ours
            if (theirs := routes.get(path)) is not None and theirs not in self._boxes
        }

    def _open_at_once(self, fresh: Collection[MailboxPath]) -> None:
        """Make mailboxes of theirs, and open those that are empty."""
        self._make(fresh)
        for theirs in self._work.made.intersection(fresh):
            state = self._listed.get(theirs, SyncState(0, 1, 0))  # made just now
            if state is not None and not state.messages:
                self._boxes[theirs] = _Box(state, self._run.ledger(theirs).keys())

    def _open(self, ours: Collection[MailboxPath]) -> None:
        """Open the mailboxes of theirs that messages from these go to and that were not looked at
        yet.
        """
        self._open_at_once(self._unopened(ours))
        for theirs in self._unopened(ours):
            try:
                self._boxes[theirs] = self._look_at(theirs)
            except MailboxError:
                self._boxes[theirs] = None

    def _look_at(self, theirs: MailboxPath) -> _Box | None:
        state = self._listed.get(theirs) or self._destination.state(theirs)
        if state.messages > FEW:
            return None
        there: list[Sighting] = (
            [sighting_of(present) for present in self._destination.presence(theirs)]
            if state.messages
            else []
        )
        return _Box(
            state,
            self._run.ledger(theirs).keys(),
            frozenset(one.presence for one in there),
            frozenset(one.message_id for one in there if one.message_id),
            frozenset(one.original for one in there if one.original),
        )

    def _parcels(self, looking: Archive, messages: Sequence[ArchivedMessage]) -> Iterator[Parcel]:
        """Yield what may be sent, an intent ahead of each, and go on with what arrives meanwhile as
        long as that is much.
        """
        while messages:
            for theirs, some in self._sendable(looking, messages).items():
                for start in range(0, len(some), INTENTS_TOGETHER):
                    yield from self._intended(
                        looking, theirs, some[start : start + INTENTS_TOGETHER]
                    )
            messages = self._next(looking)
            if len(messages) < LITTLE and not self._ended.is_set():
                # What is on its way keeps the line busy for as long as this waits.
                self._rest()
                messages = [*messages, *self._next(looking)]
            little = len(messages) < LITTLE and not self._ended.is_set()
            if (
                little
                or self._given_up.is_set()
                or self._unopened({message.mailbox for message in messages})
            ):
                # All that is on its way is answered before a mailbox is looked at.
                self._kept = messages
                return

    def _sendable(
        self, looking: Archive, messages: Sequence[ArchivedMessage]
    ) -> dict[MailboxPath, list[ArchivedMessage]]:
        """Choose the messages that are surely not there, by mailbox of theirs; none where there may
        be too little room for all.
        """
        if self._room is not None and self._announced.octets > self._room:
            return {}
        routes, chosen = self._routes(), self._work.targets.selection
        found: dict[MailboxPath, list[ArchivedMessage]] = {}
        for message in messages:
            theirs = routes.get(message.mailbox)
            box = self._boxes.get(theirs) if theirs else None
            if (
                theirs is None
                or box is None
                or not box.lacks(message)
                or not chosen.message(message, looking.header)
            ):
                continue
            if (theirs, key_of(message)) not in self._work.ahead:
                self._work.ahead.add((theirs, key_of(message)))
                found.setdefault(theirs, []).append(message)
                self._work.progress.expect(1, message.size)
        return found

    def _intended(
        self, looking: Archive, theirs: MailboxPath, messages: Sequence[ArchivedMessage]
    ) -> Iterator[Parcel]:
        box = self._boxes[theirs]
        chunk = (
            []
            if box is None or self._given_up.is_set()
            else list(self._work.budget.within(messages, lambda message: message.size))
        )
        if chunk and box is not None:
            self._run.intend(theirs, box.state, chunk)
        for message in chunk:
            try:
                content = looking.content(message.digest)
            except IntegrityError:
                self._run.withdraw(theirs, message)
                self._work.ahead.discard((theirs, key_of(message)))  # told by the push proper
            else:
                yield Parcel(message, theirs, content)
        for message in messages[len(chunk) :]:
            self._work.ahead.discard((theirs, key_of(message)))
