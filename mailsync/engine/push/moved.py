"""What was sent to one mailbox of a destination, moved at the source since, and was sent to another
one then.
"""

from __future__ import annotations

from collections import Counter

from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets
from mailsync.mapping import show
from mailsync.model import MailboxPath


def note_sent_twice(session: PushSession, targets: Targets) -> None:
    """Say of what this run sent how much of it an earlier one had sent to a mailbox that it left
    at the source since: the destination has it twice now, and deleting there is nobody's but the
    user's.
    """
    pairs = session.run.sent_again()
    if not pairs:
        return
    moved = _moved(targets)
    living = {path: _living(targets, path) for path in {before for before, _, _ in pairs}}
    found = Counter(
        (before, now)
        for before, now, key in pairs
        if key[0] in moved and key[0] not in living[before]
    )
    for (before, now), many in found.items():
        text = (
            f"{many:,} message{'s' * (many != 1)} sent here had been sent to {show(before)} before"
            f" and moved at the source since: unless deleted there, {show(before)} holds them too,"
            " and only you can tell whether they may go from it"
        )
        session.report.note("moved-since", now, "", text)


def _moved(targets: Targets) -> set[bytes]:
    """Return the messages, by identity, that left a mailbox of the source and came to another."""
    archive, account = targets.archive, targets.account
    return {
        identity
        for box in archive.mailboxes(account)
        for identity, places in archive.moved(account, box.path).items()
        if any(place != box.path for place in places)
    }


def _living(targets: Targets, path: MailboxPath) -> set[bytes]:
    """Return the messages, by identity, that live in what goes to a mailbox, or bears its name."""
    sources = {target.source.path for target in targets.by_destination.get(path, ())} | {path}
    return {
        message.identity
        for source in sources
        for message in targets.archive.messages(targets.account, source)
    }
