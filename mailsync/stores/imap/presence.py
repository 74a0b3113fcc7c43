"""What is in a mailbox of a destination already: header blocks in windows, and whole messages where
headers do not tell enough.

EXAMINE and BODY.PEEK only: looking changes nothing.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Container, Iterator, Sequence
from typing import Final, cast

from mailsync.model import NO_FLAGS, Entry, MailboxPath, Present, UidRef
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.examine import Examined
from mailsync.stores.imap.fetch_response import body_of, epoch, flags_of, line_of
from mailsync.stores.imap.list import OUTSTANDING
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.response import Answer
from mailsync.stores.imap.search_check import asked_again, doubt, uids_listed
from mailsync.stores.imap.session import Session
from mailsync.stores.imap.uid_set import uid_set

WINDOW: Final = 500
"""Messages asked for in one command."""

WINDOWS_AHEAD: Final = 4
BODIES_AHEAD: Final = 16
"""Messages on their way together: each is read when its turn comes."""

_ITEM: Final = (
    rb"(?:UID (\d{1,10})|FLAGS \(([^()\"{]*)\)|RFC822\.SIZE (\d{1,15})|INTERNALDATE"
    rb" \"([^\"\\]{20,30})\"|MODSEQ \(\d{1,20}\))"
)
_HEAD: Final = re.compile(
    rb"\d+ FETCH \((?:" + _ITEM + rb" )*BODY\[HEADER\] ~?\{\d{1,20}\+?\}\Z", re.IGNORECASE
)
_REST: Final = re.compile(rb"(?: " + _ITEM + rb")*\)\Z", re.IGNORECASE)


def list_present(
    link: ReconnectingSession,
    account: str,
    mailbox: MailboxPath,
    first_uid: int,
    seen: Container[UidRef] = (),
) -> Iterator[Present]:
    """List the messages from `first_uid` on, by UID as a rule; some may come twice.

    Raises MailboxError, also where what the server tells of the mailbox does not add up however it
    is asked; StoreUnavailable.

    Those `seen` before a line broke are not asked for again: a line that lasts for a part only
    would never bring the rest.
    """
    session = link.session
    examined = link.examine(mailbox, fresh=True)
    search = session.queue.send(b"UID SEARCH UID %d:*" % first_uid)
    _opened(mailbox, examined)
    # `n:*` names the last message even when its UID is below n (RFC 9051 section 9).
    uids, validity = uids_listed(examined, search, first_uid)
    wanted = {uid for uid in uids if uid >= first_uid}
    wanted -= {uid for uid in wanted if UidRef(mailbox, validity, uid) in seen}
    for attempt in (1, 2):
        for answer in _headers(session, mailbox, sorted(wanted)):
            present = present_of(answer, account, mailbox, validity)
            uid = None if present is None else cast("UidRef", present.entry.ref).uid
            if present is not None and uid in wanted:
                wanted.discard(uid)
                yield present
        if not wanted:
            return
        if attempt == 1:
            wanted &= set(asked_again(session, mailbox))
    raise doubt(account, mailbox, f"does not show {len(wanted)} messages that it lists")


def _headers(session: Session, mailbox: MailboxPath, uids: Sequence[int]) -> Iterator[Answer]:
    """Ask for header blocks, some windows ahead, and yield the answers."""
    rest = deque(uids[start : start + WINDOW] for start in range(0, len(uids), WINDOW))
    flights: deque[Command] = deque()
    items = b" (UID RFC822.SIZE FLAGS INTERNALDATE BODY.PEEK[HEADER])"
    while rest or flights:
        while rest and len(flights) < WINDOWS_AHEAD and session.queue.outstanding < OUTSTANDING:
            window = uid_set(list(rest.popleft()))
            flights.append(session.queue.send(b"UID FETCH ", window, items))
        command = flights.popleft()
        yield from session.queue.answers(command)
        session.done(command, mailbox)


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


def list_bodies(
    link: ReconnectingSession, account: str, mailbox: MailboxPath, uids: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    """Bring the contents of these messages, one command each, some ahead; those that are gone are
    left out.

    Raises MailboxError, also where some are listed but not brought; StoreUnavailable.
    """
    session, examined = link.session, link.examine(mailbox, fresh=True)
    rest, flights = deque(uids), deque[Command]()
    wanted = set(uids)
    while rest or flights:
        while rest and len(flights) < BODIES_AHEAD and session.queue.outstanding < OUTSTANDING:
            ask = b"UID FETCH %d (UID BODY.PEEK[])" % rest.popleft()
            flights.append(session.queue.send(ask))
        _opened(mailbox, examined)
        command = flights.popleft()
        for answer in session.queue.answers(command):
            body = body_of(answer, account)
            if body is not None and body.uid in wanted and body.content is not None:
                wanted.discard(body.uid)
                yield body.uid, body.content
        session.done(command, mailbox)
    if wanted and (kept := wanted.intersection(asked_again(session, mailbox))):
        raise doubt(account, mailbox, f"does not bring {len(kept)} messages that it lists")


def _opened(mailbox: MailboxPath, examined: Examined) -> None:
    result = examined.wait()
    if not result.ok:
        raise examined.session.refused(mailbox, result)
