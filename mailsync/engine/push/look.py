"""Look at the destination and the ledger, once, and make the plan of a push of what they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from mailsync.engine.push.elsewhere import moved_since
from mailsync.engine.push.locate import DestinationMailbox, locate
from mailsync.engine.push.names import MadeMailboxes, may_hold, state_when_opened
from mailsync.engine.push.reporting import note_moved
from mailsync.engine.push.session import PushSession
from mailsync.engine.targets import Targets
from mailsync.errors import MailboxError
from mailsync.model import INBOX, ArchivedMessage, LedgerKey, MailboxPath, SyncState
from mailsync.plan import (
    Evidence,
    MailboxPlan,
    PushPlan,
    plan_mailbox,
    plan_search,
)


@dataclass(frozen=True, slots=True)
class HeadStart:
    """What was done beside the pull: the ledger keys that were sent, with or without an answer, by
    mailbox of the destination, and the mailboxes that were made.
    """

    sent: Mapping[MailboxPath, Collection[LedgerKey]] = field(default_factory=dict)
    made: Collection[MailboxPath] = ()


def look(
    session: PushSession,
    made: MadeMailboxes,
    *,
    restore: bool = False,
    head_start: HeadStart | None = None,
) -> PushPlan:
    """Return what is to do, by the ledger, and by what the destination holds of that which the
    ledger does not know.

    A `restore` believes only what is alive on the destination. The destination is only read, the
    ledger is not written. A mailbox that cannot be looked at is reported. Raises StoreUnavailable.
    """
    states, unusable = _states(session, made)
    sent = (head_start or HeadStart()).sent
    looking = _Looking(session, made.targets, states, unusable, sent, trusted=not restore)
    plans = {path: looking.plan(path) for path in made.targets.by_destination}
    if restore and made.targets.at_home and not made.targets.chosen.selection.also_moved:
        for source, places in moved_since(session, made.targets, list(plans.values())).items():
            made.targets.chosen.leave_out(source, places)
            note_moved(source, Counter(places.values()), session.report)
            plans |= {path: looking.plan(path) for path in plans if _sends(plans[path], source)}
    return PushPlan(tuple(plans.values()), session.patience.clock())


def _sends(plan: MailboxPlan, source: MailboxPath) -> bool:
    return any(one.path == source for one in plan.sources)


@dataclass(frozen=True, slots=True)
class _Looking:
    """What a look goes by."""

    session: PushSession
    targets: Targets
    states: Mapping[MailboxPath, SyncState]
    unusable: Collection[MailboxPath]
    sent: Mapping[MailboxPath, Collection[LedgerKey]]
    trusted: bool

    def plan(self, path: MailboxPath) -> MailboxPlan:
        """Look at one mailbox of the destination, and plan what becomes of its messages."""
        targets, sources = self.targets, self.targets.by_destination[path]
        evidence = Evidence(
            self.session.run.ledger(path),
            self.states.get(path),
            trusted=self.trusted,
            sent_ahead=self.sent.get(path, ()),
            usable=path not in self.unusable,
            without_flags=frozenset(
                target.source.path
                for target in sources
                if not targets.archive.tells_flags(targets.account, target.source.path)
            ),
        )
        messages: Iterable[ArchivedMessage] = chain.from_iterable(map(targets.messages, sources))
        # One that is said to be empty and has given UIDs is looked at all the same.
        if evidence.usable and evidence.state is not None and may_hold(evidence.state):
            messages = list(messages)
            evidence = _looked_for(self.session, targets, path, messages, evidence)
        paths = [target.source.path for target in sources]
        return plan_mailbox(path, paths, messages, evidence)


def _states(
    session: PushSession, made: MadeMailboxes
) -> tuple[dict[MailboxPath, SyncState], set[MailboxPath]]:
    """Return the states of the mailboxes that were there when the destination was listed, and which
    mailboxes cannot be used.
    """
    targets = made.targets
    listed = {mailbox.path: mailbox.state for mailbox in targets.listed if mailbox.selectable}
    states: dict[MailboxPath, SyncState] = {}
    unusable = set(made.refused)
    for path in targets.by_destination:
        if path in unusable or path in made.left:
            continue
        # A mailbox that messages were sent to, and that a list leaves out, may be there; INBOX is.
        sent_to = path not in listed and (path == INBOX or bool(session.run.ledger(path)))
        try:
            state = state_when_opened(session.destination, path, listed.get(path))
            if state is None and (path in listed or path in made.renamed or sent_to):
                state = session.destination.state(path)
            if state is not None:
                states[path] = state
        except MailboxError as error:
            if sent_to and session.report.dry_run:
                continue
            unusable.add(path)
            session.report.trouble_with("mailbox", path, "", str(error))
    return states, unusable


def _looked_for(
    session: PushSession,
    targets: Targets,
    path: MailboxPath,
    messages: Sequence[ArchivedMessage],
    evidence: Evidence,
) -> Evidence:
    """Add what a mailbox that holds messages shows of those that the ledger does not know, or
    cannot locate.
    """
    state = evidence.state
    if state is None:
        return evidence
    search = plan_search(messages, evidence.ledger, state.uidvalidity, trusted=evidence.trusted)
    if not search:
        return evidence
    try:
        found = locate(session, targets, DestinationMailbox(path, state, evidence.ledger), search)
    except MailboxError as error:
        session.report.trouble_with("mailbox", path, "", str(error))
        return replace(evidence, usable=False)
    return replace(evidence, located=found.located, removed=found.removed)
