"""How much more a server lets in, as its quotas tell (RFC 9208, RFC 2087).

Asks GETQUOTAROOT; changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mailsync.model import MailboxPath, Room
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.list import OUTSTANDING
from mailsync.stores.imap.response import Answer
from mailsync.stores.imap.session import Session

_UNIT: Final = 1024
"""STORAGE is counted in units of so many octets (RFC 9208 section 5.1)."""

_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s()"]+)', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_STORAGE: Final = re.compile(
    rb"\([^()]*\bSTORAGE +(\d{1,19}) +(\d{1,19})\b[^()]*\)\s*\Z", re.IGNORECASE
)
_MARKER: Final = re.compile(rb"~?\{\d+\+?\}\Z")


def rooms(session: Session, mailboxes: Sequence[MailboxPath]) -> list[Room]:
    """Ask for the room of each mailbox, all in one flight. A server that tells of none limits none.

    The mailboxes need not be there (RFC 9208 section 4.2), though some servers refuse to tell of
    those that are not.
    """
    if not any(
        word == b"QUOTA" or word.startswith(b"QUOTA=RES-STORAGE") for word in session.capabilities
    ):
        return []
    flights: list[Command] = []
    waiting = 0
    for path in mailboxes:
        while session.queue.outstanding > OUTSTANDING and waiting < len(flights):
            session.queue.wait(flights[waiting])
            waiting += 1
        flights.append(
            session.queue.send(b"GETQUOTAROOT ", session.mailbox(session.names.written(path)))
        )
    bounded: dict[bytes, set[MailboxPath]] = {}
    left: dict[bytes, int] = {}
    for path, command in zip(mailboxes, flights, strict=True):
        if not session.queue.wait(command).ok:
            continue
        for answer in command.answers:
            for root in roots_of(answer):
                bounded.setdefault(root, set()).add(path)
            storage = storage_of(answer)
            if storage is not None:
                left[storage[0]] = storage[1]
    return [Room(frozenset(paths), left[root]) for root, paths in bounded.items() if root in left]


def roots_of(answer: Answer) -> list[bytes]:
    """Read the roots of a QUOTAROOT answer; none for any other answer."""
    return _strings(answer)[2:] if answer.word == b"QUOTAROOT" else []


def storage_of(answer: Answer) -> tuple[bytes, int] | None:
    """Read a QUOTA answer: the root, and how many octets may still come; None when it does not
    limit them.

    A limit of 0 is how some servers write that there is none; a mailbox that nothing fits into says
    so by itself.
    """
    if answer.word != b"QUOTA":
        return None
    found = _STORAGE.search(answer[-1])
    strings = _strings(answer)
    if found is None or len(strings) < 2 or not int(found[2]):  # the word itself and the root
        return None
    return strings[1], max(0, int(found[2]) - int(found[1])) * _UNIT


def _strings(answer: Answer) -> list[bytes]:
    """Split an answer into atoms, quoted strings and literals."""
    found: list[bytes] = []
    for index, part in enumerate(answer):
        if index % 2:
            found.append(part)
        else:
            text = _MARKER.sub(b"", part) if index < len(answer) - 1 else part
            found += [
                _ESCAPED.sub(rb"\1", quoted) if quoted or not atom else atom
                for quoted, atom in _STRING.findall(text)
            ]
    return found
