"""What a pull found gone: how many messages of a mailbox, and where they are now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from mailsync.archive.catalogue import Catalogue
from mailsync.model import MailboxPath


class Vanishing:
    """Questions of the run `run` about what it missed itself; to be asked at its end."""

    def __init__(
        self,
        catalogue: Catalogue,
        turn: AbstractContextManager[object],
        run: int,
        row: Callable[[MailboxPath], int],
    ) -> None:
        self._catalogue = catalogue
        self._turn = turn
        self._run = run
        self._row = row

    def messages(self, mailbox: MailboxPath) -> list[Sequence[MailboxPath]]:
        """Return for each message that this run found gone from a mailbox, and not there again,
        to which mailboxes it came instead.
        """
        with self._turn:
            departures, row = self._catalogue.departures, self._row(mailbox)
            moved = departures.moved(row, self._run)
            found = [moved.get(identity, ()) for identity in departures.left(row, self._run)]
        return [places for places in found if mailbox not in places]

    def left(self, mailbox: MailboxPath) -> int:
        """Return how many messages are in a mailbox still."""
        with self._turn:
            return self._catalogue.placements(self._run).live(self._row(mailbox))
