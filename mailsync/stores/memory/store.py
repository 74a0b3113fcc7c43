"""Sessions with a server in memory: as IMAP shows an account, and as POP3 does."""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from mailsync.errors import AuthenticationFailed, ConnectionLost, MailboxError, MailboxMissing
from mailsync.formats import header
from mailsync.mapping import show
from mailsync.model import (
    INBOX,
    Appended,
    Entry,
    Excerpt,
    Mailbox,
    MailboxPath,
    Message,
    Parcel,
    Present,
    Refused,
    Scan,
    ScanRequest,
    SyncState,
    UidlRef,
    UidRef,
    Unanswered,
    Unfetched,
)
from mailsync.stores.memory.server import MemoryBox, MemoryMessage, MemoryServer

WINDOW: Final = 8
"""Parcels that are in flight together: so many are without an answer when the connection breaks."""


class MemoryStore:
    """A session with a `MemoryServer`: Source, HeaderSource, TailSource and Destination of
    `stores.base` in one.

    `repair` makes the copy to be tried when a content is refused, with the words that tell a
    person, or None.
    """

    def __init__(
        self,
        server: MemoryServer,
        account: str = "memory",
        *,
        password: str = "secret",  # noqa: S107  of a server that is nowhere
        repair: Callable[[bytes], tuple[bytes, str] | None] = lambda _: None,
    ) -> None:
        self.account = account
        self._server = server
        self._password = password
        self._repair = repair

    @property
    def key(self) -> str:
        """Name the destination for the ledger."""
        return f"memory://{self.account}"

    def capabilities(self) -> Sequence[str]:
        """Return what the server can do, in IMAP's words."""
        server = self._server
        offered = {
            "CONDSTORE": server.condstore,
            "LIST-STATUS": server.status,
            "OBJECTID": server.object_ids,
            "UIDPLUS": server.uidplus,
        }
        return sorted(word for word, on in offered.items() if on)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def mailboxes(self) -> Sequence[Mailbox]:
        """List the mailboxes in the order they were made. Raises AuthenticationFailed."""
        if not hmac.compare_digest(self._password.encode(), self._server.password.encode()):
            raise AuthenticationFailed(self.account, "the server refuses the password")
        state = self._server.state if self._server.status else lambda _: None
        return [
            Mailbox(path, box.attributes, box.subscribed, state(path))
            for path, box in self._server.boxes.items()
        ]

    # as a source

    def scan(self, requests: Iterable[ScanRequest]) -> Iterator[Scan | MailboxError]:
        """Look at each mailbox as its turn comes; only at what changed where the server keeps
        mod-sequences.
        """
        for request in requests:
            box = self._server.boxes.get(request.mailbox.path)
            yield self._gone(request.mailbox.path) if box is None else self._look(request, box)

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        """Bring the content of each entry."""
        for entry in wanted:
            message = self._find(entry)
            if message is None:
                yield Unfetched(entry, "it was removed from the server meanwhile", expunged=True)
            elif why := self._server.withholds(message.content):
                yield Unfetched(entry, why)
            else:
                yield self._message(entry, self._server.send(message.content))

    def headers(self, wanted: Iterable[Entry]) -> Iterator[Excerpt]:
        """Bring header blocks."""
        for entry in wanted:
            if message := self._find(entry):
                yield Excerpt(entry, header.block(message.content))

    def tails(self, wanted: Iterable[Entry], octets: int) -> Iterator[Excerpt]:
        """Bring the last octets of each entry."""
        for entry in wanted:
            if message := self._find(entry):
                yield Excerpt(entry, message.content[max(len(message.content) - octets, 0) :])

    def pieces(
        self, wanted: Iterable[Entry], start: Callable[[Entry], int], octets: int
    ) -> Iterator[Excerpt]:
        """Bring so many octets of each entry from a place on."""
        for entry in wanted:
            if message := self._find(entry):
                yield Excerpt(entry, message.content[start(entry) : start(entry) + octets])

    # as a destination

    def create(self, wanted: Sequence[Mailbox]) -> Mapping[MailboxPath, MailboxError | None]:
        """Make mailboxes with their parents."""
        answers: dict[MailboxPath, MailboxError | None] = {}
        for mailbox in wanted:
            path = mailbox.path
            if path in self._server.forbidden:
                answers[path] = MailboxError(
                    self.account, path, f"the server will not make mailbox {show(path)}"
                )
                continue
            for depth in range(1, len(path)):
                self._server.make(path[:depth])
            box = self._server.make(path, *mailbox.special_use)
            box.subscribed = box.subscribed or mailbox.subscribed
            answers[path] = None
        return answers

    def state(self, mailbox: MailboxPath) -> SyncState:
        """Return the mailbox's state now. Raises MailboxError."""
        self._box(mailbox)
        return self._server.state(mailbox)

    def presence(self, mailbox: MailboxPath, first_uid: int = 1) -> Iterator[Present]:
        """List messages with their header blocks. Raises MailboxError."""
        box = self._box(mailbox)
        for uid, message in sorted(box.messages.items()):
            if uid >= first_uid:
                yield Present(
                    Entry(UidRef(mailbox, box.uidvalidity, uid), len(message.content)),
                    header.block(message.content),
                )

    def bodies(self, mailbox: MailboxPath, uids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Bring contents; those that are gone are left out. Raises MailboxError."""
        box = self._box(mailbox)
        return ((uid, box.messages[uid].content) for uid in uids if uid in box.messages)

    def append(self, parcels: Iterable[Parcel]) -> Iterator[Appended | Refused | Unanswered]:
        """Add each parcel; a refused one once more as its repaired copy."""
        rest = iter(parcels)
        while flight := list(itertools.islice(rest, WINDOW)):
            yield from self._fly(flight)

    def set_flags(
        self, mailbox: MailboxPath, changes: Mapping[int, tuple[frozenset[str], frozenset[str]]]
    ) -> Sequence[int]:
        """Add and remove flags; returns the UIDs that are still there. Raises MailboxError."""
        box = self._box(mailbox)
        existing = [uid for uid in changes if uid in box.messages]
        for uid in existing:
            add, remove = changes[uid]
            self._server.flag(mailbox, uid, *((box.messages[uid].flags | add) - remove))
        return existing

    def _look(self, request: ScanRequest, box: MemoryBox) -> Scan:
        path, since, now = (
            request.mailbox.path,
            request.since,
            self._server.state(request.mailbox.path),
        )
        entries = {uid: self._entry(path, box, uid) for uid in sorted(box.messages)}
        if (
            since is None
            or not since.highestmodseq
            or not now.highestmodseq
            or not _continues(since, now)
        ):
            return Scan(request.mailbox, now, tuple(entries.values()))
        seen = since.highestmodseq
        changed = tuple(entry for uid, entry in entries.items() if box.messages[uid].modseq > seen)
        vanished = tuple(range(uid, uid + 1) for modseq, uid in box.expunged if modseq > seen)
        return Scan(request.mailbox, now, changed, since, vanished)

    def _entry(self, path: MailboxPath, box: MemoryBox, uid: int) -> Entry:
        message = box.messages[uid]
        object_id = message.object_id if self._server.object_ids else None
        return Entry(
            UidRef(path, box.uidvalidity, uid),
            len(message.content),
            message.flags,
            message.internaldate,
            object_id,
        )

    def _find(self, entry: Entry) -> MemoryMessage | None:
        """Find what an entry names, unless the server lost it meanwhile."""
        ref = entry.ref
        box = self._server.boxes.get(ref.mailbox)
        if not isinstance(ref, UidRef) or box is None or box.uidvalidity != ref.uidvalidity:
            return None
        return box.messages.get(ref.uid)

    def _message(self, entry: Entry, content: bytes) -> Message:
        return Message(entry, content)

    def _fly(self, flight: Sequence[Parcel]) -> Iterator[Appended | Refused | Unanswered]:
        repairs: dict[int, tuple[bytes, str]] = {}

        def content(parcel: Parcel) -> bytes:
            if self._server.refuses(parcel.content) and (repaired := self._repair(parcel.content)):
                repairs[id(parcel)] = repaired
                return repaired[0]
            return parcel.content

        answers, broken = self._server.receive(flight, content)
        for parcel, answer in zip(flight, answers, strict=False):
            if isinstance(answer, str):
                yield Refused(parcel, answer)
                continue
            box = self._server.boxes[parcel.mailbox]
            uidvalidity, uid = (box.uidvalidity, answer) if self._server.uidplus else (None, None)
            repaired = repairs[id(parcel)][1] if id(parcel) in repairs else ""
            kept = box.messages.get(answer)
            flags = kept.flags if kept else parcel.message.flags
            yield Appended(parcel, uidvalidity, uid, flags, repaired)
        yield from (Unanswered(parcel) for parcel in flight[len(answers) :])
        if broken is not None and broken.final:
            raise ConnectionLost(self.account, "the connection broke, and retries are used up")

    def _box(self, path: MailboxPath) -> MemoryBox:
        if path not in self._server.boxes:
            raise self._gone(path)
        return self._server.boxes[path]

    def _gone(self, path: MailboxPath) -> MailboxMissing:
        return MailboxMissing(self.account, path, f"there is no mailbox {show(path)}")


class MemoryMaildrop(MemoryStore):
    """The inbox of a `MemoryServer` as POP3 shows it: no flags, no dates but those in headers; with
    `uidls` off, no UIDLs either.
    """

    uidls = True

    def mailboxes(self) -> Sequence[Mailbox]:
        """Return the one mailbox there is."""
        return [
            Mailbox(mailbox.path, subscribed=True)
            for mailbox in super().mailboxes()
            if mailbox.path == INBOX
        ]

    def _look(self, request: ScanRequest, box: MemoryBox) -> Scan:
        found = [(uid, message) for uid, message in sorted(box.messages.items())]
        refs = [
            UidlRef(b"%d.%d" % (box.uidvalidity, uid) if self.uidls else None, number)
            for number, (uid, _) in enumerate(found, 1)
        ]
        seen = frozenset({"\\Seen"})
        entries = tuple(
            Entry(ref, len(message.content), seen)
            for ref, (_, message) in zip(refs, found, strict=True)
        )
        return Scan(request.mailbox, SyncState(0, 0, len(entries)), entries)

    def _find(self, entry: Entry) -> MemoryMessage | None:
        ref, box = entry.ref, self._server.boxes[INBOX]
        if not isinstance(ref, UidlRef):
            return None
        if ref.uidl is None:
            messages = [message for _, message in sorted(box.messages.items())]
            return messages[ref.number - 1] if ref.number <= len(messages) else None
        uidvalidity, uid = map(int, ref.uidl.split(b"."))
        return box.messages.get(uid) if uidvalidity == box.uidvalidity else None

    def _message(self, entry: Entry, content: bytes) -> Message:
        return Message(
            replace(entry, internaldate=header.received_or_date(content, 2_000_000_000)), content
        )


def _continues(since: SyncState, now: SyncState) -> bool:
    """Whether changes since then can be listed: same UIDs, and nothing set back by a restored
    backup.
    """
    return (
        since.uidvalidity == now.uidvalidity
        and (since.highestmodseq or 0) <= (now.highestmodseq or 0)
        and since.uidnext <= now.uidnext
    )
