"""Messages brought by pipelined UID FETCH: batches of several mailboxes in flight, and what becomes
of those that do not come.

A message that was asked for and did not come is probed for (is its UID still there?), asked for
alone once more, and only then given up. A refused batch is split until the offender stands alone.
Nothing of a mailbox is believed before its EXAMINE was seen to have the UIDVALIDITY the messages
were listed under; where it has another one, or none, only what has exactly the size listed is the
message that was meant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final, TypeAlias

from mailsync.errors import ProtocolViolation, StoreUnavailable, Throttled
from mailsync.model import Entry, Message, UidRef, Unfetched
from mailsync.stores.imap.body_batch import HEADER, RENUMBERED, WHOLE, Batch
from mailsync.stores.imap.body_size import BodySizes
from mailsync.stores.imap.fetch_response import body_of, line_of
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.response import Answer, Result
from mailsync.stores.imap.uid_set import uid_set
from mailsync.stores.refusals import trouble

WINDOW: Final = 32 << 20
"""Octets of messages asked for and not yet here.

Bounds memory in the worst case, when all of it must be read to get past it; a fast line needs about
this much to stay busy for a round trip.
"""

BATCH: Final = 1 << 20
BATCH_MESSAGES: Final = 200
"""One command asks for about so many octets, or so many messages."""

OUTSTANDING: Final = 32 * 1024
"""Octets of commands in flight; more, and a server busy answering would no longer read."""

LOSSES: Final = 2
"""So many connections broken while waiting for a message make it a suspect; as many more, alone,
and it is given up.
"""

_UNKNOWN_SIZE: Final = 64 * 1024

Ask: TypeAlias = Callable[[Entry], tuple[bytes, int]]
"""What to fetch of an entry: the FETCH item, and about how many octets will come."""


def whole(entry: Entry) -> tuple[bytes, int]:
    """Ask for the whole message, without setting `\\Seen`."""
    return WHOLE, entry.size if entry.size is not None else _UNKNOWN_SIZE


def header(entry: Entry) -> tuple[bytes, int]:
    """Ask for the header block."""
    return HEADER, min(entry.size or 4096, 4096)


def tail(octets: int) -> Ask:
    """Ask for the last octets, by the announced size."""

    def ask(entry: Entry) -> tuple[bytes, int]:
        return b"BODY.PEEK[]<%d.%d>" % (max((entry.size or 0) - octets, 0), octets), octets

    return ask


def piece(start: Callable[[Entry], int], octets: int) -> Ask:
    """Ask for so many octets from a place on."""
    return lambda entry: (b"BODY.PEEK[]<%d.%d>" % (start(entry), octets), octets)


class BodyFetch:
    """One pass over wanted entries; iterate it once."""

    def __init__(
        self, link: ReconnectingSession, account: str, wanted: Iterable[Entry], ask: Ask
    ) -> None:
        self._link = link
        self._account = account
        self._wanted = iter(wanted)
        self._ask = ask
        self._ahead: Entry | None = None
        self._ready: deque[Batch] = deque()
        self._flight: deque[Batch] = deque()
        self._suspects: deque[Batch] = deque()
        self._seen: set[int] = set()
        self._brought = 0
        self._sizes = BodySizes()

    def __iter__(self) -> Iterator[Message | Unfetched]:
        """Bring every wanted entry, in the order it arrives; exactly one result an entry."""
        while True:
            batch = self._next() if self._room() else None
            if batch is None and not self._flight:
                return
            if batch is None:
                yield from self._first()
                continue
            try:
                self._send(batch)
            except StoreUnavailable as error:
                self._ready.appendleft(batch)
                self._link.again(error)

    def _first(self) -> Iterator[Message | Unfetched]:
        """Receive the oldest batch in flight."""
        batch = self._flight[0]
        try:
            refusal = self._opened(batch)
            if refusal is None:
                yield from self._receive(batch)
        except StoreUnavailable as error:
            self._flight.popleft()
            if batch.generation == self._link.generation:
                batch.losses += not isinstance(error, Throttled)
                if self._link.stands:
                    yield from self._settle()
                self._link.recover(error)
            yield from self._retry(batch, error)
            return
        self._flight.popleft()
        if refusal is not None:
            yield from (Unfetched(entry, refusal) for entry in batch.missing.values())
        elif batch.missing:
            yield from self._judge(batch)

    def _settle(self) -> Iterator[Message]:
        """Take what else is in flight to a server that has no time for us, and have what it does
        not bring asked for again.
        """
        while self._flight:
            batch = self._flight.popleft()
            with suppress(StoreUnavailable):
                if self._opened(batch) is None:
                    yield from self._receive(batch)
            if batch.missing:
                self._ready.append(batch)

    def _retry(self, batch: Batch, error: StoreUnavailable) -> Iterator[Unfetched]:
        """Ask again for what a broken connection did not bring.

        A message it broke at twice waits until all others are here.
        """
        if not batch.missing:
            return
        first, entry = next(iter(batch.missing.items()))
        if batch.losses < LOSSES:
            self._ready.append(batch)
        elif len(batch.missing) > 1:
            del batch.missing[first]
            suspect = batch.part({first: entry}, why=batch.why)
            suspect.losses, batch.losses = batch.losses, 0
            self._suspects.append(suspect)
            self._ready.append(batch)
        elif batch.losses < 2 * LOSSES or not self._brought:
            self._suspects.append(batch)
        else:
            # All other messages came: it is this one the server cannot send.
            yield Unfetched(entry, f"the connection broke each time it was asked for: {error}")

    def _room(self) -> bool:
        """Whether one more batch may be in flight; a single larger message may be there alone."""
        if not self._flight:
            return True
        octets = sum(batch.octets for batch in self._flight)
        upcoming = self._ready[0].octets if self._ready else BATCH
        commands = sum(
            batch.command.octets + 100 for batch in self._flight if batch.command is not None
        )
        return octets + upcoming <= WINDOW and commands < OUTSTANDING

    def _next(self) -> Batch | None:
        """Take a batch to be asked for again, or draw entries for a new one; None when there are no
        more.
        """
        if self._ready:
            return self._ready.popleft()
        batch: Batch | None = None
        while True:
            entry = self._ahead or next(self._wanted, None)
            self._ahead = None
            if entry is None:
                return batch or self._suspect()
            ref = entry.ref
            if not isinstance(ref, UidRef):
                raise TypeError(f"not a message of an IMAP server: {ref!r}")
            item, octets = self._ask(entry)
            if batch is None:
                batch = Batch(ref.mailbox, ref.uidvalidity, item)
            elif (
                (batch.path, batch.uidvalidity, batch.item) != (ref.mailbox, ref.uidvalidity, item)
                or batch.octets + octets > BATCH
                or ref.uid in batch.missing
            ):
                self._ahead = entry
                return batch
            batch.missing[ref.uid] = entry
            batch.octets += octets
            if len(batch.missing) >= BATCH_MESSAGES:
                return batch

    def _suspect(self) -> Batch | None:
        """Take a message that may break the connection, once nothing else could be broken."""
        return self._suspects.popleft() if self._suspects and not self._flight else None

    def _send(self, batch: Batch) -> None:
        session = self._link.session
        # Only a mailbox opened anew shows for certain what was removed from it.
        batch.examined = self._link.examine(batch.path, fresh=batch.probe)
        batch.generation = self._link.generation
        item = b"" if batch.probe else b" " + batch.item
        batch.command = session.queue.send(
            b"UID FETCH " + uid_set(list(batch.missing)) + b" (UID" + item + b")"
        )
        self._flight.append(batch)

    def _opened(self, batch: Batch) -> str | None:
        """Wait for the mailbox to be open; why its messages cannot be had, None when they can."""
        examined = batch.examined
        assert examined is not None  # noqa: S101  # `_send` came before
        result = examined.wait()
        return None if result.ok else f"the mailbox cannot be opened any more: {result.text}"

    def _receive(self, batch: Batch) -> Iterator[Message]:
        """Take the messages of a batch as they come; what a broken connection had delivered whole
        is taken too.
        """
        command, examined = batch.command, batch.examined
        assert command is not None  # noqa: S101  # `_send` came before
        assert examined is not None  # noqa: S101  # `_send` came before
        self._seen.clear()
        for answer in examined.session.queue.answers(command):
            if batch.probe:
                self._note_seen(answer)
            message = self._message(batch, answer)
            if message is not None:
                self._link.progressed()
                self._brought += 1
                yield message
        result = command.result
        stop = (
            trouble(self._account, result.refusal, "fetching messages")
            if result is not None
            else None
        )
        if stop is not None:
            raise stop

    def _note_seen(self, answer: Answer) -> None:
        try:
            line = line_of(answer, self._account)
        except ProtocolViolation:
            return
        if line is not None and line.uid is not None:
            self._seen.add(line.uid)

    def _message(self, batch: Batch, answer: Answer) -> Message | None:
        """Read one answer; None when it is no message we wait for, or none that can be believed."""
        if b"BODY[" not in answer.line.upper():
            return None
        try:
            body = body_of(answer, self._account)
        except ProtocolViolation as error:
            batch.why = str(error)
            return None
        asked = None if body is None or body.uid is None else self._asker(batch, body.uid)
        if asked is None or body is None or body.uid is None:
            return None
        return asked.take(self._sizes, self._ready, body.uid, body.content)

    def _asker(self, batch: Batch, uid: int) -> Batch | None:
        """Find the batch that waits for a message: this one, or a later one in the same opened
        mailbox.

        Dovecot holds the completion of a FETCH back while it already answers the next.
        """
        if uid in batch.missing and not batch.probe:
            return batch
        for later in self._flight:
            if later.examined is batch.examined and uid in later.missing and not later.probe:
                return later
        return None

    def _judge(self, batch: Batch) -> Iterator[Message | Unfetched]:
        """Decide about the messages a finished batch did not bring."""
        command = batch.command
        assert command is not None  # noqa: S101  # `_send` came before
        assert command.result is not None  # noqa: S101  # `_receive` read to the end
        result: Result = command.result
        why = batch.why or (
            f"the server said: {result.text}" if not result.ok else "the server did not send it"
        )
        if batch.renumbered:
            yield from (Unfetched(entry, RENUMBERED) for entry in batch.missing.values())
        elif batch.content is not None:
            yield from batch.unvouched(why)
        elif batch.probe:
            yield from self._probed(batch, result)
        elif not result.ok and len(batch.missing) > 1:
            entries = list(batch.missing.items())
            half = len(entries) // 2
            self._ready.extendleft(
                [
                    batch.part(dict(entries[half:]), why=why),
                    batch.part(dict(entries[:half]), why=why),
                ]
            )
        else:
            self._ready.appendleft(
                batch.part(batch.missing, probe=True, alone=batch.alone, why=why)
            )

    def _probed(self, batch: Batch, result: Result) -> Iterator[Unfetched]:
        """Give up what is gone; give what is there its last chance, or give it up too."""
        for uid, entry in batch.missing.items():
            if result.ok and uid not in self._seen:
                yield Unfetched(entry, "it was removed from the server meanwhile", expunged=True)
            elif batch.alone:
                yield Unfetched(entry, batch.why)
            else:
                self._ready.append(batch.part({uid: entry}, alone=True, why=batch.why))
