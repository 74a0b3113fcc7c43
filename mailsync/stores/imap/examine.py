"""EXAMINE on its way or answered: the state of a mailbox before any later command (RFC 9051 section
6.3.3, RFC 7162 section 3.1.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailsync.model import MailboxPath, SyncState
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.list_response import status
from mailsync.stores.imap.response import NUMBER_LIMIT, UID_LIMIT, Result, number_of, result_of
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
    def counts(self) -> bool:
        """Whether the server told how many messages there are."""
        return any(
            answer.word == b"EXISTS" and answer.number is not None
            for answer in self.command.answers
        )

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
        number = number_of(said.argument, NUMBER_LIMIT) if said is not None else None
        if said is not None and number is not None:
            numbers[said.code] = number
    return SyncState(
        number_of(numbers.get(b"UIDVALIDITY"), UID_LIMIT) or 0,
        number_of(numbers.get(b"UIDNEXT"), UID_LIMIT) or 0,
        messages,
        numbers.get(b"HIGHESTMODSEQ") or None,
    )


def state_of(examined: Examined, listed: SyncState | None) -> SyncState:
    """Return the state of an opened mailbox, where EXAMINE did not tell UIDVALIDITY or UIDNEXT by
    what STATUS says: `listed` if it fits, else asked now.
    """
    state = examined.state
    if state.uidvalidity and state.uidnext:
        return state
    told = listed if _fits(listed, state) else status_of(examined)
    if told is None or not _fits(told, state):
        return state
    return replace(state, uidvalidity=told.uidvalidity, uidnext=state.uidnext or told.uidnext)


def _fits(told: SyncState | None, state: SyncState) -> bool:
    return (
        told is not None
        and told.messages == state.messages
        and state.uidvalidity in {0, told.uidvalidity}
        and state.uidnext in {0, told.uidnext}
    )


def status_of(examined: Examined) -> SyncState | None:
    """Ask STATUS what the mailbox of an EXAMINE is like; None when the server does not say."""
    session = examined.session
    name = session.mailbox(session.names.written(examined.path))
    command = session.queue.send(b"STATUS ", name, b" (MESSAGES UIDNEXT UIDVALIDITY)")
    session.queue.wait(command)
    answers = (found for answer in command.answers if (found := status(answer)) is not None)
    return next((state for _, state in answers), None)
