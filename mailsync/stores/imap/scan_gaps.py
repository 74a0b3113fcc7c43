"""Messages that a listing left out, looked for one by one, so that a fault of one message is not a
fault of its mailbox.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import Final

from mailsync.model import MailboxPath
from mailsync.stores.imap.reconnect import ReconnectingSession
from mailsync.stores.imap.scan_responses import LINES_LIMIT, ScanResponses
from mailsync.stores.imap.search import existing_uids

GAPS_KEPT: Final = 500
"""So many messages are asked for one by one; a listing that leaves out more is of no use."""


def list_gaps(
    link: ReconnectingSession,
    account: str,
    mailbox: tuple[MailboxPath, int],
    items: bytes,
    responses: ScanResponses,
) -> list[str] | None:
    """Ask for each message that UID SEARCH names in the mailbox (path, UIDVALIDITY) and `responses`
    lack, add what comes to them, and return what is to be said of those that do not come; None when
    the server does not say which there are.
    """
    path, uidvalidity = mailbox
    existing = existing_uids(link, path, uidvalidity)
    if existing is None:
        return None
    uids = (uid for uid in chain(*existing) if uid not in responses.lines)
    missing = list(islice(uids, GAPS_KEPT))
    queue = link.session.queue
    sent = [(uid, queue.send(b"UID FETCH %d" % uid + items)) for uid in missing]
    said = []
    for uid, command in sent:
        odd = len(responses.odd)
        for answer in queue.answers(command):
            responses.take(answer, account)
        result = queue.wait(command)
        if uid not in responses.lines:
            why = (
                "the server does not tell of it" if result.ok else f"the server said: {result.text}"
            )
            said.append(f"UID {uid}: {'; '.join(responses.odd[odd:]) or why}")
    return said


def drop_unknown(
    link: ReconnectingSession,
    mailbox: tuple[MailboxPath, int],
    responses: ScanResponses,
    uidnext: int,
) -> None:
    """Let go of lines about messages that UID SEARCH does not name, where more came than there are
    messages, and whose UIDs were not given yet; nobody asked for them.
    """
    existing = existing_uids(link, *mailbox)
    if existing is not None and sum(map(len, existing)) <= LINES_LIMIT:
        known = set(chain(*existing))
        for uid in responses.lines.keys() - known:
            if uid >= uidnext:
                del responses.lines[uid]
