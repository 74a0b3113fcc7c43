"""Which messages of an archive go to which mailbox of a destination."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mailsync.archive import Archive
from mailsync.engine.chosen import Chosen
from mailsync.engine.selection import Selection
from mailsync.mapping import (
    MappingPlan,
    MappingRules,
    archive_of,
    plan_mapping,
    show,
    spelled_there,
)
from mailsync.model import VIEWS, ArchivedMessage, Mailbox, MailboxPath
from mailsync.plan import FileKey, file_key


@dataclass(frozen=True, slots=True)
class Target:
    """A mailbox of the archive and where it goes; with `only_here`, only its messages that live in
    no other mailbox do.
    """

    source: Mailbox
    destination: MailboxPath
    only_here: bool = False


@dataclass(frozen=True, slots=True)
class Targets:
    """A push's targets by destination mailbox, over the `chosen` messages of one account.

    `listed` are the mailboxes of the destination as it lists them. `elsewhere` are the messages (by
    identity) that live in a mailbox of their own. `at_home`: the destination is the server that
    the messages came from, and mailboxes keep their names. `way_back` is the command that brings
    messages back to this destination, but for their mailboxes.
    """

    chosen: Chosen
    listed: Sequence[Mailbox]
    by_destination: Mapping[MailboxPath, Sequence[Target]]
    mapping: MappingPlan
    elsewhere: frozenset[bytes]
    at_home: bool = False
    way_back: str = ""

    @property
    def archive(self) -> Archive:
        """The archive the messages are in."""
        return self.chosen.archive

    @property
    def account(self) -> str:
        """The account whose messages these are."""
        return self.chosen.account

    def restore(self, *mailboxes: MailboxPath) -> str:
        """Return the whole command that brings the messages of these mailboxes back."""
        command = self.way_back or f"mailsync restore {shlex.quote(self.account)}"
        chosen = "".join(f" --mailbox {shlex.quote(show(path))}" for path in mailboxes)
        return f"`{command}{chosen}`"

    def messages(self, target: Target) -> Iterator[ArchivedMessage]:
        """Yield the chosen messages of one target, oldest first."""
        for message in self.chosen.messages(target.source.path):
            if not (target.only_here and message.identity in self.elsewhere):
                yield message

    def planned(self, source: MailboxPath, keys: Iterable[FileKey]) -> Iterator[ArchivedMessage]:
        """Yield the messages of a mailbox of the archive that a plan names by their file keys,
        oldest first; no header is read.
        """
        rest = set(keys)
        if not rest:
            return
        for message in self.chosen.held(source):
            key = file_key(message)
            if key in rest:
                rest.remove(key)
                yield message

    def wanted(self) -> list[Mailbox]:
        """Return the destination mailboxes as they should be: with the role and the subscription
        those of the archive have.
        """
        return [
            Mailbox(
                path,
                targets[0].source.special_use - VIEWS,
                any(target.source.subscribed for target in targets),
            )
            for path, targets in self.by_destination.items()
        ]


def find_targets(  # noqa: PLR0917  what a push is about
    archive: Archive,
    account: str,
    listed: Sequence[Mailbox],
    rules: MappingRules,
    selection: Selection,
    coming: Sequence[Mailbox] = (),
) -> Targets:
    """Decide where each chosen mailbox goes.

    Messages that only a view of all mail holds go to the archive mailbox. Without such a view the
    other ones go to mailboxes of their names with what they alone hold: those may be mailboxes of
    their own (RFC 6154 section 2).

    A mailbox that left the server counts only where the selection reaches back to it. `coming` are
    mailboxes a pull is about to bring.
    """
    among = Chosen(archive, account, selection)
    chosen = _mailboxes(among, coming)
    mapping = plan_mapping(chosen, listed, rules)
    by_destination: dict[MailboxPath, list[Target]] = {}
    for move in mapping.moves:
        if move.theirs is not None:
            by_destination.setdefault(move.theirs, []).append(Target(move.ours, move.theirs))
    everything = [mailbox for mailbox in chosen if "\\All" in mailbox.attributes]
    for mailbox in everything:
        path = archive_of(listed, rules)
        by_destination.setdefault(path, []).append(Target(mailbox, path, only_here=True))
    perhaps = [] if everything else [move.ours for move in mapping.moves if move.theirs is None]
    for mailbox in perhaps:
        path = spelled_there((*rules.into, *mailbox.path), listed)
        by_destination.setdefault(path, []).append(Target(mailbox, path, only_here=True))
    elsewhere = _elsewhere(archive, account, selection) if everything or perhaps else ()
    return Targets(among, listed, by_destination, mapping, frozenset(elsewhere))


def _mailboxes(among: Chosen, coming: Sequence[Mailbox]) -> list[Mailbox]:
    """Return the mailboxes a push is about, those that are `coming` too."""
    selection = among.selection
    past = selection.include_gone or selection.as_of is not None
    held = [box for box in among.archive.mailboxes(among.account) if past or not box.removed]
    known = {box.path: Mailbox(box.path, box.special_use, box.subscribed) for box in held}
    for box in coming:
        known[box.path] = Mailbox(box.path, box.special_use, box.subscribed)
    removed = {box.path for box in held if box.removed}
    return [
        mailbox
        for mailbox in known.values()
        if selection.mailbox(mailbox.path)
        and (_stands(mailbox.path, selection, removed) or any(among.messages(mailbox.path)))
    ]


def _stands(path: MailboxPath, selection: Selection, removed: Collection[MailboxPath]) -> bool:
    """Return whether a mailbox is wanted even if it holds no message that is chosen: as one of the
    mailboxes of its server, now or at the time meant.
    """
    return not selection.narrows and (path not in removed or selection.as_of is not None)


def refreshed(targets: Targets) -> Targets:
    """Keep what was decided before a pull, for the mailboxes that the archive has after it, and
    know where messages live now.
    """
    held = {box.path for box in targets.archive.mailboxes(targets.account) if not box.removed}
    kept = {
        path: [target for target in sources if target.source.path in held]
        for path, sources in targets.by_destination.items()
    }
    elsewhere = targets.elsewhere
    if any(target.only_here for sources in kept.values() for target in sources):
        elsewhere = frozenset(
            _elsewhere(targets.archive, targets.account, targets.chosen.selection)
        )
    return replace(
        targets,
        by_destination={path: sources for path, sources in kept.items() if sources},
        elsewhere=elsewhere,
    )


def came_late(targets: Targets) -> list[MailboxPath]:
    """Return the chosen mailboxes that the archive has by now and for which no place was decided:
    they were made, or renamed, while their server was read.
    """
    decided = {move.ours.path for move in targets.mapping.moves}
    return [
        box.path
        for box in targets.archive.mailboxes(targets.account)
        if not box.removed
        and box.path not in decided
        and targets.chosen.selection.mailbox(box.path)
    ]


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
