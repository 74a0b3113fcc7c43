"""Which messages of an archive go to which mailbox of a destination."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailsync.archive import Archive
from mailsync.engine.selection import Selection
from mailsync.mapping import MappingPlan, MappingRules, archive_of, plan_mapping
from mailsync.model import VIEWS, ArchivedMessage, Mailbox, MailboxPath


@dataclass(frozen=True, slots=True)
class Target:
    """A mailbox of ours and where it goes; with `only_here`, only its messages that live in no
    other mailbox do.
    """

    ours: Mailbox
    theirs: MailboxPath
    only_here: bool = False


@dataclass(frozen=True, slots=True)
class Targets:
    """A push's targets by destination mailbox, over the messages of one account that `selection`
    chooses.
    """

    archive: Archive
    account: str
    theirs: Sequence[Mailbox]
    by_theirs: Mapping[MailboxPath, Sequence[Target]]
    mapping: MappingPlan
    elsewhere: frozenset[bytes]
    selection: Selection
    alive: frozenset[bytes] = frozenset()
    moved: dict[MailboxPath, set[bytes]] = field(default_factory=dict)
    """Messages (by identity) that are alive somewhere, and, by mailbox, those that were left out
    because they are so elsewhere.
    """

    def messages(self, target: Target) -> Iterator[ArchivedMessage]:
        """Yield the messages of one target, oldest first."""
        chosen = self.selection
        for message in self.archive.messages(
            self.account, target.ours.path, include_gone=chosen.include_gone, as_of=chosen.as_of
        ):
            if not chosen.message(message, self.archive.header) or (
                target.only_here and message.identity in self.elsewhere
            ):
                continue
            if message.gone and message.identity in self.alive:
                self.moved.setdefault(message.mailbox, set()).add(message.identity)
                continue
            yield message

    def wanted(self) -> list[Mailbox]:
        """Return the destination mailboxes as they should be: with the role and the subscription
        ours have.
        """
        return [
            Mailbox(
                path,
                targets[0].ours.special_use - VIEWS,
                any(target.ours.subscribed for target in targets),
            )
            for path, targets in self.by_theirs.items()
        ]


def find_targets(  # noqa: PLR0917  what a push is about
    archive: Archive,
    account: str,
    theirs: Sequence[Mailbox],
    rules: MappingRules,
    selection: Selection,
    coming: Sequence[Mailbox] = (),
) -> Targets:
    """Decide where each chosen mailbox goes.

    Messages that only a view of all mail holds go to the archive mailbox.

    A mailbox that left the server counts only where the selection reaches back to it. `coming` are
    mailboxes a pull is about to bring.
    """
    boxes = archive.mailboxes(account)
    past = selection.include_gone or selection.as_of is not None
    known = {
        box.path: Mailbox(box.path, box.special_use, box.subscribed)
        for box in boxes
        if past or not box.removed
    }
    known |= {
        mailbox.path: Mailbox(mailbox.path, mailbox.special_use, mailbox.subscribed)
        for mailbox in coming
    }
    ours = [mailbox for mailbox in known.values() if selection.mailbox(mailbox.path)]
    mapping = plan_mapping(ours, theirs, rules)
    by_theirs: dict[MailboxPath, list[Target]] = {}
    for move in mapping.moves:
        if move.theirs is not None:
            by_theirs.setdefault(move.theirs, []).append(Target(move.ours, move.theirs))
    everything = [mailbox for mailbox in ours if "\\All" in mailbox.attributes]
    elsewhere: set[bytes] = set()
    if everything:
        elsewhere = _elsewhere(archive, account, selection)
        theirs_for_all = archive_of(theirs, rules)
        for mailbox in everything:
            by_theirs.setdefault(theirs_for_all, []).append(
                Target(mailbox, theirs_for_all, only_here=True)
            )
    alive: set[bytes] = set()
    if selection.include_gone and not selection.also_moved:
        alive.update(
            message.identity
            for box in boxes
            if not box.removed
            for message in archive.messages(account, box.path)
        )
    return Targets(
        archive,
        account,
        theirs,
        by_theirs,
        mapping,
        frozenset(elsewhere),
        selection,
        frozenset(alive),
    )


def refreshed(targets: Targets) -> Targets:
    """Keep what was decided before a pull, for the mailboxes that the archive has after it, and
    know where messages live now.
    """
    there = {box.path for box in targets.archive.mailboxes(targets.account) if not box.removed}
    kept = {
        theirs: [target for target in ours if target.ours.path in there]
        for theirs, ours in targets.by_theirs.items()
    }
    elsewhere = targets.elsewhere
    if any(target.only_here for ours in kept.values() for target in ours):
        elsewhere = frozenset(_elsewhere(targets.archive, targets.account, targets.selection))
    return replace(
        targets,
        by_theirs={theirs: ours for theirs, ours in kept.items() if ours},
        elsewhere=elsewhere,
    )


def _elsewhere(archive: Archive, account: str, selection: Selection) -> set[bytes]:
    """Name the messages, by identity, that live in a mailbox of their own."""
    found: set[bytes] = set()
    for box in archive.mailboxes(account):
        if not box.special_use & VIEWS:
            held = archive.messages(
                account, box.path, include_gone=selection.include_gone, as_of=selection.as_of
            )
            found.update(message.identity for message in held)
    return found
