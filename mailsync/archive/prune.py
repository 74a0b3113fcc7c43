"""Taking messages out of an archive for good, which nothing else here ever does: those that left
their server long ago.

First the catalogue says, durably, which files are condemned, and forgets their placements; then the
files go; then the rest of their rows. A run that is killed anywhere in between is finished by
whoever opens the archive next, and no file comes back. The copy of the catalogue is made anew in
between, since an older one would call missing what was pruned, should it ever be needed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mailsync.archive.catalogue import Catalogue, Prunable
from mailsync.archive.content_store import remove_condemned
from mailsync.archive.group_commit import GroupCommit
from mailsync.archive.storage.base import Removing, Storage
from mailsync.errors import ArchiveError
from mailsync.model import MailboxPath
from mailsync.plan.clock import implausible


def demand_prunable(tree: Storage, directory: Path) -> None:
    """Raise ArchiveError for an archive from which nothing can be taken out."""
    if not isinstance(tree, Removing):
        raise ArchiveError(
            f"messages cannot be taken out of {directory}: it is kept as mbox, which is only ever"
            " appended to"
        )


def find_prunable(
    catalogue: Catalogue,
    account: int,
    before: int,
    chosen: Callable[[MailboxPath], bool],
    now: float,
) -> dict[MailboxPath, list[int]]:
    """Return the rows of the files that may go, by mailbox: those of messages that had left their
    server by `before` (epoch seconds).

    Raises ArchiveError where the clock that says `now` cannot be believed: nothing is as old then
    as it looks.
    """
    doubt = implausible(now, catalogue.runs.began(), now - before)
    if doubt:
        raise ArchiveError(
            f"nothing is removed by its age, because {doubt}: set the clock right; once runs"
            " without such a jump cover the time that messages must have been gone for, it works"
            " again"
        )
    # Clocks are set back at times: only what came before the first run that is too young is old
    # enough.
    return catalogue.prunable.find(account, catalogue.runs.first_after(before), chosen)


def prune(
    group: GroupCommit,
    account: str,
    before: int,
    chosen: Callable[[MailboxPath], bool],
    clock: Callable[[], float],
) -> list[Prunable]:
    """Remove, as a run of its own, what had left its server by a time (epoch seconds) from
    mailboxes that are chosen; returns what.
    """
    catalogue = group.catalogue
    catalogue.begin()
    row = catalogue.accounts.make(account)
    now = int(clock())
    try:
        files = find_prunable(catalogue, row, before, chosen, now)
    except ArchiveError:
        catalogue.rollback()
        raise
    run = catalogue.runs.start(row, "prune", now)
    weighed = catalogue.prunable.weigh(files)
    report = {
        "messages": sum(one.messages for one in weighed),
        "octets": sum(one.octets for one in weighed),
    }
    catalogue.files.condemn(file for rows in files.values() for file in rows)
    catalogue.runs.note(run, report)
    group.commit()
    # A full disk may have no room for the copy, and is a reason to prune: then it is made
    # afterwards.
    copied = not files or _copied(group, clock)
    catalogue.begin()
    remove_condemned(catalogue, group.tree)
    catalogue.runs.end(run, int(clock()), complete=True, report=report)
    group.commit()
    if not copied:
        _copied(group, clock)
    return weighed


def _copied(group: GroupCommit, clock: Callable[[], float]) -> bool:
    with suppress(OSError, ArchiveError):
        return group.catalogue.keep_copy(group.directory, int(clock()), age=0)
    return False
