"""The mailboxes of an account, with what STATUS tells of them, in one round trip where the server
allows (RFC 5258, 5819, 6154).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from mailsync.errors import ProtocolViolation
from mailsync.model import Mailbox, SyncState
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.list_response import listed, status
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import trouble

OUTSTANDING: Final = 32 * 1024
"""Octets of commands in flight; more, and a server that cannot answer fast enough would no longer
read either.
"""


def list_mailboxes(session: Session) -> list[Mailbox]:
    """List the personal mailboxes with their attributes, subscription and state, in the server's
    order.

    A mailbox without a STATUS answer has state None. Raises StoreUnavailable of any kind.
    """
    if session.has(b"LIST-EXTENDED"):
        found = _extended(session)
        if found is not None:
            return found
    return _plain(session)


def _extended(session: Session) -> list[Mailbox] | None:
    """List by one LIST with RETURN options; None when the server promised more than it keeps."""
    options = [b"SUBSCRIBED"]
    if session.has(b"SPECIAL-USE"):
        options.insert(0, b"SPECIAL-USE")
    with_states = session.has(b"LIST-STATUS")
    if with_states:
        options.append(b"STATUS (" + _status_items(session) + b")")
    command = session.queue.send(b'LIST "" "*" RETURN (' + b" ".join(options) + b")")
    if not _done(session, command):
        return None
    boxes = _mailboxes(session, command, frozenset())
    return _with_states(boxes, [command] if with_states else _ask_states(session, boxes))


def _plain(session: Session) -> list[Mailbox]:
    everything = session.queue.send(b'LIST "" "*"')
    subscriptions = session.queue.send(b'LSUB "" "*"')
    if not _done(session, everything):
        result = session.queue.wait(everything)
        raise ProtocolViolation(
            session.account, f"the server does not list its mailboxes: {result.text}"
        )
    _done(session, subscriptions)
    subscribed = frozenset(
        line.name
        for answer in (*everything.answers, *subscriptions.answers)
        if answer.word == b"LSUB"
        and (line := listed(answer)) is not None
        and "\\Noselect" not in line.attributes
    )
    boxes = _mailboxes(session, everything, subscribed)
    return _with_states(boxes, _ask_states(session, boxes))


def _done(session: Session, command: Command) -> bool:
    result = session.queue.wait(command)
    stop = trouble(session.account, result.refusal, "listing the mailboxes")
    if stop is not None:
        raise stop
    return result.ok


def _mailboxes(
    session: Session, command: Command, subscribed: frozenset[bytes]
) -> dict[bytes, Mailbox]:
    """Read the LIST answers of a command, by the names the server wrote."""
    found: dict[bytes, Mailbox] = {}
    names = session.names
    for answer in command.answers:
        line = listed(answer) if answer.word == b"LIST" else None
        path = names.learn(line.name, line.delimiter) if line is not None and line.name else None
        if line is None or path is None:
            continue
        chosen = "\\Subscribed" in line.attributes or line.name in subscribed
        found[_key(line.name)] = Mailbox(path, line.attributes - {"\\Subscribed"}, chosen)
    return found


def _status_items(session: Session) -> bytes:
    items = [b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"]
    if session.has(b"CONDSTORE") or session.has(b"QRESYNC"):
        items.append(b"HIGHESTMODSEQ")
    if session.has(b"OBJECTID"):
        items.append(b"MAILBOXID")
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
        _done(session, command)  # a refusal leaves this mailbox without a state
    return commands


def _with_states(boxes: dict[bytes, Mailbox], commands: Iterable[Command]) -> list[Mailbox]:
    states: dict[bytes, tuple[SyncState | None, str | None]] = {}
    for command in commands:
        for answer in command.answers:
            found = status(answer)
            if found is not None:
                states[_key(found[0])] = found[1:]
    return [
        replace(box, state=states[name][0], object_id=states[name][1]) if name in states else box
        for name, box in boxes.items()
    ]


def _key(name: bytes) -> bytes:
    return b"INBOX" if name.upper() == b"INBOX" else name
