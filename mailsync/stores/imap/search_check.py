"""Which UIDs a mailbox of a destination has, believed only where it adds up with how many messages
the server says there are: what seems absent is sent.
"""

from __future__ import annotations

import contextlib

from mailsync.errors import MailboxError, MailboxMissing
from mailsync.mapping import show
from mailsync.model import MailboxPath, SyncState
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.examine import Examined
from mailsync.stores.imap.list_response import status
from mailsync.stores.imap.search import searched
from mailsync.stores.imap.session import Session
from mailsync.stores.refusals import is_missing


def uids_listed(examined: Examined, search: Command, first_uid: int) -> tuple[list[int], int]:
    """Return the UIDs that the answer to `UID SEARCH UID first_uid:*` names, and the UIDVALIDITY;
    asked again in other ways where that does not add up.

    GNU Mailutils finds no message at all in such a range. Raises MailboxError where it never adds
    up, StoreUnavailable.
    """
    session, mailbox = examined.session, examined.path
    exists = exists_of(examined.command)
    result = session.queue.wait(search)
    found = searched(search) if result.ok else []
    if exists == 0 and not found:
        return [], examined.state.uidvalidity  # some refuse to search what is empty
    session.done(search, mailbox)
    least = (exists or 0) if first_uid == 1 else 1
    if exists is not None and len(set(found)) >= least and examined.state.uidvalidity:
        return found, examined.state.uidvalidity
    everything = session.queue.send(b"UID SEARCH ALL")
    state: SyncState | None = None
    with contextlib.suppress(MailboxError):
        state = asked_state(session, mailbox)
    session.done(everything, mailbox)
    found = searched(everything)
    count = exists if state is None else state.messages
    if count is None or len(set(found)) < count:
        raise doubt(
            session.account,
            mailbox,
            f"lists {len(set(found))} of {'an unknown number of' if count is None else count}"
            " messages",
        )
    return found, state.uidvalidity if state else examined.state.uidvalidity


def asked_again(session: Session, mailbox: MailboxPath) -> list[int]:
    """Ask which UIDs the selected mailbox has now. Raises MailboxError, StoreUnavailable."""
    command = session.queue.send(b"UID SEARCH ALL")
    session.done(command, mailbox)
    return searched(command)


def asked_state(session: Session, mailbox: MailboxPath) -> SyncState:
    """Ask STATUS of a mailbox. Raises MailboxError, MailboxMissing where the server says that there
    is none, StoreUnavailable.
    """
    name = session.mailbox(session.names.written(mailbox))
    command = session.queue.send(b"STATUS ", name, b" (MESSAGES UIDNEXT UIDVALIDITY)")
    try:
        session.done(command, mailbox)
    except MailboxError as error:
        if is_missing(session.queue.wait(command).said):
            raise MailboxMissing(session.account, mailbox, str(error)) from error
        raise
    for answer in command.answers:
        found = status(answer)
        if found is not None and found[1] is not None:
            return found[1]
    raise MailboxError(
        session.account, mailbox, f"the server does not tell the state of {show(mailbox)}"
    )


def exists_of(opened: Command) -> int | None:
    """Return how many messages the answers to a SELECT or EXAMINE tell of; None where they tell of
    none.
    """
    counts = [answer.number for answer in opened.answers if answer.word == b"EXISTS"]
    return counts[-1] if counts else None


def doubt(account: str, mailbox: MailboxPath, what: str) -> MailboxError:
    """Make the error of a mailbox that is not what the server says, so that nothing is sent to it
    that may be there.
    """
    return MailboxError(
        account,
        mailbox,
        f"the server {what} in mailbox {show(mailbox)}; nothing is sent to it, for it may be there",
    )
