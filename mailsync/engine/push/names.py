"""Under which names a destination has the mailboxes of a push, settled before the first message."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from mailsync.engine.push.session import PushSession
from mailsync.engine.report import Report
from mailsync.engine.targets import Target, Targets
from mailsync.mapping import show
from mailsync.model import MailboxPath
from mailsync.stores.base import NamingDestination


@dataclass(frozen=True, slots=True)
class MadeMailboxes:
    """The targets by the names their mailboxes have now; `refused` ones could not be made,
    `renamed` are names that the destination gave instead of others.
    """

    targets: Targets
    refused: frozenset[MailboxPath] = frozenset()
    renamed: frozenset[MailboxPath] = frozenset()


def fit_names(session: PushSession, targets: Targets) -> Targets:
    """Return the targets by the names mailboxes can have there, before anything is asked of or sent
    to them; no two share one. Raises StoreUnavailable.
    """
    if not isinstance(session.destination, NamingDestination):
        return targets
    names = session.destination.fitted(list(targets.by_destination))
    why = "its name cannot be written there, or is another's"
    return _renamed(targets, names, why, session.report)


def make_mailboxes(
    session: PushSession, targets: Targets, made: Collection[MailboxPath] = ()
) -> MadeMailboxes:
    """Make missing mailboxes, and let the destination learn what all of them keep; those in `made`
    were made before. One that cannot be made is reported. Raises StoreUnavailable.
    """
    destination, report = session.destination, session.report
    refused: set[MailboxPath] = set()
    wanted = [mailbox for mailbox in targets.wanted() if mailbox.path not in made]
    for path, error in destination.create(wanted).items():
        if error is not None:
            refused.add(path)
            report.trouble_with("mailbox", path, "", str(error))
    if not isinstance(destination, NamingDestination):
        return MadeMailboxes(targets, frozenset(refused))
    names = destination.instead()
    return MadeMailboxes(
        _renamed(targets, names, "the server refuses its name", report),
        frozenset(refused),
        frozenset(names.values()),
    )


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
