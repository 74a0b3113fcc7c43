"""One account's mailboxes in memory, and what their server does to its clients when it is told to.

Messages are kept octet for octet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mailsync.errors import ConnectionLost
from mailsync.model import INBOX, NO_FLAGS, MailboxPath, Parcel, SyncState


@dataclass(frozen=True, slots=True)
class MemoryMessage:
    """A message on the server; `object_id` stays with it when it is moved."""

    content: bytes
    flags: frozenset[str]
    internaldate: int
    modseq: int
    object_id: str


@dataclass(slots=True)
class MemoryBox:
    """A mailbox on the server; `expunged` are (mod-sequence, UID) pairs, oldest first."""

    uidvalidity: int
    attributes: frozenset[str] = NO_FLAGS
    subscribed: bool = False
    uidnext: int = 1
    modseq: int = 1
    messages: dict[int, MemoryMessage] = field(default_factory=dict)
    expunged: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Break:
    """Break the connection when the `after`-th parcel from now has been sent.

    That one and all in flight behind it stay without an answer, and are `lost`, `kept`, or kept
    `late`: when `settle` is called. With `final` no new connection comes about.
    """

    after: int
    then: Literal["lost", "kept", "late"] = "lost"
    final: bool = False


class MemoryServer:
    """One account.

    `condstore`: it keeps mod-sequences and tells what vanished; `status`: LIST tells states;
    `uidplus`: APPENDUID.

    `refuses` and `withholds` give the words with which a content is not taken or not sent, or None;
    they may raise StoreUnavailable. `permanent` are the flags it keeps, None for all. `forbidden`
    mailboxes cannot be made. `served` counts octets of whole messages.
    """

    def __init__(
        self,
        *,
        condstore: bool = False,
        uidplus: bool = True,
        object_ids: bool = False,
        status: bool = True,
        password: str = "secret",  # noqa: S107  of a server that is nowhere
    ) -> None:
        self.condstore = condstore
        self.uidplus = uidplus
        self.object_ids = object_ids
        self.status = status
        self.password = password
        self.permanent: frozenset[str] | None = None
        self.forbidden: set[MailboxPath] = set()
        self.refuses: Callable[[bytes], str | None] = lambda _: None
        self.withholds: Callable[[bytes], str | None] = lambda _: None
        self.breaks: list[Break] = []
        self.fetches_left: int | None = None
        self.served = 0
        self.taken = 0
        self.boxes: dict[MailboxPath, MemoryBox] = {}
        self._late: list[Parcel] = []
        self._numbers = itertools.count(1)
        self.make(INBOX)

    def make(self, path: MailboxPath, *attributes: str, subscribed: bool = False) -> MemoryBox:
        """Make a mailbox, or give the one there is."""
        if path not in self.boxes:
            self.boxes[path] = MemoryBox(next(self._numbers), frozenset(attributes), subscribed)
        return self.boxes[path]

    def deliver(
        self,
        path: MailboxPath,
        content: bytes,
        *flags: str,
        internaldate: int = 1_400_000_000,
        object_id: str | None = None,
    ) -> int:
        """Put a message into a mailbox, made when missing; returns its UID."""
        box = self.make(path)
        uid, box.uidnext, box.modseq = box.uidnext, box.uidnext + 1, box.modseq + 1
        kept = frozenset(flags) if self.permanent is None else frozenset(flags) & self.permanent
        box.messages[uid] = MemoryMessage(
            content, kept, internaldate, box.modseq, object_id or f"M{next(self._numbers)}"
        )
        return uid

    def expunge(self, path: MailboxPath, uid: int) -> MemoryMessage:
        """Remove a message; returns it."""
        box = self.boxes[path]
        box.modseq += 1
        box.expunged.append((box.modseq, uid))
        return box.messages.pop(uid)

    def flag(self, path: MailboxPath, uid: int, *flags: str) -> None:
        """Return a message these flags and no others."""
        box = self.boxes[path]
        box.modseq += 1
        box.messages[uid] = replace(box.messages[uid], flags=frozenset(flags), modseq=box.modseq)

    def move(self, path: MailboxPath, uid: int, to: MailboxPath) -> int:
        """Move a message to another mailbox, made when missing; returns its UID there."""
        message = self.expunge(path, uid)
        return self.deliver(
            to,
            message.content,
            *message.flags,
            internaldate=message.internaldate,
            object_id=message.object_id,
        )

    def rename(self, path: MailboxPath, to: MailboxPath) -> None:
        """Rename a mailbox; its UIDs stay."""
        self.boxes[to] = self.boxes.pop(path)

    def renumber(self, path: MailboxPath) -> None:
        """Give all messages new UIDs under a new UIDVALIDITY."""
        old = self.boxes[path]
        box = self.boxes[path] = MemoryBox(
            next(self._numbers), old.attributes, old.subscribed, modseq=old.modseq
        )
        for message in old.messages.values():
            box.messages[box.uidnext] = message
            box.uidnext += 1

    def settle(self) -> None:
        """Store what a broken connection left to be stored late."""
        late, self._late = self._late, []
        for parcel in late:
            self._keep(parcel)

    def contents(self, path: MailboxPath) -> list[bytes]:
        """Return the contents of a mailbox in the order of their UIDs."""
        return (
            [message.content for _, message in sorted(self.boxes[path].messages.items())]
            if path in self.boxes
            else []
        )

    def state(self, path: MailboxPath) -> SyncState:
        """Return a mailbox's counters as they are now."""
        box = self.boxes[path]
        return SyncState(
            box.uidvalidity, box.uidnext, len(box.messages), box.modseq if self.condstore else None
        )

    def send(self, content: bytes) -> bytes:
        """Count a message on its way out. Raises ConnectionLost when `fetches_left` is used up."""
        if self.fetches_left is not None:
            if not self.fetches_left:
                raise ConnectionLost("memory", "the connection broke, and retries are used up")
            self.fetches_left -= 1
        self.served += len(content)
        return content

    def receive(
        self, parcels: Sequence[Parcel], content: Callable[[Parcel], bytes]
    ) -> tuple[list[int | str], Break | None]:
        """Take parcels in flight together: the UID or the refusal of each answered one, and how the
        connection broke, if it did.
        """
        answers: list[int | str] = []
        for number, parcel in enumerate(parcels):
            due = self.breaks[0] if self.breaks else None
            if due is not None and due.after <= 1:
                self._break(parcels[number:], self.breaks.pop(0))
                return answers, due
            if due is not None:
                self.breaks[0] = replace(due, after=due.after - 1)
            refusal = (
                "[TRYCREATE] no such mailbox"
                if parcel.mailbox not in self.boxes
                else self.refuses(content(parcel))
            )
            answers.append(refusal or self._keep(replace(parcel, content=content(parcel))))
        return answers, None

    def _break(self, parcels: Sequence[Parcel], broken: Break) -> None:
        if broken.then == "lost":
            return
        self._late += [
            parcel
            for parcel in parcels
            if parcel.mailbox in self.boxes and not self.refuses(parcel.content)
        ]
        if broken.then == "kept":
            self.settle()

    def _keep(self, parcel: Parcel) -> int:
        self.taken += 1
        return self.deliver(
            parcel.mailbox,
            parcel.content,
            *parcel.message.flags,
            internaldate=parcel.message.internaldate,
        )
