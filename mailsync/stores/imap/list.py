"""The mailboxes of an account, with what STATUS tells of them, in one round trip where the server
allows (RFC 5258, 5819, 6154).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from mailsync.errors import ProtocolViolation, StoreUnavailable
from mailsync.model import INBOX, Mailbox, MailboxPath, SyncState
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.list_response import listed, status
from mailsync.stores.imap.response import Answer
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import trouble

OUTSTANDING: Final = 32 * 1024
"""Octets of commands in flight; more, and a server that cannot answer fast enough would no longer
read either.
"""


MAILBOX_LIMIT: Final = 100_000
"""No account has more mailboxes; a server that lists more does not end."""

UNREADABLE_KEPT: Final = 100
"""So many lines that cannot be read are kept word by word."""

Pause: TypeAlias = Callable[[StoreUnavailable], None]
"""Waits as a busy server asks; raises the error when that is of no use any more."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The personal mailboxes, in the server's order; `unreadable` are the lines of the list that
    name a mailbox nobody can make out, as shown to people.
    """

    mailboxes: list[Mailbox]
    unreadable: list[str]


def _raise(error: StoreUnavailable) -> None:
    raise error


def list_mailboxes(session: Session, pause: Pause = _raise) -> Listing:
    """List the personal mailboxes with their attributes, subscription and state.

    A mailbox without a STATUS answer has state None. A server that has no time is asked again on
    the same connection once `pause` returns. Raises StoreUnavailable of any kind.
    """
    return _Lister(session, pause).listing()


def inbox_state(session: Session) -> SyncState | None:
    """Ask for the state of the INBOX, which every account has (RFC 9051 section 5.1), whatever the
    list says; None where the server does not tell it.
    """
    boxes = {b"INBOX": Mailbox(INBOX)}
    return _with_states(boxes, _ask_states(session, boxes))[0].state


class _Lister:
    def __init__(self, session: Session, pause: Pause) -> None:
        self._session = session
        self._pause = pause
        self._unreadable: list[str] = []

    def listing(self) -> Listing:
        found = self._extended() if self._session.has(b"LIST-EXTENDED") else None
        if found is None:
            found = self._plain()
        return Listing(found, self._unreadable)

    def _extended(self) -> list[Mailbox] | None:
        """List by one LIST with RETURN options; None when the server promised more than it
        keeps.
        """
        session = self._session
        options = [b"SUBSCRIBED"]
        if session.has(b"SPECIAL-USE"):
            options.insert(0, b"SPECIAL-USE")
        with_states = session.has(b"LIST-STATUS")
        if with_states:
            options.append(b"STATUS (" + _status_items(session) + b")")
        line = b'LIST "" "*" RETURN (' + b" ".join(options) + b")"
        command = self._answered(line, session.queue.send(line))
        if not _ok(command):
            return None
        boxes = self._mailboxes(command, frozenset())
        return _with_states(boxes, [command] if with_states else _ask_states(session, boxes))

    def _plain(self) -> list[Mailbox]:
        session = self._session
        lines = (b'LIST "" "*"', b'LSUB "" "*"')
        sent = [(line, session.queue.send(line)) for line in lines]
        everything, subscriptions = (self._answered(line, command) for line, command in sent)
        if not _ok(everything):
            result = session.queue.wait(everything)
            raise ProtocolViolation(
                session.account, f"the server does not list its mailboxes: {result.text}"
            )
        subscribed = frozenset(
            line.name
            for answer in (*everything.answers, *subscriptions.answers)
            if answer.word == b"LSUB"
            and (line := listed(answer)) is not None
            and "\\Noselect" not in line.attributes
        )
        boxes = self._mailboxes(everything, subscribed)
        return _with_states(boxes, _ask_states(session, boxes))

    def _answered(self, line: bytes, command: Command) -> Command:
        """Wait for a command, and send it again as long as the server has no time for it."""
        session = self._session
        while True:
            result = session.queue.wait(command)
            session.demand_owner(result.refusal)
            stop = trouble(session.account, result.refusal, "listing the mailboxes")
            if stop is None:
                return command
            self._pause(stop)
            command = session.queue.send(line)

    def _mailboxes(self, command: Command, subscribed: frozenset[bytes]) -> dict[bytes, Mailbox]:
        """Read the LIST answers of a command, by the names the server wrote."""
        found: dict[bytes, Mailbox] = {}
        paths: set[MailboxPath] = set()
        names = self._session.names
        answers = [answer for answer in command.answers if answer.word == b"LIST"]
        for inbox in filter(None, map(listed, answers)):
            if inbox.name == b"INBOX":
                names.learn(inbox.name, inbox.delimiter)  # before an `Inbox` takes its place
        for answer in answers:
            line = listed(answer)
            if line is None:
                self._note(answer)
                continue
            path = names.learn(line.name, line.delimiter) if line.name else None
            if path is None or line.name in found:
                continue
            if path in paths:
                self._note(answer)
                continue
            paths.add(path)
            chosen = "\\Subscribed" in line.attributes or line.name in subscribed
            found[line.name] = Mailbox(path, line.attributes - {"\\Subscribed"}, chosen)
        if len(found) > MAILBOX_LIMIT:
            raise ProtocolViolation(
                self._session.account, f"the server lists more than {MAILBOX_LIMIT} mailboxes"
            )
        return found

    def _note(self, answer: Answer) -> None:
        if len(self._unreadable) < UNREADABLE_KEPT:
            self._unreadable.append(self._session.queue.shown(b" ".join(answer)))


def _ok(command: Command) -> bool:
    return command.result is not None and command.result.ok


def _status_items(session: Session) -> bytes:
    items = [b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"]
    if session.has(b"CONDSTORE") or session.has(b"QRESYNC"):
        items.append(b"HIGHESTMODSEQ")
    return b" ".join(items)


def _ask_states(session: Session, boxes: dict[bytes, Mailbox]) -> list[Command]:
    """Ask STATUS of each mailbox, as many in flight as is safe."""
    commands: list[Command] = []
    waiting = 0
    items = _status_items(session)
    for box in boxes.values():
        if not box.selectable:
            continue
        while session.queue.outstanding > OUTSTANDING:
            session.queue.wait(commands[waiting])
            waiting += 1
        name = session.mailbox(session.names.written(box.path))
        commands.append(session.queue.send(b"STATUS ", name, b" (" + items + b")"))
    for command in commands[waiting:]:
        session.queue.wait(command)  # a refusal leaves this mailbox without a state
    return commands


def _with_states(boxes: dict[bytes, Mailbox], commands: Iterable[Command]) -> list[Mailbox]:
    states: dict[bytes, SyncState | None] = {}
    for command in commands:
        for answer in command.answers:
            found = status(answer)
            if found is not None:
                name, state = found
                states[name if name in boxes else _folded(name)] = state
    with_states = [
        replace(box, state=states.get(name, states.get(_folded(name))))
        for name, box in boxes.items()
    ]
    inbox = next((box for box in with_states if box.path == INBOX), None)
    return [
        box
        for name, box in zip(boxes, with_states, strict=True)
        if box is inbox or _folded(name) != b"INBOX" or not _is_same(box, inbox)
    ]


def _is_same(box: Mailbox, inbox: Mailbox | None) -> bool:
    """Whether a mailbox that is called like INBOX but for the case of its letters is the INBOX."""
    return inbox is not None and box.state is not None and box.state == inbox.state


def _folded(name: bytes) -> bytes:
    return b"INBOX" if name.upper() == b"INBOX" else name
