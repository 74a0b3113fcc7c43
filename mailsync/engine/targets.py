"""Which letters of an archive go to which mailbox of a destination."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mailsync.archive import Archive
from mailsync.engine.selection import Selection
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
    """A push's targets by destination mailbox, over the letters of one account that `selection` chooses."""

    archive: Archive
    account: str
    theirs: Sequence[Mailbox]
    by_theirs: Mapping[MailboxPath, Sequence[Target]]
    mapping: MappingPlan
    elsewhere: frozenset[bytes]
    selection: Selection
    alive: frozenset[bytes] = frozenset()
    moved: dict[MailboxPath, set[bytes]] = field(default_factory=dict)
    """Letters (by identity) that are alive somewhere, and, by mailbox, those that were left out because they are so elsewhere."""

    def letters(self, target: Target) -> Iterator[Letter]:
        """Give the letters of one target, oldest first."""
        chosen = self.selection
        for letter in self.archive.letters(self.account, target.ours.path, include_gone=chosen.include_gone, as_of=chosen.as_of):
            if not chosen.letter(letter, self.archive.header) or (target.only_here and letter.identity in self.elsewhere):
                continue
            if letter.gone and letter.identity in self.alive:
                self.moved.setdefault(letter.mailbox, set()).add(letter.identity)
                continue
            yield letter

    def wanted(self) -> list[Mailbox]:
        """Give the destination mailboxes as they should be: with the role and the subscription ours have."""
        return [
            Mailbox(path, targets[0].ours.special_use - VIEWS, any(target.ours.subscribed for target in targets))
            for path, targets in self.by_theirs.items()
        ]


def find_targets(archive: Archive, account: str, theirs: Sequence[Mailbox], rules: MappingRules, selection: Selection) -> Targets:
    """Decide where each chosen mailbox goes. Letters that only a view of all mail holds go to the archive mailbox.

    A mailbox that left the server counts only where the selection reaches back to it.
    """
    boxes = archive.mailboxes(account)
    past = selection.include_gone or selection.as_of is not None
    ours = [
        Mailbox(box.path, box.special_use, box.subscribed) for box in boxes if selection.mailbox(box.path) and (past or not box.removed)
    ]
    mapping = plan_mapping(ours, theirs, rules)
    by_theirs: dict[MailboxPath, list[Target]] = {}
    for move in mapping.moves:
        if move.theirs is not None:
            by_theirs.setdefault(move.theirs, []).append(Target(move.ours, move.theirs))
    everything = [mailbox for mailbox in ours if "\\All" in mailbox.attributes]
    elsewhere: set[bytes] = set()
    if everything:
        for box in boxes:
            if not box.special_use & VIEWS:
                held = archive.letters(account, box.path, include_gone=selection.include_gone, as_of=selection.as_of)
                elsewhere.update(letter.identity for letter in held)
        theirs_for_all = archive_of(theirs, rules)
        for mailbox in everything:
            by_theirs.setdefault(theirs_for_all, []).append(Target(mailbox, theirs_for_all, only_here=True))
    alive: set[bytes] = set()
    if selection.include_gone and not selection.also_moved:
        alive.update(letter.identity for box in boxes if not box.removed for letter in archive.letters(account, box.path))
    return Targets(archive, account, theirs, by_theirs, mapping, frozenset(elsewhere), selection, frozenset(alive))
