"""What is in a mailbox of a destination already: header blocks in windows, and one whole message
where headers do not tell enough.

EXAMINE and BODY.PEEK only: looking changes nothing.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Container, Iterator
from typing import Final

from mailsync.errors import MailboxError
from mailsync.mapping import show
from mailsync.model import NO_FLAGS, Entry, MailboxPath, Present, UidRef
from mailsync.stores.imap.command_queue import Answer, Command, Result
from mailsync.stores.imap.fetch_response import body_of, epoch, flags_of, line_of, uid_set
from mailsync.stores.imap.list import OUTSTANDING
from mailsync.stores.imap.reconnect import Examined, Link
from mailsync.stores.refusals import trouble

LOOK: Final = 500
"""Messages asked for in one command."""

LOOKS_AHEAD: Final = 4

_ITEM: Final = (
    rb"(?:UID (\d{1,10})|FLAGS \(([^()\"{]*)\)|RFC822\.SIZE (\d{1,15})|INTERNALDATE"
    rb" \"([^\"\\]{20,30})\"|MODSEQ \(\d{1,20}\))"
)
_HEAD: Final = re.compile(
    rb"\d+ FETCH \((?:" + _ITEM + rb" )*BODY\[HEADER\] ~?\{\d{1,20}\+?\}\Z", re.IGNORECASE
)
_REST: Final = re.compile(rb"(?: " + _ITEM + rb")*\)\Z", re.IGNORECASE)


def messages_there(
    link: Link, account: str, mailbox: MailboxPath, first_uid: int, seen: Container[UidRef] = ()
) -> Iterator[Present]:
    """List the messages from `first_uid` on, by UID as a rule; some may come twice.

    Raises MailboxError, StoreUnavailable.

    Those `seen` before a line broke are not asked for again: a line that lasts for a part only
    would never bring the rest.
    """
    session = link.session
    examined = link.examine(mailbox, fresh=True)
    search = session.wire.send(b"UID SEARCH UID %d:*" % first_uid)
    _opened(account, mailbox, examined)
    state = examined.state
    if not state.messages:
        session.wire.wait(search)
        return
    _done(account, mailbox, link, search)
    # `n:*` names the last message even when its UID is below n (RFC 9051 section 9).
    uids = sorted(
        uid
        for uid in searched(search)
        if uid >= first_uid and UidRef(mailbox, state.uidvalidity, uid) not in seen
    )
    rest = deque(uids[start : start + LOOK] for start in range(0, len(uids), LOOK))
    flights: deque[Command] = deque()
    while rest or flights:
        while rest and len(flights) < LOOKS_AHEAD and session.wire.outstanding < OUTSTANDING:
            window = uid_set(rest.popleft())
            flights.append(
                session.wire.send(
                    b"UID FETCH ",
                    window,
                    b" (UID RFC822.SIZE FLAGS INTERNALDATE BODY.PEEK[HEADER])",
                )
            )
        command = flights.popleft()
        for answer in session.wire.answers(command):
            present = present_of(answer, account, mailbox, state.uidvalidity)
            if present is not None:
                yield present
        _done(account, mailbox, link, command)


def present_of(
    answer: Answer, account: str, mailbox: MailboxPath, uidvalidity: int
) -> Present | None:
    """Read one answer; None when it holds no header of a message. Raises ProtocolViolation."""
    if len(answer) == 3 and (head := _HEAD.match(answer[0])) and (rest := _REST.match(answer[2])):
        uid, flags, size, when = (
            first if first is not None else last
            for first, last in zip(head.groups(), rest.groups(), strict=True)
        )
        if uid is None:
            return None
        entry = Entry(
            UidRef(mailbox, uidvalidity, int(uid)),
            None if size is None else int(size),
            NO_FLAGS if flags is None else flags_of(flags),
            None if when is None else epoch(when),
        )
        return Present(entry, answer[1])
    body = body_of(answer, account)
    line = line_of(answer, account)
    if body is None or body.uid is None or body.content is None or line is None:
        return None
    return Present(
        Entry(
            UidRef(mailbox, uidvalidity, body.uid),
            line.size,
            line.flags or NO_FLAGS,
            line.internaldate,
        ),
        body.content,
    )


def body_there(link: Link, account: str, mailbox: MailboxPath, uid: int) -> bytes | None:
    """Bring one message's content, in one round trip; None when it is gone.

    Raises MailboxError, StoreUnavailable.
    """
    examined = link.examine(mailbox, fresh=True)
    command = link.session.wire.send(b"UID FETCH %d (UID BODY.PEEK[])" % uid)
    _opened(account, mailbox, examined)
    _done(account, mailbox, link, command)
    found = (body_of(answer, account) for answer in command.answers)
    return next((body.content for body in found if body is not None and body.uid == uid), None)


def searched(command: Command) -> list[int]:
    """Read the answers to a UID SEARCH."""
    words = [
        word
        for answer in command.answers
        if answer.word == b"SEARCH"
        for word in answer.line.split()[1:]
    ]
    return [int(word) for word in words if word.isdigit() and len(word) <= 10]


def _opened(account: str, mailbox: MailboxPath, examined: Examined) -> None:
    result = examined.settle()
    if not result.ok:
        raise _refused(account, mailbox, result)


def _done(account: str, mailbox: MailboxPath, link: Link, command: Command) -> None:
    result = link.session.wire.wait(command)
    stop = trouble(account, result.refusal, "asking for a mailbox")
    if stop is not None:
        raise stop
    if not result.ok:
        raise _refused(account, mailbox, result)


def _refused(account: str, mailbox: MailboxPath, result: Result) -> MailboxError:
    return MailboxError(
        account,
        mailbox,
        f"the server refuses mailbox {show(mailbox)}: {result.text or 'no reason given'}",
    )
