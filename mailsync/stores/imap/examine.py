"""EXAMINE on its way or answered: the state of a mailbox before any later command (RFC 9051 section
6.3.3, RFC 7162 section 3.1.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from mailsync.model import MailboxPath, SyncState
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.response import Result, result_of
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import trouble


@dataclass(slots=True)
class Examined:
    """An EXAMINE on its way, or answered; the mailbox is selected, read-only, for every command
    sent after it.
    """

    path: MailboxPath
    session: Session
    command: Command
    _state: SyncState | None = None

    def wait(self) -> Result:
        """Wait for the answer.

        Raises a retryable error when the connection is gone or the server has no time for us.
        """
        result = self.session.queue.wait(self.command)
        stop = trouble(self.session.account, result.refusal, "opening a mailbox")
        if stop is not None:
            raise stop
        return result

    @property
    def refused(self) -> bool:
        """Whether the server is known to have said no."""
        return self.command.result is not None and not self.command.result.ok

    @property
    def state(self) -> SyncState:
        """The mailbox's state before any later command; UIDVALIDITY and UIDNEXT are 0 where the
        server did not tell.
        """
        if self._state is None:
            self._state = _state(self.command)
        return self._state


def _state(command: Command) -> SyncState:
    """Read the answers of an EXAMINE (RFC 9051 section 6.3.3, RFC 7162 section 3.1.2)."""
    messages = 0
    numbers: dict[bytes, int] = {}
    for answer in command.answers:
        if answer.word == b"EXISTS":
            messages = answer.number or 0
            continue
        said = result_of(answer.line)
        if said is not None and said.argument.isdigit() and len(said.argument) < 20:
            numbers[said.code] = int(said.argument)
    return SyncState(
        numbers.get(b"UIDVALIDITY", 0),
        numbers.get(b"UIDNEXT", 0),
        messages,
        numbers.get(b"HIGHESTMODSEQ") or None,
    )
