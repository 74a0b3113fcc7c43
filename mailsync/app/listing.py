"""The mailboxes of an archive, the messages in them, and what they lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from mailsync.app.archives import demand_account
from mailsync.app.choice import as_of, chosen_of, demand_messages, left_out
from mailsync.app.requests import Choice, ListRequest
from mailsync.archive import Archive, ArchivedMailbox
from mailsync.engine.chosen import Chosen, Loss
from mailsync.mapping import show
from mailsync.model import ArchivedMessage, MailboxPath

__all__ = ["ArchivedMailbox", "Listing", "Loss", "loss_as_json", "mailbox_as_json", "opened"]


class Listing:
    """An archive while it is read: its chosen mailboxes, their messages, and when those vanished
    that are gone.
    """

    def __init__(self, chosen: Chosen, choice: Choice) -> None:
        self._chosen = chosen
        self._choice = choice
        self._times: dict[int, tuple[int | None, int]] = {}

    @property
    def mailboxes(self) -> Sequence[ArchivedMailbox]:
        """The chosen mailboxes, the inbox first."""
        return self._chosen.mailboxes

    @property
    def as_of(self) -> str:
        """Which pull a listing as of a time shows, in words; empty for now."""
        return as_of(self._chosen)

    def messages(self, mailbox: MailboxPath) -> Iterator[ArchivedMessage]:
        """Yield the chosen messages of a mailbox, oldest first."""
        return self._chosen.messages(mailbox)

    def losses(self) -> Sequence[Loss]:
        """Return what left the chosen mailboxes, of the chosen messages."""
        return self._chosen.losses()

    def left_out(self) -> Sequence[str]:
        """Return what the choice leaves out that is not on the server where it was, in words."""
        return left_out(self._chosen)

    def demand_messages(self) -> None:
        """Raise NothingMatches where no message is what was chosen."""
        demand_messages(self._choice, self._chosen)

    def moved(self, mailbox: ArchivedMailbox) -> int:
        """Return how many messages left a mailbox and live on, in another one or in it again."""
        return (
            len(self._chosen.archive.moved(self._chosen.account, mailbox.path))
            if mailbox.gone
            else 0
        )

    def times(self, message: ArchivedMessage) -> tuple[int | None, int] | None:
        """Return between which times a message vanished; None for one that is there."""
        if message.gone_run is None:
            return None
        if message.gone_run not in self._times:
            self._times[message.gone_run] = self._chosen.archive.vanishing(message.gone_run)
        return self._times[message.gone_run]

    def as_json(self) -> Iterator[dict[str, object]]:
        """Yield message by message as plain values, so that a hundred thousand need no memory."""
        for box in self.mailboxes:
            for message in self.messages(box.path):
                after, by = self.times(message) or (None, None)
                yield {
                    "mailbox": show(message.mailbox),
                    "digest": message.digest.hex(),
                    "octets": message.size,
                    "flags": sorted(message.flags),
                    "internaldate": message.internaldate,
                    "date": iso(message.internaldate),
                    "message_id": message.message_id,
                    "subject": message.subject,
                    "sender": message.sender,
                    "copy": message.copy,
                    "gone": message.gone,
                    "gone_after": iso(after),
                    "gone_by": iso(by),
                }


@contextmanager
def opened(request: ListRequest) -> Iterator[Listing]:
    """Open the archive of a request for the length of a `with`.

    Raises ArchiveError, NothingMatches where no mailbox is called so, and ConfigError for a time
    before the first pull.
    """
    login = request.account
    with Archive.read(login.directory) as archive:
        demand_account(archive, login)
        yield Listing(chosen_of(request.choice, archive, login), request.choice)


def mailbox_as_json(box: ArchivedMailbox, moved: int) -> dict[str, object]:
    """Return a mailbox as plain values; `moved` as of `Listing`."""
    return {
        "mailbox": show(box.path),
        "messages": box.live,
        "gone": box.gone,
        "moved": moved,
        "octets": box.octets,
        "special_use": sorted(box.special_use),
        "subscribed": box.subscribed,
        "complete_at": box.complete_at,
        "incomplete": box.incomplete,
        "removed": box.removed,
    }


def loss_as_json(loss: Loss) -> dict[str, object]:
    """Return what a mailbox lost as plain values."""
    return {
        "mailbox": show(loss.mailbox),
        "lost": loss.lost,
        "restored": loss.restored,
        "moved": [{"mailbox": show(path), "messages": count} for path, count in loss.moved.items()],
        "gone_after": iso(loss.after),
        "gone_by": iso(loss.by),
    }


def iso(moment: int | None) -> str | None:
    """Return a time as `2026-03-01T08:00:00+00:00`; None for none, and for none of a calendar."""
    try:
        return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None
