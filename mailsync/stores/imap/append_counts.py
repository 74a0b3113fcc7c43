"""Whether a mailbox grew by more messages than the server said it took: then something that it
refused may be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from mailsync.model import MailboxPath
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.list_response import status
from mailsync.stores.imap.reconnect import ReconnectingSession


class MailboxCounts:
    """How many messages mailboxes held, by STATUS in the flight of the first APPEND to each, and
    how many were taken since.
    """

    def __init__(self, link: ReconnectingSession) -> None:
        self._link = link
        self._generation = link.generation
        self._asked: dict[MailboxPath, Command] = {}
        self._taken: Counter[MailboxPath] = Counter()

    def ask(self, path: MailboxPath) -> None:
        """Have a mailbox counted, unless this connection did. Raises StoreUnavailable."""
        if self._generation != self._link.generation:
            self._generation = self._link.generation
            self._asked.clear()
        if path not in self._asked:
            self._count(path)

    def took(self, path: MailboxPath, messages: int) -> None:
        """Say that so many messages were added to a mailbox."""
        self._taken[path] += messages

    def grown(self, paths: Collection[MailboxPath]) -> set[MailboxPath]:
        """Return which of these mailboxes hold more than they held and took, and begin to count
        anew from here. Raises StoreUnavailable.
        """
        before = {path: self._asked.get(path) for path in paths}
        taken = {path: self._taken[path] for path in paths}
        for path in paths:
            self._count(path)
        grown = set()
        for path, command in before.items():
            then, now = self._answer(command), self._answer(self._asked[path])
            if then is not None and now is not None and now > then + taken[path]:
                grown.add(path)
        return grown

    def _count(self, path: MailboxPath) -> None:
        session = self._link.session
        name = session.mailbox(session.names.written(path))
        self._taken[path] = 0
        self._asked[path] = session.queue.send(b"STATUS ", name, b" (MESSAGES UIDNEXT UIDVALIDITY)")

    def _answer(self, command: Command | None) -> int | None:
        """Return how many messages the server counted; None where it does not say."""
        if command is None or not self._link.session.queue.wait(command).ok:
            return None
        found = (told for answer in command.answers if (told := status(answer)) is not None)
        return next((state.messages for _, state in found if state is not None), None)
