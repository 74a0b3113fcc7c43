"""One pull into the archive: what it takes in, and what it recognises as stored already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import ClassVar, Self

from mailsync import identity
from mailsync.archive.bounds import storable, storable_state, storable_uids
from mailsync.archive.catalogue import LACKING, FileState
from mailsync.archive.content_store import ContentStore
from mailsync.archive.group_commit import GroupCommit
from mailsync.archive.last_known import LastKnown, RunMemory
from mailsync.archive.rebuilt import RebuiltMessages
from mailsync.archive.recognition import Recognition
from mailsync.archive.vanishing import Vanishing
from mailsync.model import (
    Entry,
    Kind,
    Mailbox,
    MailboxPath,
    Message,
    Scan,
    Stored,
)


@dataclass(frozen=True, slots=True)
class ServerOf:
    """The server a pull is about, as text that tells it from any other; empty for one that needs
    no telling. `moved`: the same mail has another server now, so that nothing is matched by UID,
    UIDL or any other id. `files`: it is none, but files that are read into an account of another
    one, as text that tells them from others.
    """

    name: str = ""
    moved: bool = False
    files: str = ""


class PullRun(Recognition, RunMemory):
    """A context manager; an exception leaves the last commit as the truth and the run unfinished.

    Everything is in one catalogue transaction a group, committed only after the group's files and
    directories are on disk.
    """

    kind: ClassVar = "pull"

    def __init__(
        self,
        group: GroupCommit,
        account: str,
        server: ServerOf,
        *,
        dedupe: str,
        clock: Callable[[], float],
    ) -> None:
        self._group = group
        catalogue = group.catalogue
        self._clock = clock
        self.started = int(clock())
        self._dedupe = dedupe
        self._guesses: bool | None = None
        self._server: ServerOf | None = server
        self._reads = server.files
        self._mailboxes: dict[MailboxPath, int] = {}
        with group.turn:
            catalogue.begin()
            row = catalogue.accounts.make(account)
            run = catalogue.runs.start(row, self.kind, self.started)
            catalogue.commit()
            group.begin_pull()
            last_known = LastKnown(catalogue, account, server.files)
        super().__init__(catalogue, group.tree, (group.turn, group.storing), row, run)
        RunMemory.__init__(self, last_known, group.turn, self.started)
        self._placements = catalogue.placements(self.id)
        self._contents = ContentStore(catalogue, group.tree, dedupe, self.id)
        self._rebuilt = RebuiltMessages(group, self._contents)
        self.vanishing = Vanishing(catalogue, group.storing, self.id, self._mailbox)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._group.turn:
            self._group.break_off_pull()

    @property
    def taken(self) -> int:
        """How many messages were taken in."""
        return self._group.taken

    @property
    def durable(self) -> int:
        """How many of them, the first ones, are durable."""
        return self._group.durable

    # what is taken in

    def mailbox(self, mailbox: Mailbox) -> None:
        """Remember that a mailbox is on the server, with its roles and subscription."""
        with self._group.storing:
            self._settle_server()
            self._catalogue.mailboxes.listed(self._mailbox(mailbox.path), mailbox)

    def absent(self, listed: Collection[MailboxPath]) -> list[MailboxPath]:
        """Mark mailboxes that a complete list does not name as gone; return the newly gone."""
        held, on_server = self._catalogue.mailboxes, set(listed)
        with self._group.storing:
            absent = [one for one in held.not_removed(self._account) if one not in on_server]
            for row in map(self._mailbox, absent):
                self._placements.mark_all_gone(row)
                held.remove(row, self.id)
        return absent

    def still(self, mailboxes: Iterable[MailboxPath]) -> None:
        """Say that the server's counters show no news in mailboxes since they were last whole."""
        with self._group.storing:
            self._catalogue.mailboxes.checked(map(self._mailbox, mailboxes), self.started)

    def retire(self, mailbox: MailboxPath) -> None:
        """Say that the UIDs held of a mailbox mean other messages now; the messages stay live until
        the next complete scan.
        """
        with self._group.storing:
            row = self._mailbox(mailbox)
            self._placements.retire(row)
            self._catalogue.mailboxes.drop_state(row)

    def add(self, message: Message) -> Stored:
        """Take in a message.

        It is durable after `flush`, which comes by itself once a group is full.
        """
        with self._group.storing:
            entry, content = _recorded(message), message.content
            path = entry.ref.mailbox
            mailbox = self._mailbox(path)
            print_ = identity.fingerprint(content)
            received, date = (content, print_), _date(entry, self.started)
            if message.rebuilt:
                stowed = self._rebuilt.stow(path, received, date, entry.flags)
            else:
                held = self._own_file(mailbox, entry, print_.digest)
                stowed = self._contents.stow(path, received, date, entry.flags, held)
                if stowed.new:
                    self._rebuilt.supersede(content, print_)
            place = (mailbox, entry, stowed.file, print_.digest)
            if not self._placements.insert(*place, matched=False):
                self._rename(self._placements.replace(*place), entry.flags)
            if stowed.mended:
                self._placements.hold_anew(stowed.file)
            self._group.take_in()
        kind = Kind.MENDED if stowed.mended else Kind.NEW if stowed.new else Kind.DUPLICATE
        return Stored(kind, stowed.digest, stowed.collides)

    def doubt(self, entry: Entry) -> None:
        """Say that what was taken in for an entry is not it; the next run asks for it again."""
        with self._group.storing:
            self._placements.doubt(self._mailbox(entry.ref.mailbox), storable(entry))

    def match(self, entry: Entry, digest: bytes) -> Stored | None:
        """Record that a message whose content is here already is in a mailbox, without having
        fetched it.

        None: no file holds that content soundly any more, nothing was recorded, and the message
        must be fetched.
        """
        entry = storable(entry)
        with self._group.storing:
            mailbox = self._mailbox(entry.ref.mailbox)
            known = self._placements.find(mailbox, entry, digest)
            if known is None:
                file = self._contents.place(
                    entry.ref.mailbox, digest, _date(entry, self.started), entry.flags
                )
                if file is None:
                    return None
                self._placements.insert(mailbox, entry, file, digest, matched=True)
            elif self._placements.file_of(known)[1] is not FileState.SOUND:
                return None
            self._group.take_in()
        return Stored(Kind.MATCHED, digest)

    def reflag(self, entries: Iterable[Entry]) -> int:
        """Give known messages the flags they have now; one that was gone is live again.

        Returns how many changed.
        """
        changed = 0
        with self._group.storing:
            for entry in map(storable, entries):
                placement = self._placements.find(self._mailbox(entry.ref.mailbox), entry, None)
                if placement is not None:
                    file = self._placements.reflag(placement, entry.flags)
                    changed += file is not None
                    self._rename(file, entry.flags)
                    self._group.take_in(message=False)
        return changed

    def mark_gone(self, mailbox: MailboxPath, uidvalidity: int, uids: Iterable[int]) -> int:
        """Say that live messages are not there any more, and stay here; returns how many."""
        with self._group.storing:
            return self._placements.mark_gone(
                self._mailbox(mailbox), uidvalidity, storable_uids(uids)
            )

    def complete(self, scan: Scan) -> int:
        """Advance a mailbox to the state of a scan whose messages were all taken in.

        Messages live under an older UIDVALIDITY become gone; returns how many of them were not seen
        again under the new one.
        """
        with self._group.storing:
            row, state = self._mailbox(scan.mailbox.path), storable_state(scan.state)
            if self._has_unconfirmed():
                self._placements.confirm(row)
            missed = (
                self._placements.end_retired(row, state.uidvalidity)
                if scan.absence_means_gone
                else 0
            )
            self._catalogue.mailboxes.complete(row, state, self.id, self.started)
        return missed

    def incomplete(self, mailbox: MailboxPath) -> None:
        """Say that something of a mailbox is missing, so that it is looked at again."""
        with self._group.storing:
            self._catalogue.mailboxes.incomplete(self._mailbox(mailbox))

    # when it becomes durable

    def flush(self) -> None:
        """Put everything taken in so far on disk, then commit it.

        Where that fails the run is over: it takes in nothing more, and the last commit stays the
        truth.
        """
        with self._group.storing:
            self._group.flush()

    def finish(self, *, complete: bool, report: Mapping[str, object]) -> None:
        """Flush and end the run."""
        with self._group.storing:
            self._group.flush()
            self._catalogue.runs.end(self.id, int(self._clock()), complete=complete, report=report)
            self._group.end_pull()

    def _settle_server(self) -> None:
        """Remember which server it is, once it has answered."""
        server, self._server = self._server, None
        if server is not None and server.moved:
            self._catalogue.moves.make(self._account, server.name, self.id)
        elif server is not None and server.name:
            self._catalogue.accounts.remember(self._account, server.name)

    def _own_file(self, mailbox: int, entry: Entry, digest: bytes) -> int | None:
        """Return the file of the placement a message is fetched for again, where no other placement
        shares it.
        """
        if self._dedupe != "none":
            return None
        known = self._placements.find(mailbox, entry, digest)
        return None if known is None else self._placements.file_of(known)[0]

    def _rename(self, file: int | None, flags: frozenset[str]) -> None:
        if file is not None:
            self._contents.reflag(file, flags)

    def _has_unconfirmed(self) -> bool:
        if self._guesses is None:
            self._guesses = self._catalogue.runs.has_guesses(self._account)
        return self._guesses

    def _mailbox(self, path: MailboxPath) -> int:
        self._group.demand_whole()
        row = self._mailboxes.get(path)
        if row is None:
            folder, _ = self._contents.folder(path)
            row = self._mailboxes[path] = self._catalogue.mailboxes.make(self._account, folder)
        return row


def _date(entry: Entry, otherwise: int) -> int:
    return otherwise if entry.internaldate is None else entry.internaldate


def _recorded(message: Message) -> Entry:
    """Return the entry to record for a message; of a part only, under a size no listing shows."""
    entry = storable(message.entry)
    return replace(entry, size=LACKING) if message.lacking else entry
