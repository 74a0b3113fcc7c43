"""Whether a server may be the destination that messages were sent to, by the numbers of its
mailboxes.

A server may listen at another port tomorrow; two servers that listen on one host number their
mailboxes otherwise, unless one is a clone of the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mailsync.archive.catalogue import Sent
from mailsync.model import Mailbox, MailboxPath

TELLING: Final = 1_000_000
"""The least UIDVALIDITY that tells a server: smaller ones are counted from one by each. Most are
times.
"""


def agree(sent: Iterable[Sent], listed: Iterable[Mailbox]) -> bool:
    """Return whether all mailboxes of a list that messages were sent to have the UIDVALIDITY of
    then, and gave no UID beyond those they have given now; False where that tells nothing.
    """
    then: dict[MailboxPath, dict[int, int]] = {}
    for one in sent:
        then.setdefault(one.mailbox, {})[one.uidvalidity] = one.last
    states = [
        (mailbox.state, then[mailbox.path])
        for mailbox in listed
        if mailbox.state is not None and mailbox.path in then
    ]
    return any(state.uidvalidity >= TELLING for state, _ in states) and all(
        last.get(state.uidvalidity, state.uidnext) < state.uidnext for state, last in states
    )
