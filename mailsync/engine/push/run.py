"""A push from its beginning to its end, and the rehearsal of one: the plan made, but not carried
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from mailsync.engine.push.aliases import note_aliases
from mailsync.engine.push.look import HeadStart, look
from mailsync.engine.push.moved import note_sent_twice
from mailsync.engine.push.names import MadeMailboxes, fit_names, make_mailboxes
from mailsync.engine.push.reconciler import Reconciler
from mailsync.engine.push.reporting import (
    count_as_sent,
    count_plan,
    note_flags_left_out,
)
from mailsync.engine.push.sender import Sender
from mailsync.engine.push.session import PushSession
from mailsync.engine.room import demand_room
from mailsync.engine.targets import Targets
from mailsync.model import Parcel
from mailsync.plan import PushPlan
from mailsync.stores.base import BoundedDestination


def push(session: PushSession, targets: Targets, *, restore: bool = False) -> Targets:
    """Send what `targets` names and the destination lacks; fill the session's report.

    Returns the targets as they turned out, where the destination took other names. A server that
    gives up ends the run early. A `restore` believes only what is alive on the destination now:
    what the ledger says was sent once, and is not there, is sent again.
    """
    with session.phase(_verb(restore)):
        targets = fit_names(session, targets)
        return send_all(session, targets, Sender(session), restore=restore)
    return targets


def rehearse_push(session: PushSession, targets: Targets, *, restore: bool = False) -> None:
    """Fill the session's report with what a push would do now; the destination is only read, and
    the ledger not written.
    """
    with session.phase(_verb(restore)):
        made = MadeMailboxes(fit_names(session, targets))
        plan = look(session, made, restore=restore)
        count_plan(plan, made.targets, session.report, session.progress)
        count_as_sent(plan, session.report)
        _demand_room(session, plan)


def send_all(
    session: PushSession,
    targets: Targets,
    sender: Sender,
    *,
    restore: bool = False,
    head_start: HeadStart | None = None,
) -> Targets:
    """Do all there is to do, once the names are fitted; what the same sender did beside a pull is
    the `head_start`. Returns the targets as they turned out. Raises StoreUnavailable.
    """
    head_start = head_start or HeadStart()
    made = make_mailboxes(session, targets, head_start.made, restore=restore)
    plan = look(session, made, restore=restore, head_start=head_start)
    count_plan(plan, made.targets, session.report, session.progress)
    _carry_out(session, made.targets, plan, sender)
    note_flags_left_out(sender.flags_left_out, session.report)
    note_sent_twice(session, made.targets)
    note_aliases(session, made.targets)
    session.budget.raise_if_exhausted(session.report.destination)
    return made.targets


def send_again(session: PushSession, targets: Targets) -> None:
    """Send what a proof took back, once each; nothing there is believed but bodies. Raises
    StoreUnavailable.
    """
    session = replace(session, sceptical=True)
    session.begin("sending again")
    try:
        targets = replace(targets, listed=session.destination.mailboxes())
        plan = look(session, MadeMailboxes(targets))
        _carry_out(session, targets, plan, Sender(session))
    finally:
        session.progress.end()


def _verb(restore: bool) -> str:  # noqa: FBT001  the caller's own keyword
    return "restoring" if restore else "pushing"


def _carry_out(session: PushSession, targets: Targets, plan: PushPlan, sender: Sender) -> None:
    """Do what the plan says. Raises StoreUnavailable, OverQuota before the first message if the
    server has too little room for all of it.
    """
    sender.record_located(plan)
    _demand_room(session, plan)
    unanswered = sender.send(_parcels(session, targets, plan, sender))
    unusable = {
        mailbox.path
        for mailbox in plan.mailboxes
        if mailbox.usable and mailbox.flags and not sender.change_flags(mailbox)
    }
    Reconciler(session, targets, sender, plan, unusable).reconcile(unanswered=unanswered > 0)


def _parcels(
    session: PushSession, targets: Targets, plan: PushPlan, sender: Sender
) -> Iterator[Parcel]:
    """Yield what is to be sent at once, as far as the budget goes; messages for a mailbox that
    cannot be used are counted as failed.
    """
    for mailbox in plan.mailboxes:
        if not mailbox.usable:
            for source in mailbox.sources:
                failed = len(source.append) + len(source.doubtful)
                session.report.of(source.path).failed += failed
            continue
        messages = chain.from_iterable(
            targets.planned(source.path, source.append) for source in mailbox.sources
        )
        affordable = session.budget.within(messages, lambda message: message.size)
        yield from sender.parcels(targets.archive, mailbox.path, mailbox.state, affordable)


def _demand_room(session: PushSession, plan: PushPlan) -> None:
    if plan.needed and isinstance(session.destination, BoundedDestination):
        demand_room(session.destination, plan.needed, session.report)
