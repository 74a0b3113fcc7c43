"""Two names of one mailbox on the destination: links, views, what some groupware makes of shared
folders.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets
from mailsync.mapping import show
from mailsync.model import MailboxPath, SyncState


def note_aliases(session: PushSession, targets: Targets) -> None:
    """Say which of the mailboxes that messages were sent to in this run are one: what the source
    has in both is there twice, which can be told only once something was sent. Raises
    StoreUnavailable.

    Servers may give the same UIDVALIDITY to several mailboxes; that nothing has the same UID in
    both, and that their counters are the same nevertheless, is no chance.
    """
    if session.report.total.new == 0:
        return
    sent = [one for one in session.run.sent() if one.mailbox in targets.by_destination]
    validities = Counter(one.uidvalidity for one in sent)
    suspects = {one.mailbox for one in sent if validities[one.uidvalidity] > 1}
    alike: dict[SyncState, list[MailboxPath]] = {}
    for box in session.destination.mailboxes() if suspects else ():
        if box.path in suspects and box.state is not None and box.state.messages:
            alike.setdefault(box.state, []).append(box.path)
    for state, paths in alike.items():
        for first, second in pairwise(sorted(paths)):
            ours, others = (_uids(session, path, state.uidvalidity) for path in (first, second))
            if ours and others and ours.isdisjoint(others):
                text = (
                    f"is the same mailbox as {show(second)} on the destination, under another"
                    " name: what both have at the source is in it twice"
                )
                session.report.note("one-mailbox", first, "", text)


def _uids(session: PushSession, path: MailboxPath, uidvalidity: int) -> set[int]:
    lines = session.run.ledger(path).values()
    return {line.uid for line in lines if line.uid and line.uidvalidity == uidvalidity}
