"""The mailboxes of an archive, and the messages in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from mailsync.app.archives import demand_account
from mailsync.app.choice import demand_match, selection_of
from mailsync.app.requests import ListRequest
from mailsync.archive import Archive, ArchivedMailbox
from mailsync.engine.selection import Selection
from mailsync.mapping import show
from mailsync.model import ArchivedMessage, MailboxPath

__all__ = ["ArchivedMailbox", "Listing", "mailbox_as_json", "opened"]


class Listing:
    """An archive while it is read: its chosen mailboxes, their messages, and when those vanished
    that are gone.
    """

    def __init__(
        self,
        archive: Archive,
        account: str,
        selection: Selection,
        mailboxes: Sequence[ArchivedMailbox],
    ) -> None:
        self.mailboxes = mailboxes
        self._archive = archive
        self._account = account
        self._selection = selection
        self._times: dict[int, tuple[int | None, int]] = {}

    def messages(self, mailbox: MailboxPath) -> Iterator[ArchivedMessage]:
        """Yield the chosen messages of a mailbox, oldest first."""
        chosen = self._selection
        for message in self._archive.messages(
            self._account, mailbox, include_gone=chosen.include_gone, as_of=chosen.as_of
        ):
            if chosen.message(message, self._archive.header):
                yield message

    def times(self, message: ArchivedMessage) -> tuple[int | None, int] | None:
        """Return between which times a message vanished; None for one that is there."""
        if message.gone_run is None:
            return None
        if message.gone_run not in self._times:
            self._times[message.gone_run] = self._archive.vanishing(message.gone_run)
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
                    "date": _iso(message.internaldate),
                    "message_id": message.message_id,
                    "subject": message.subject,
                    "sender": message.sender,
                    "copy": message.copy,
                    "gone": message.gone,
                    "gone_after": _iso(after),
                    "gone_by": _iso(by),
                }


@contextmanager
def opened(request: ListRequest) -> Iterator[Listing]:
    """Open the archive of a request for the length of a `with`.

    Raises ArchiveError, ConfigError for a time before the first pull, and NothingMatches.
    """
    login = request.account
    with Archive.read(login.directory) as archive:
        demand_account(archive, login)
        selection = selection_of(request.choice, archive, login)
        boxes = archive.mailboxes(login.name)
        if selection.globs:
            boxes = demand_match(selection, boxes, login)
        yield Listing(archive, login.name, selection, boxes)


def mailbox_as_json(box: ArchivedMailbox) -> dict[str, object]:
    """Return a mailbox as plain values."""
    return {
        "mailbox": show(box.path),
        "messages": box.live,
        "gone": box.gone,
        "octets": box.octets,
        "special_use": sorted(box.special_use),
        "subscribed": box.subscribed,
        "complete_at": box.complete_at,
        "incomplete": box.incomplete,
        "removed": box.removed,
    }


def _iso(moment: int | None) -> str | None:
    try:
        return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None
