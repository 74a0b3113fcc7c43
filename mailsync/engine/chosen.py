"""The messages of an archive that a selection chooses, for whoever lists, counts or sends them, so
that all agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mailsync.archive import Archive, ArchivedMailbox
from mailsync.engine.selection import Selection
from mailsync.model import ArchivedMessage, LedgerKey, MailboxPath


@dataclass(frozen=True, slots=True)
class Loss:
    """What left one mailbox: so many `lost` messages, that live nowhere else now, such as were
    `restored` to it since, which the next pull will see, and those that
    `moved`, by the mailbox they came to; between which times (epoch seconds), the first of them
    None if nobody knows.
    """

    mailbox: MailboxPath
    lost: int
    restored: int
    moved: Mapping[MailboxPath, int]
    after: int | None
    by: int


@dataclass(slots=True)
class _Loss:
    """A `Loss` in the making."""

    lost: int = 0
    restored: int = 0
    moved: Counter[MailboxPath] = field(default_factory=Counter)
    runs: set[int] = field(default_factory=set)


class Chosen:
    """The mailboxes and messages of an account's archive that a selection chooses."""

    def __init__(
        self, archive: Archive, account: str, selection: Selection, home: str = ""
    ) -> None:
        """`home` is what the ledger calls the account's own server."""
        self._home = home
        self.archive = archive
        self.account = account
        self.selection = selection
        self._moved: dict[MailboxPath, Mapping[bytes, Sequence[MailboxPath]]] = {}
        self._met: dict[MailboxPath, set[bytes]] = {}
        self._superseded: dict[MailboxPath, Mapping[tuple[bytes, int], LedgerKey]] = {}

    @cached_property
    def mailboxes(self) -> Sequence[ArchivedMailbox]:
        """The chosen mailboxes, those that left the server too."""
        boxes = self.archive.mailboxes(self.account)
        return [box for box in boxes if self.selection.mailbox(box.path)]

    def messages(self, mailbox: MailboxPath) -> Iterator[ArchivedMessage]:
        """Yield the chosen messages of a mailbox, oldest first.

        Choosing may read every header; `held` does not choose.
        """
        unconfirmed = self.unconfirmed(mailbox)
        for message in self.held(mailbox):
            if (
                self.selection.message(message, self.archive.header)
                and not self._is_left_out(message)
                and (message.digest, message.copy) not in unconfirmed
            ):
                yield message

    def unconfirmed(self, mailbox: MailboxPath) -> frozenset[tuple[bytes, int]]:
        """Return the messages (digest and copy) of a mailbox that are left out because nobody knows
        whether they are on their server still.
        """
        chosen = self.selection
        if not chosen.sending or chosen.include_gone or chosen.as_of is not None:
            return frozenset()
        return self.archive.unconfirmed(self.account, mailbox)

    def _is_left_out(self, message: ArchivedMessage) -> bool:
        """Return whether a message is in its mailbox again, or lives in another one now."""
        if message.gone and self._is_superseded(message):
            return True
        if message.identity in self._met.get(message.mailbox, ()):
            return True
        past = self.selection.sending and self.selection.as_of is not None
        if self.selection.also_moved or not (message.gone or past):
            return False
        return bool(self.places(message))

    def moved(self, mailbox: MailboxPath) -> Counter[MailboxPath]:
        """Return where chosen messages live now that left a mailbox, by the first of these
        mailboxes.
        """
        found: Counter[MailboxPath] = Counter()
        for message in self.held(mailbox):
            if self.selection.message(message, self.archive.header):
                found.update(self.places(message)[:1])
        return found

    def leave_out(self, mailbox: MailboxPath, identities: Iterable[bytes]) -> None:
        """Choose these messages of a mailbox no more: they were met in another one."""
        self._met.setdefault(mailbox, set()).update(identities)

    def superseded(self, mailbox: MailboxPath) -> Mapping[tuple[bytes, int], LedgerKey]:
        """Return the copies (by digest and number, with what the ledger calls them) that left a
        mailbox, and for which another copy came to it afterwards.
        """
        found = self._superseded.get(mailbox)
        if found is None:
            found = self._superseded[mailbox] = self.archive.superseded(self.account, mailbox)
        return found

    def _is_superseded(self, message: ArchivedMessage) -> bool:
        return (message.digest, message.copy) in self.superseded(message.mailbox)

    def held(self, mailbox: MailboxPath) -> Iterator[ArchivedMessage]:
        """Yield all messages of a mailbox among which the selection chooses, in the same order."""
        chosen = self.selection
        return self.archive.messages(
            self.account, mailbox, include_gone=chosen.include_gone, as_of=chosen.as_of
        )

    def places(self, message: ArchivedMessage) -> Sequence[MailboxPath]:
        """Return the other mailboxes to which a message went that left the one it was in; none for
        one that is lost.
        """
        found = self._moved.get(message.mailbox)
        if found is None:
            found = self.archive.moved(self.account, message.mailbox)
            self._moved[message.mailbox] = found
        return [path for path in found.get(message.identity, ()) if path != message.mailbox]

    def losses(self) -> list[Loss]:
        """Return what left the chosen mailboxes, of the chosen messages, whether or not these would
        be chosen with those that are gone.
        """
        wanted = replace(self.selection, include_gone=True)
        found: list[Loss] = []
        for box in self.mailboxes:
            loss = _Loss()
            restored = self.archive.restored(self.account, box.path, self._home)
            for message in self.archive.messages(self.account, box.path, include_gone=True):
                if message.gone_run is None or not wanted.message(message, self.archive.header):
                    continue
                if self._is_superseded(message):
                    continue
                places = self.places(message)
                loss.runs.add(message.gone_run)
                back = (message.digest, message.copy) in restored
                loss.restored += back
                loss.lost += not (places or back)
                loss.moved.update([] if back else places[:1])
            if loss.runs:
                found.append(self._dated(box.path, loss))
        return found

    def _dated(self, mailbox: MailboxPath, loss: _Loss) -> Loss:
        after, _ = self.archive.vanishing(min(loss.runs))
        _, by = self.archive.vanishing(max(loss.runs))
        return Loss(mailbox, loss.lost, loss.restored, loss.moved, after, by)
