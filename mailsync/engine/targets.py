"""Which letters of an archive go to which mailbox of a destination."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailsync.archive import Archive
from mailsync.mapping import MappingPlan, MappingRules, archive_of, plan_mapping
from mailsync.model import VIEWS, Letter, Mailbox, MailboxPath


@dataclass(frozen=True, slots=True)
class Target:
    """A mailbox of ours and where it goes; with `only_here`, only its letters that live in no other mailbox do."""

    ours: Mailbox
    theirs: MailboxPath
    only_here: bool = False


@dataclass(frozen=True, slots=True)
class Targets:
    """A push's targets by destination mailbox, over the letters of one account that `wants` lets through."""

    archive: Archive
    account: str
    theirs: Sequence[Mailbox]
    by_theirs: Mapping[MailboxPath, Sequence[Target]]
    mapping: MappingPlan
    elsewhere: frozenset[bytes]
    wants: Callable[[Letter], bool]

    def letters(self, target: Target) -> Iterator[Letter]:
        """Give the letters of one target, oldest first."""
        for letter in self.archive.letters(self.account, target.ours.path):
            if self.wants(letter) and not (target.only_here and letter.identity in self.elsewhere):
                yield letter

    def wanted(self) -> list[Mailbox]:
        """Give the destination mailboxes as they should be: with the role and the subscription ours have."""
        return [
            Mailbox(path, targets[0].ours.special_use - VIEWS, any(target.ours.subscribed for target in targets))
            for path, targets in self.by_theirs.items()
        ]


def find_targets(
    archive: Archive,
    account: str,
    theirs: Sequence[Mailbox],
    rules: MappingRules,
    *,
    among: Callable[[MailboxPath], bool],
    wants: Callable[[Letter], bool],
) -> Targets:
    """Decide where each mailbox that `among` chooses goes. Letters that only a view of all mail holds go to the archive mailbox."""
    ours = [Mailbox(box.path, box.special_use, box.subscribed) for box in archive.mailboxes(account) if among(box.path) and not box.removed]
    mapping = plan_mapping(ours, theirs, rules)
    by_theirs: dict[MailboxPath, list[Target]] = {}
    for move in mapping.moves:
        if move.theirs is not None:
            by_theirs.setdefault(move.theirs, []).append(Target(move.ours, move.theirs))
    everything = [mailbox for mailbox in ours if "\\All" in mailbox.attributes]
    elsewhere: set[bytes] = set()
    if everything:
        for box in archive.mailboxes(account):
            if not box.special_use & VIEWS and not box.removed:
                elsewhere.update(letter.identity for letter in archive.letters(account, box.path))
        theirs_for_all = archive_of(theirs, rules)
        for mailbox in everything:
            by_theirs.setdefault(theirs_for_all, []).append(Target(mailbox, theirs_for_all, only_here=True))
    return Targets(archive, account, theirs, by_theirs, mapping, frozenset(elsewhere), wants)
