"""What went to another mailbox of its own server since the last pull: a restore to that server need
not send it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from mailsync.engine.matching import sighting_of
from mailsync.engine.push.locate import DestinationMailbox, Matches
from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets
from mailsync.errors import MailboxError
from mailsync.model import ArchivedMessage, Mailbox, MailboxPath
from mailsync.plan import MailboxPlan

Moved: TypeAlias = dict[MailboxPath, dict[bytes, MailboxPath]]
"""By mailbox of the archive, the messages (by identity) that are in another one now, and in which.
"""


def moved_since(session: PushSession, targets: Targets, plans: Sequence[MailboxPlan]) -> Moved:
    """Look for what is about to be sent, and was there at the last pull, among what came to other
    mailboxes since; bodies are compared where headers do not tell. Raises StoreUnavailable.
    """
    wanted = {plan.path: _there_before(targets, plan) for plan in plans if plan.usable}
    found: Moved = {}
    for mailbox in targets.listed if any(wanted.values()) else ():
        others = [one for path, some in wanted.items() if path != mailbox.path for one in some]
        if others and mailbox.selectable and not mailbox.is_view:
            for message in _among_news(session, targets, mailbox, others):
                found.setdefault(message.mailbox, {})[message.identity] = mailbox.path
    return found


def _there_before(targets: Targets, plan: MailboxPlan) -> list[ArchivedMessage]:
    return [
        message
        for source in plan.sources
        for message in targets.planned(source.path, source.append)
        if not message.gone
    ]


def _among_news(
    session: PushSession,
    targets: Targets,
    mailbox: Mailbox,
    messages: Sequence[ArchivedMessage],
) -> list[ArchivedMessage]:
    """Return those of these messages that came to a mailbox since it was last pulled."""
    path, destination = mailbox.path, session.destination
    before = targets.archive.last_known(targets.account).state(path)
    try:
        state = mailbox.state or destination.state(path)
        if state is None:
            return []
        is_same = before is not None and before.uidvalidity == state.uidvalidity
        first = before.uidnext if before is not None and is_same else 1
        if state.uidnext <= first:
            return []
        seen = [sighting_of(one.entry, one.header) for one in destination.presence(path, first)]
        matches = Matches(session, targets.archive, DestinationMailbox(path, state, {}), ())
        return [message for message, _ in matches.among(messages, seen)]
    except MailboxError as error:
        text = f"could not be looked into for what was moved there since the last pull: {error}"
        session.report.trouble_with("mailbox", path, "", text)
        return []
