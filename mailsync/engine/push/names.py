"""Under which names a destination has the mailboxes of a push, settled before the first message."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from mailsync.engine.push.session import PushSession
from mailsync.engine.report import Report
from mailsync.engine.targets import Target, Targets
from mailsync.errors import MailboxError, MailboxMissing
from mailsync.mapping import respelled, show
from mailsync.model import INBOX, MailboxPath, SyncState
from mailsync.stores.base import Destination, NamingDestination, OpeningDestination


@dataclass(frozen=True, slots=True)
class MadeMailboxes:
    """The targets by the names their mailboxes have now; `refused` ones could not be made,
    `renamed` are names that the destination gave instead of others. Those `left` away were deleted
    or renamed there by somebody since, and nothing is to be sent to them.
    """

    targets: Targets
    refused: frozenset[MailboxPath] = frozenset()
    renamed: frozenset[MailboxPath] = frozenset()
    left: frozenset[MailboxPath] = frozenset()


def fit_names(session: PushSession, targets: Targets) -> Targets:
    """Return the targets by the names mailboxes can have there, before anything is asked of or sent
    to them; no two share one. Raises StoreUnavailable.
    """
    if not isinstance(session.destination, NamingDestination):
        return targets
    names = dict(session.destination.fitted(list(targets.by_destination)))
    # A name that the server wrote its own way in an earlier run stays that mailbox's.
    listed = {mailbox.path for mailbox in targets.listed if mailbox.selectable}
    others = listed.difference(names.values())
    for path, name in names.items():
        other = None if name in listed else respelled(name, others)
        if other is not None and session.run.ledger(other):
            others.discard(other)
            names[path] = other
    why = "its name cannot be written there, or is another's"
    return _renamed(targets, names, why, session.report)


def make_mailboxes(
    session: PushSession,
    targets: Targets,
    made: Collection[MailboxPath] = (),
    *,
    restore: bool = False,
) -> MadeMailboxes:
    """Make missing mailboxes, and let the destination learn what all of them keep; those in `made`
    were made before. One that cannot be made is reported. Raises StoreUnavailable.

    One that somebody took away there since is made only for a `restore`, or for a new message.
    """
    destination, report = session.destination, session.report
    refused: set[MailboxPath] = set()
    left = frozenset() if restore else _left_away(session, targets, made)
    wanted = [mailbox for mailbox in targets.wanted() if mailbox.path not in {*made, *left}]
    for path, error in destination.create(wanted).items():
        if error is not None:
            refused.add(path)
            report.trouble_with("mailbox", path, "", str(error))
    if not isinstance(destination, NamingDestination):
        return MadeMailboxes(targets, frozenset(refused), left=left)
    names = destination.instead()
    return MadeMailboxes(
        _renamed(targets, names, "the server refuses its name, or writes it so", report),
        frozenset(refused),
        frozenset(names.values()),
        left,
    )


def _left_away(
    session: PushSession, targets: Targets, made: Collection[MailboxPath]
) -> frozenset[MailboxPath]:
    """Return the mailboxes that messages were sent to, that are not there any more, and that
    nothing new is for.
    """
    listed = {mailbox.path for mailbox in targets.listed if mailbox.selectable}
    return frozenset(
        path
        for path, sources in targets.by_destination.items()
        if path not in {*listed, *made, INBOX}
        and (ledger := session.run.ledger(path))
        and all(
            (line := ledger.get(message.key)) is not None and not line.pending
            for target in sources
            for message in targets.messages(target)
        )
        and _is_missing(session.destination, path)
    )


def _is_missing(destination: Destination, path: MailboxPath) -> bool:
    """Return whether the server says so: its list alone may be short."""
    try:
        destination.state(path)
    except MailboxMissing:
        return True
    except MailboxError:
        return False
    return False


def state_when_opened(
    destination: Destination, path: MailboxPath, listed: SyncState | None
) -> SyncState | None:
    """Return the state of a mailbox before anything was sent to it, None where it was not there: as
    it was listed, or as it was opened where a list left it out or tells of less. Raises
    MailboxError, StoreUnavailable.
    """
    opened = destination.opened(path) if isinstance(destination, OpeningDestination) else None
    if opened is None or not opened.messages:
        return listed
    return opened if listed is None or opened.messages > listed.messages else listed


def may_hold(state: SyncState) -> bool:
    """Return whether a mailbox holds messages, or did: only then is it worth a look."""
    return state.messages > 0 or state.uidnext > 1


def _renamed(
    targets: Targets, names: Mapping[MailboxPath, MailboxPath], why: str, report: Report
) -> Targets:
    """Send messages to other mailboxes than meant; say so where a name changed, not where only its
    place below a prefix did.
    """
    by_destination: dict[MailboxPath, list[Target]] = {}
    for path, sources in targets.by_destination.items():
        name = names.get(path, path)
        by_destination.setdefault(name, []).extend(
            replace(target, destination=name) for target in sources
        )
        if name != path[-len(name) :]:
            text = f"is called {show(name)} there: {why}; `map:` gives it another name"
            report.note("renamed", path, "", text)
    return replace(targets, by_destination=by_destination)
