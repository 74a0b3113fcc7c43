"""UID SEARCH asked and read (RFC 9051 sections 6.4.4 and 7.3.4; ESEARCH, RFC 4731): which UIDs a
mailbox has.
"""

from __future__ import annotations

from mailsync.model import MailboxPath
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.uid_set import ranges_of


def all_uids(link: ReconnectingSession, path: MailboxPath, uidvalidity: int) -> list[range] | None:
    """Ask which UIDs there are, without QRESYNC the only way to learn which are not; None when
    that cannot be learned.
    """
    found = existing_uids(link, path, uidvalidity)
    if found is None:
        return None
    # Fewer than there are would make the others look vanished.
    whole = sum(map(len, found)) >= link.examine(path).state.messages
    return found if whole else None


def existing_uids(
    link: ReconnectingSession, path: MailboxPath, uidvalidity: int
) -> list[range] | None:
    """Ask which UIDs the server names, be they all or not; None when it does not say, or the UIDs
    mean other messages by now.
    """
    session = link.session
    examined = link.examine(path, fresh=True)
    short = session.has(b"ESEARCH")
    command = session.queue.send(b"UID SEARCH RETURN (ALL) ALL" if short else b"UID SEARCH ALL")
    if (
        not examined.wait().ok
        or examined.state.uidvalidity not in {0, uidvalidity}
        or not session.queue.wait(command).ok
    ):
        return None
    found: list[range] = []
    for answer in command.answers:
        if answer.word == b"ESEARCH":
            _, _, tail = answer.line.upper().partition(b" ALL ")
            found += ranges_of(tail.split(b" ", 1)[0])
        elif answer.word == b"SEARCH":
            found += ranges_of(
                answer.line[len(b"SEARCH") :].partition(b"(")[0].strip().replace(b" ", b",")
            )
    return found


def searched(command: Command) -> list[int]:
    """Read the answers to a UID SEARCH; what cannot be a UID is left out."""
    words = [
        word
        for answer in command.answers
        if answer.word == b"SEARCH"
        for word in answer.line.split()[1:]
    ]
    return [
        int(word)
        for word in words
        if word.isdigit() and len(word) <= 10 and 0 < int(word) < 1 << 32
    ]
